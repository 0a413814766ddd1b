"""How much work a search has left: the search played on to its end with guessed gains."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

from rcas.greedy import Blocked, Known, Problem, RuleState, decide
from rcas.space import Network
from rcas.trained import Trained

SHRINKAGE = Fraction(3, 4)
"""A gain measured again over what it was before, as is typical where returns diminish."""


def forecast(problem: Problem, states: Iterable[RuleState], known: Known) -> set[Network]:
    """The networks that will probably still be trained until every rule has ended, speculation not counted.

    Before the first gains are known only what is asked for at once. Further trainings that confirm a choice are not
    foreseen.
    """
    problem = replace(problem, confirm=None)
    guessed = dict[Network, Fraction]()
    for state in states:
        _play_on(problem, state, {**known, **guessed}, guessed)
    return guessed.keys() - known.keys()


def trainings_left(networks: Iterable[Network], known: Trained) -> int:
    """How many trainings these networks still need until their F is known."""
    return sum(len(known.missing(network)) for network in networks)


def _play_on(
    problem: Problem, state: RuleState, known: dict[Network, Fraction], guessed: dict[Network, Fraction]
) -> None:
    while True:
        state, outcome = decide(problem, state, known)
        if not isinstance(outcome, Blocked):
            return
        gains = {candidate.network: candidate.gain for candidate in state.queue}
        base = known.get(state.network)
        if base is None or any(gains[network] is None for network in outcome.networks):
            guessed.update(dict.fromkeys(outcome.networks, Fraction(0)))
            return
        for network in outcome.networks:
            known[network] = guessed[network] = base + (gains[network] or 0) * SHRINKAGE
