"""The stored form of a search: what decisions have been taken, the queues, and the results they rest on."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from rcas.budget import Budget
from rcas.confirm import Confirm
from rcas.costs import Cost
from rcas.errors import CorruptState, InvalidSpec
from rcas.evaluation import Later, Model
from rcas.greedy import (
    Problem,
    Rule,
    RuleState,
    StopPolicy,
    StopReason,
    Tally,
    decide,
    enqueue,
    extend,
    start,
)
from rcas.latency import LatencyTable, cost_with_latency
from rcas.space import Element, Network, Space
from rcas.trained import Trained

Replicates = Annotated[int, Field(exclude_if=lambda value: value == 1)]
"""Like `Later`: not written where it is as it always was."""


class StoredRule(Model):
    """A `RuleState` without what follows from the rest.

    Attributes:
        path: (position, block type, accuracy) of each accepted block.
        queue: (position, block type, gain, accepted blocks when it was measured), the top first.
        confirmed: trainings read of a network, where they are more than `replicates`; None if there is none.
    """

    rule: Rule
    started: bool
    path: tuple[tuple[int, int, Fraction], ...]
    queue: tuple[tuple[int, int, Fraction | None, int], ...]
    submodularity: tuple[int, int, Fraction, Fraction]
    monotonicity: tuple[int, int, Fraction, Fraction]
    measured: tuple[str, ...]
    confirmed: Later[dict[str, int]] = None
    offered: int
    stopped: StopReason | None

    @classmethod
    def of(cls, state: RuleState) -> StoredRule:
        """The stored form of `state`."""
        return cls(
            rule=state.rule,
            started=state.accuracy is not None,
            path=tuple((a.element.position, a.element.block, a.accuracy) for a in state.path),
            queue=tuple(
                (c.element.position, c.element.block, c.gain, c.measured_at) for c in (*state.queue, *state.parked)
            ),
            submodularity=state.submodularity,
            monotonicity=state.monotonicity,
            measured=tuple(sorted(map(str, state.measured))),
            confirmed={str(network): count for network, count in state.confirmed.items()} or None,
            offered=state.offered,
            stopped=state.stopped,
        )

    def restore(self, problem: Problem, known: Trained) -> RuleState:
        """The state that was stored; keys and costs are computed anew.

        Raises:
            CorruptState: its parts contradict each other, the problem or what is known.
        """
        measured = frozenset(problem.space.network(name) for name in self.measured)
        self._require(measured <= known.keys(), "measured")
        confirmed = self._confirmed(problem, measured, known)
        read = {network: confirmed.get(network, problem.replicates) for network in measured}
        first = start(problem, self.rule)
        along = [replace(first, accuracy=known[first.network]) if self.started else first]
        for position, block, accuracy in self.path:
            element = Element(position, block)
            self._require(element in problem.space.elements and position not in along[-1].filled, "path")
            along.append(extend(problem, along[-1], element, accuracy))
            network = along[-1].network
            self._require(self.started and accuracy == known.accuracy(network, read[network]), "path")
        entries = [(Element(position, block), gain, at) for position, block, gain, at in self.queue]
        free = [c.element for c in (*first.queue, *first.parked) if c.element.position not in along[-1].filled]
        self._require(sorted(free) == sorted(element for element, _, _ in entries), "queue")
        self._check_gains(problem, along, entries, known, read)
        for checked, broken, total, worst in (self.submodularity, self.monotonicity):
            self._require(0 <= broken <= checked and 0 <= worst <= total <= checked, "counters")
        self._require(self.offered >= len(self.path), "counters")
        state = replace(
            enqueue(problem, along[-1], entries),
            submodularity=Tally(*self.submodularity),
            monotonicity=Tally(*self.monotonicity),
            measured=measured,
            confirmed=confirmed,
            offered=self.offered,
        )
        rested = known.limited(read) if problem.confirm else {}
        self._require(decide(problem, state, rested)[0].stopped == self.stopped, "stopped")
        return replace(state, stopped=self.stopped)

    def _confirmed(self, problem: Problem, measured: frozenset[Network], known: Trained) -> dict[Network, int]:
        found = {problem.space.network(name): count for name, count in (self.confirmed or {}).items()}
        most = problem.confirm.most if problem.confirm else 0
        there = all(problem.replicates < count <= min(most, len(known.trainings(n))) for n, count in found.items())
        allowed = found.keys() <= measured - {problem.space.start} and there
        self._require(allowed, "confirmed")
        return found

    def _check_gains(
        self,
        problem: Problem,
        along: list[RuleState],
        entries: list[tuple[Element, Fraction | None, int]],
        known: Trained,
        read: dict[Network, int],
    ) -> None:
        """A gain belongs to the state in which it was measured; `along` holds the states by accepted blocks."""
        self._require(all(0 <= at < len(along) for _, _, at in entries), "queue")
        for at, state in enumerate(along):
            then = enqueue(problem, state, [entry for entry in entries if entry[2] == at and entry[1] is not None])
            for c in (*then.queue, *then.parked):
                self._require(state.accuracy is not None, "queue")
                assert state.accuracy is not None
                accuracy = known.accuracy(c.network, read[c.network])
                self._require(c.gain == accuracy - state.accuracy, "queue")

    def _require(self, holds: bool, field: str) -> None:
        if not holds:
            raise CorruptState(f"the stored search contradicts itself: {field} of rule {self.rule}")


class Snapshot(Model):
    """A whole search.

    Attributes:
        replicate: number of the first training of a network; the others count on from it.
        results: (correct, total) by network, over all the trainings that make its F, once they are known.
        trainings: (correct, total) of each training, by network and its number, counted from 0; None where every
            network is trained once, for then `results` says it all.
        asked: networks by key of the trainings that were asked for and not told yet.
    """

    format: Literal[1] = 1
    space: Space
    budget: Budget
    stop: StopPolicy
    min_gain: Fraction | None
    max_blocks: int | None
    protocol: str
    replicate: int
    latency_table: Later[LatencyTable] = None
    replicates: Replicates = 1
    confirm: Later[Confirm] = None
    rules: tuple[StoredRule, ...]
    results: dict[str, tuple[int, int]]
    trainings: Later[dict[str, dict[int, tuple[int, int]]]] = None
    asked: dict[str, str]

    @property
    def first_other_seed(self) -> int:
        """From this number on no seed is one that the search has chosen by, or can."""
        return self.replicate + (self.confirm.most if self.confirm else self.replicates)

    def cost(self, space: Space, network: Network) -> Cost:
        """What a network costs; its latency is known only in the search's own space, whose parts its table has."""
        return cost_with_latency(self.latency_table if space == self.space else None, space, network)

    @classmethod
    def parse(cls, text: str | bytes) -> Snapshot:
        """Read and check.

        Raises:
            CorruptState: not a snapshot, or not of this format.
        """
        try:
            return cls.model_validate_json(text)
        except (ValidationError, InvalidSpec) as error:
            raise CorruptState(f"not the stored state of a search: {error}") from error
