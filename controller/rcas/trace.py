"""Why each block was accepted: a search replayed from its results, decision by decision."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from rcas.greedy import Blocked, Candidate, Known, Problem, Rule, RuleState, start, transition
from rcas.space import Network


class Weighed(NamedTuple):
    """A candidate at the moment of a decision; positions that give the same network are one.

    Attributes:
        stale: the gain that it had before this decision measured it again; None if it was not measured again,
            or never before.
        fresh: measured for the network that the decision extends.
    """

    candidate: Candidate
    stale: Fraction | None
    fresh: bool


class Decision(NamedTuple):
    """One accepted block.

    Attributes:
        before, after: the rule's state around it.
        weighed: all candidates that could be picked, the winner first, in queue order.
    """

    before: RuleState
    after: RuleState
    weighed: tuple[Weighed, ...]


def trace(problem: Problem, rule: Rule, known: Known) -> Iterator[Decision]:
    """The decisions of `rule` as far as `known` allows, in order."""
    state, stale = start(problem, rule), dict[Network, Fraction | None]()
    while state.stopped is None:
        following = transition(problem, state, known)
        if isinstance(following, Blocked):
            return
        if len(following.path) > len(state.path):
            yield Decision(state, following, tuple(_weigh(state, stale)))
            stale = {}
        elif following.stopped is None:
            stale |= _remeasured(state, following)
        state = following


def _remeasured(before: RuleState, after: RuleState) -> dict[Network, Fraction | None]:
    now = len(after.path)
    fresh = {c.network for c in after.queue if c.gain is not None and c.measured_at == now}
    return {c.network: c.gain for c in before.queue if c.network in fresh and (c.gain is None or c.measured_at < now)}


def _weigh(state: RuleState, stale: dict[Network, Fraction | None]) -> Iterator[Weighed]:
    seen = set[Network]()
    for candidate in state.queue:
        if candidate.network not in seen:
            seen.add(candidate.network)
            fresh = candidate.measured_at == len(state.path)
            yield Weighed(candidate, stale.get(candidate.network), fresh)
