"""What to train next: first what decisions are blocked on, then what the next decisions will probably need.

Speculation never changes an outcome: it only makes results known before they are asked for. It looks at every rule's
present state and, as in a game tree, at the states that follow if one of its best candidates is accepted. In a state
the candidates are wanted in the order of the queue; a state is wanted the less, the less likely it is to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from heapq import heappop, heappush
from itertools import chain, count
from typing import NamedTuple

from rcas.greedy import Blocked, Candidate, Known, Problem, RuleState, decide, enqueue, extend
from rcas.space import Network

SHRINKAGE = Fraction(9, 10)
"""A guess of a refreshed gain over its stale one."""
LATER = 4
"""By how many places a state comes after the one before it, if the likeliest candidate is accepted there."""
UNLIKELIER = 6
"""By how many places more for each candidate that is likelier to be accepted."""
GUESSES = 4
"""How many candidates of one state are thought to be accepted."""
STATES = 24
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
    heap = list[tuple[int, int, Network | Guess]]()
    for state in states:
        heappush(heap, (0, next(numbers), Guess(state)))
    while heap:
        place, _, item = heappop(heap)
        if isinstance(item, Network):
            yield item
        elif looked_at < STATES:
            looked_at += 1
            state = _look_at(problem, item, known)
            contenders = _contenders(state, known)
            unknown = [c.network for c in contenders if c.network not in known]
            for after, network in enumerate(unknown):
                heappush(heap, (place + after, next(numbers), network))
            for after, top in enumerate(_winners(problem, state, contenders, known)):
                heappush(heap, (place + LATER + after * UNLIKELIER, next(numbers), Guess(state, top)))


def _look_at(problem: Problem, guess: Guess, known: Known) -> RuleState:
    """The guessed state, its queue in the order of what is known of the gains, else of the stale ones."""
    state = guess.before
    if guess.top is not None and guess.top.gain is not None and state.accuracy is not None:
        element, network, gain = guess.top.element, guess.top.network, guess.top.gain
        grown = extend(problem, state, element, known.get(network, state.accuracy + gain * SHRINKAGE))
        rest = ((c.element, c.gain, c.measured_at) for c in (*state.queue, *state.parked))
        state = enqueue(problem, grown, [entry for entry in rest if entry[0].position not in grown.filled])
    base = state.accuracy
    assert base is not None
    fresh = {c.element: known[c.network] - base for c in state.queue if c.network in known}
    if not fresh:
        return state
    entries = [(c.element, fresh.get(c.element, c.gain), c.measured_at) for c in (*state.queue, *state.parked)]
    return enqueue(problem, state, entries)


def _contenders(state: RuleState, known: Known) -> list[Candidate]:
    """One candidate for each network that a decision may read: none below a known one, which would be accepted."""
    found = dict[Network, Candidate]()
    for candidate in state.queue:
        found.setdefault(candidate.network, candidate)
        if candidate.network in known and candidate.gain is not None:
            break
    return list(found.values())


def _winners(problem: Problem, state: RuleState, contenders: list[Candidate], known: Known) -> list[Candidate]:
    """The likeliest to be accepted, the likeliest first."""
    if problem.max_blocks is not None and len(state.path) + 1 >= problem.max_blocks:
        return []

    def expected(candidate: Candidate) -> Fraction:
        return candidate.rank[1] * (1 if candidate.network in known else SHRINKAGE)

    measured = [c for c in contenders if c.gain is not None and problem.budget.fits(problem.space.cost(c.network))]
    return sorted(measured, key=expected)[:GUESSES]


def _in_turns(iterators: list[Iterator[Network]]) -> Iterator[Network]:
    while iterators:
        running = list[Iterator[Network]]()
        for iterator in iterators:
            for network in iterator:
                yield network
                running.append(iterator)
                break
        iterators = running
