"""How much of a search is left."""

from __future__ import annotations

from core.builders import budget_with_slack, small_space
from rcas import Search
from rcas.forecast import forecast
from rcas.rehearsal import imagined

SPACE = small_space()


def left(search: Search) -> int:
    return len(forecast(search.problem, search.states, search.known))


def test_what_is_left_falls_to_nothing_and_is_near_the_truth() -> None:
    search, accuracy = Search(SPACE, budget_with_slack(SPACE, 0.7)), imagined(SPACE)["even"]
    guesses = list[int]()
    while not search.done:
        guesses.append(left(search))
        (evaluation,) = search.ask(1, speculate=False)
        correct, total = accuracy(evaluation.network)
        search.tell(evaluation.key, correct=correct, total=total)
    assert left(search) == 0
    truth = range(len(guesses), 0, -1)
    after_first_pass = [(guess, rest) for guess, rest in zip(guesses, truth, strict=True)][len(guesses) // 2 :]
    assert all(abs(guess - rest) <= max(3, rest // 2) for guess, rest in after_first_pass)


def test_nothing_that_is_known_is_left() -> None:
    search = Search(SPACE, budget_with_slack(SPACE, 0.7))
    for evaluation in search.ask(3):
        search.tell(evaluation.key, correct=1, total=2)
    assert forecast(search.problem, search.states, search.known).isdisjoint(search.known)
