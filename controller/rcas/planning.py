"""What to train next: first what decisions are blocked on, then what the next decisions will probably need.

Speculation never changes an outcome: it only makes results known before they are asked for.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain

from rcas.greedy import Blocked, Known, Problem, RuleState, decide
from rcas.space import Network

SHRINKAGE: tuple[Fraction, ...] = (Fraction(3, 4), Fraction(0), Fraction(1))
"""Guesses of a refreshed gain over its stale one: typical; none holds, so the whole queue is refreshed; all hold."""


def plan(problem: Problem, states: Iterable[RuleState], known: Known, *, speculate: bool = True) -> Iterator[Network]:
    """The networks worth training now, the most urgent first, without repetition, shared over the rules."""
    states = [state for state in states if state.stopped is None]
    blocked = [decide(problem, state, known)[1] for state in states]
    demanded = _in_turns([iter(b.networks) for b in blocked if isinstance(b, Blocked)])
    futures = [_future(problem, state, known, shrinkage) for shrinkage in SHRINKAGE for state in states]
    seen = set[Network]()
    for network in chain(demanded, _in_turns(futures) if speculate else ()):
        if network not in known and network not in seen:
            seen.add(network)
            yield network


def _future(problem: Problem, state: RuleState, known: Known, shrinkage: Fraction) -> Iterator[Network]:
    """What `decide` would be blocked on, one after the other, if every refreshed gain came out as guessed."""
    imagined = ChainMap(dict[Network, Fraction](), dict(known))
    while True:
        state, outcome = decide(problem, state, imagined)
        if not isinstance(outcome, Blocked) or state.network not in imagined:
            return
        gains = {c.network: c.gain for c in state.queue}
        # An element that nobody has measured is guessed to be as poor as the poorest, so as not to bet on it.
        poorest = min((gain for gain in gains.values() if gain is not None), default=None)
        base = imagined[state.network]
        for network in outcome.networks:
            gain = gains[network]
            if gain is None and poorest is None:
                return
            imagined[network] = base + (gain * shrinkage if gain is not None else poorest)
            yield network


def _in_turns(iterators: list[Iterator[Network]]) -> Iterator[Network]:
    while iterators:
        running = list[Iterator[Network]]()
        for iterator in iterators:
            for network in iterator:
                yield network
                running.append(iterator)
                break
        iterators = running


def forecast(problem: Problem, states: Iterable[RuleState], known: Known) -> set[Network]:
    """The networks that will probably still be trained until the search ends, if gains shrink as is typical."""
    running = [state for state in states if state.stopped is None]
    return {network for state in running for network in _future(problem, state, known, SHRINKAGE[0])} - known.keys()
