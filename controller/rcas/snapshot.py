"""The stored form of a search: what decisions have been taken, the queues, and the results they rest on."""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from pydantic import ValidationError

from rcas.budget import Budget
from rcas.errors import CorruptState, InvalidSpec
from rcas.evaluation import Model
from rcas.greedy import Known, Problem, Rule, RuleState, StopPolicy, Tally, enqueue, extend, start
from rcas.space import Element, Space


class StoredRule(Model):
    """A `RuleState` without what follows from the rest.

    Attributes:
        path: (position, block type, accuracy) of each accepted block.
        queue: (position, block type, gain, accepted blocks when it was measured), the top first.
    """

    rule: Rule
    started: bool
    path: tuple[tuple[int, int, Fraction], ...]
    queue: tuple[tuple[int, int, Fraction | None, int], ...]
    submodularity: tuple[int, int, Fraction, Fraction]
    monotonicity: tuple[int, int, Fraction, Fraction]
    measured: tuple[str, ...]
    offered: int
    stopped: str | None

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
            offered=state.offered,
            stopped=state.stopped,
        )

    def restore(self, problem: Problem, known: Known) -> RuleState:
        """The state that was stored; keys and costs are computed anew."""
        state = start(problem, self.rule)
        if self.started:
            state = RuleState(self.rule, state.network, known[state.network], state.filled)
        for position, block, accuracy in self.path:
            state = extend(problem, state, Element(position, block), accuracy)
        entries = [(Element(position, block), gain, at) for position, block, gain, at in self.queue]
        state = enqueue(problem, state, entries)
        return RuleState(
            rule=self.rule,
            network=state.network,
            accuracy=state.accuracy,
            filled=state.filled,
            queue=state.queue,
            parked=state.parked,
            path=state.path,
            submodularity=Tally(*self.submodularity),
            monotonicity=Tally(*self.monotonicity),
            measured=frozenset(problem.space.network(name) for name in self.measured),
            offered=self.offered,
            stopped=self.stopped,
        )


class Snapshot(Model):
    """A whole search.

    Attributes:
        results: (correct, total) by network.
        asked: networks by key that were asked for and not told yet.
    """

    format: Literal[1] = 1
    space: Space
    budget: Budget
    stop: StopPolicy
    min_gain: Fraction | None
    max_blocks: int | None
    protocol: str
    replicate: int
    rules: tuple[StoredRule, ...]
    results: dict[str, tuple[int, int]]
    asked: dict[str, str]

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
