"""What to train next: first what decisions are blocked on, then what the next decisions will probably need.

Speculation never changes an outcome: it only makes results known before they are asked for. It looks at every rule's
present state and, as in a game tree, at the states that follow if one of its candidates is accepted. The chance that
a network will be asked for decides, under a plain model: a refreshed gain is its stale one times a number between 0
and 1 that is below x with probability x ** PERSISTENCE.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from heapq import heappop, heappush
from itertools import chain, count
from typing import NamedTuple

from rcas.greedy import Blocked, Candidate, Known, Problem, RuleState, decide, enqueue, extend
from rcas.space import Network

PERSISTENCE = 2
"""How well stale gains hold: their mean falls to PERSISTENCE / (PERSISTENCE + 1)."""
LATER = 0.6
"""What a network that is wanted one accepted block later is worth, of one wanted now."""
STATES = 16
"""How many states a plan looks at; bounds its time."""


class Guess(NamedTuple):
    """A state that may come: `before`, or `before` with `top` accepted."""

    before: RuleState
    top: Candidate | None = None


def plan(problem: Problem, states: Iterable[RuleState], known: Known, *, speculate: bool = True) -> Iterator[Network]:
    """The networks worth training now, the most urgent first, without repetition, shared over the rules."""
    decided = [decide(problem, state, known) for state in states if state.stopped is None]
    demanded = _in_turns([iter(blocked.networks) for _, blocked in decided if isinstance(blocked, Blocked)])
    running = [state for state, _ in decided if state.stopped is None and state.accuracy is not None]
    seen = set[Network]()
    for network in chain(demanded, _speculation(problem, running, known) if speculate else ()):
        if network not in known and network not in seen:
            seen.add(network)
            yield network


def _speculation(problem: Problem, states: list[RuleState], known: Known) -> Iterator[Network]:
    numbers, looked_at = count(), 0
    heap: list[tuple[float, int, Network | Guess]] = [(-1.0, next(numbers), Guess(state)) for state in states]
    while heap:
        worth, _, item = heappop(heap)
        if isinstance(item, Network):
            yield item
        elif looked_at < STATES:
            looked_at += 1
            state = _look_at(problem, item, known)
            for candidate, read, accepted in _chances(state, known):
                heappush(heap, (worth * read, next(numbers), candidate.network))
                if accepted > 0 and _may_follow(problem, state, candidate):
                    heappush(heap, (worth * accepted * LATER, next(numbers), Guess(state, candidate)))


def _look_at(problem: Problem, guess: Guess, known: Known) -> RuleState:
    """The guessed state, its queue in the order of what is known of the gains, else of the stale ones."""
    state = guess.before
    if guess.top is not None and guess.top.gain is not None and state.accuracy is not None:
        accuracy = known.get(guess.top.network, state.accuracy + guess.top.gain)
        state = extend(problem, state, guess.top.element, accuracy)
        rest = ((c.element, c.gain, c.measured_at) for c in (*guess.before.queue, *guess.before.parked))
        state = enqueue(problem, state, [entry for entry in rest if entry[0].position not in state.filled])
    base = state.accuracy
    assert base is not None
    fresh = {c.element: known[c.network] - base for c in state.queue if c.network in known}
    if not fresh:
        return state
    entries = [(c.element, fresh.get(c.element, c.gain), c.measured_at) for c in (*state.queue, *state.parked)]
    return enqueue(problem, state, entries)


def _chances(state: RuleState, known: Known) -> Iterator[tuple[Candidate, float, float]]:
    """The candidates that a decision may read, with the chances that it reads and that it accepts them.

    The i-th is read if the gains of all before it fall below its own. A known one is as good as its key says: what
    stands below it is not read.
    """
    distinct = list({c.network: c for c in reversed(state.queue)}.values())[::-1]
    unmeasured = [c for c in distinct if c.gain is None]
    yield from ((candidate, 1.0, 0.0) for candidate in unmeasured)
    measured = distinct[len(unmeasured) :]
    chance = 1.0
    for ahead, candidate in enumerate(measured, start=1):
        certain = candidate.network in known and not unmeasured
        last = certain or ahead == len(measured)
        following = 0.0 if last else chance * _ratio(candidate, measured[ahead]) ** (PERSISTENCE * ahead)
        yield candidate, chance, chance - following
        chance = following
        if certain:
            return


def _ratio(better: Candidate, worse: Candidate) -> float:
    if better.rank[1] >= 0 or worse.rank[1] >= 0:
        return 0.5
    return float(worse.rank[1] / better.rank[1])


def _may_follow(problem: Problem, state: RuleState, top: Candidate) -> bool:
    last = problem.max_blocks is not None and len(state.path) + 1 >= problem.max_blocks
    return not last and problem.budget.fits(problem.cost(top.network))


def _in_turns(iterators: list[Iterator[Network]]) -> Iterator[Network]:
    while iterators:
        running = list[Iterator[Network]]()
        for iterator in iterators:
            for network in iterator:
                yield network
                running.append(iterator)
                break
        iterators = running
