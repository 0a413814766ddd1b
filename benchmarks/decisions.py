"""What the core itself costs: time of decisions, of asking and of storing, at every state of a CIFAR-size search.

Prints a table in Markdown; times are CPU time of this process. Fails if a decision step takes 50 ms or more, or the
whole search 10 s or more.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import mean
from typing import TypeVar

from synthetic import BUDGET, SPACE, SetFunction, noisy, smooth

from rcas import Search
from rcas.space import cost_of_network

STEP_LIMIT_MS, SEARCH_LIMIT_S = 50, 10

T = TypeVar("T")


def timed(times: list[float], call: Callable[[], T]) -> T:
    before = time.process_time()
    result = call()
    times.append(1000 * (time.process_time() - before))
    return result


def whole_search(counts: SetFunction) -> tuple[float, int]:
    """CPU seconds of a search with an instant F, and how many results it was told."""
    cost_of_network.cache_clear()
    search, told, before = Search(SPACE, BUDGET), 0, time.process_time()
    while not search.done:
        for evaluation in search.ask(1):
            correct, total = counts(evaluation.network)
            search.tell(evaluation.key, correct=correct, total=total)
            told += 1
    return time.process_time() - before, told


def every_state(counts: SetFunction) -> dict[str, list[float]]:
    """The times of each operation at each state of one search."""
    cost_of_network.cache_clear()
    search = Search(SPACE, BUDGET)
    times = {name: list[float]() for name in ("tell", "ask(1)", "ask(32)", "ask(256)", "to_json", "from_json")}
    while not search.done:
        stored = timed(times["to_json"], search.to_json)
        # What is only asked for here would otherwise swell the stored search.
        asked = timed(times["from_json"], partial(Search.from_json, stored))
        for count in (256, 32):
            timed(times[f"ask({count})"], partial(asked.ask, count))
        (evaluation,) = timed(times["ask(1)"], partial(search.ask, 1))
        correct, total = counts(evaluation.network)
        timed(times["tell"], partial(search.tell, evaluation.key, correct=correct, total=total))
    return times


def main() -> None:
    print("| function | what | mean ms | worst ms | a second |")
    print("|---|---|---:|---:|---:|")
    for name, counts in (("smooth", smooth()), ("noisy", noisy())):
        for what, times in every_state(counts).items():
            print(f"| {name} | {what} | {mean(times):.2f} | {max(times):.1f} | {1000 / mean(times):,.0f} |")
            assert what != "tell" or max(times) < STEP_LIMIT_MS, "a decision step is too slow"
        seconds, told = whole_search(counts)
        print(f"| {name} | whole search, ask(1) and {told} tells | {1000 * seconds:,.0f} | | {told / seconds:,.0f} |")
        assert seconds < SEARCH_LIMIT_S, "the whole search is too slow"


if __name__ == "__main__":
    main()
