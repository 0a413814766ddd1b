"""How many networks a search trains, rule by rule: naive greedy, lazy greedy, and what rcas adds to it.

    naive   every element that fits is trained at every step, nothing is remembered (Algorithm 1)
    lazy    the queue of Algorithm 2; every position's measurement is a training
    same    + positions that give the same network share one training
    shared  + the rules share their trainings (the whole of rcas, without speculation)

Prints a table in Markdown. On the smooth functions all four must take the same paths, which is checked. With noise
returns do not always diminish; then lazy greedy may leave naive's path, and the table says how many rules' paths do.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from statistics import mean, stdev
from typing import NamedTuple

from synthetic import BUDGET, SHARES, SPACE, SetFunction, noisy, smooth

from rcas import Network, Search

# The references that the core's tests hold the queue against; they share no code with it.
sys.path.append(str(Path(__file__).parents[1] / "tests"))
from core.reference import Rules, lazy_greedy, naive_greedy

RULES = ("UC", "APR", "AMR")
SEEDS = range(5)
KNOWN_NAIVE, KNOWN_SHARED = 7_443, 437
"""An earlier simulation's figures for three rules."""

Row = list[int]


def searched(counts: SetFunction, *rules: str) -> Search:
    search = Search(SPACE, BUDGET, rules)
    while not search.done:
        for evaluation in search.ask(1):
            correct, total = counts(evaluation.network)
            search.tell(evaluation.key, correct=correct, total=total)
    return search


def path_of(search: Search, rule: str) -> list[Network]:
    return [point.network for point in search.result.rules[rule].path[1:]]


class Measured(NamedTuple):
    """Both searches of one function.

    Attributes:
        rows: trainings by rule, then of all rules, by method.
        lazy_differs, ours_differ: how many paths of lazy greedy, and of rcas, are not naive greedy's.
        naive_best, our_best: the networks that they return.
    """

    rows: dict[str, Row]
    lazy_differs: int
    ours_differ: int
    naive_best: Network
    our_best: Network


def measure(counts: SetFunction) -> Measured:
    known = dict[Network, Fraction]()

    def accuracy(network: Network) -> Fraction:
        if network not in known:
            known[network] = Fraction(*counts(network))
        return known[network]

    rows = dict[str, Row]()
    lazy_differs = ours_differ = 0
    ends = list[Network]()
    together = searched(counts, *RULES)
    for rule in RULES:
        problem = Rules(SPACE, BUDGET, rule)
        naive, lazy = naive_greedy(accuracy, problem), lazy_greedy(accuracy, problem, share=False)
        alone = searched(counts, rule)
        assert path_of(alone, rule) == path_of(together, rule)
        ends.append(naive.path[-1][1])
        rows[rule] = [naive.evaluations, lazy.evaluations, alone.result.evaluations]
        lazy_differs += lazy.path != naive.path
        ours_differ += path_of(together, rule) != [network for _, network in naive.path]
    rows["all"] = [*(sum(column) for column in zip(*rows.values(), strict=True)), together.result.evaluations]
    assert together.result.best is not None
    return Measured(rows, lazy_differs, ours_differ, max(ends, key=accuracy), together.result.best.network)


def spread(values: list[int]) -> str:
    return f"{mean(values):,.0f} ± {stdev(values):.0f}"


def expected(profile: str, network: Network) -> float:
    """Its accuracy without the noise: what a search is really after."""
    correct, total = smooth(profile)(network)
    return correct / total


def print_row(function: str, rule: str, cells: list[str]) -> None:
    print("| " + " | ".join([function, rule, *cells]) + " |", flush=True)


def print_smooth(profile: str) -> Row:
    found = measure(smooth(profile))
    assert not found.lazy_differs, "lazy greedy left naive greedy's path"
    assert not found.ours_differ, "rcas left naive greedy's path"
    best = 100 * expected(profile, found.our_best)
    for rule, row in found.rows.items():
        last = ["0, 0 of 3", f"{best:.2f}, {best:.2f}"] if rule == "all" else ["", ""]
        print_row(f"smooth, {profile}", rule, [f"{n:,}" for n in row] + [""] * (4 - len(row)) + last)
    return found.rows["all"]


def print_noisy(profile: str, make: Callable[[int], SetFunction]) -> None:
    found = [measure(make(seed)) for seed in SEEDS]
    for rule in (*RULES, "all"):
        columns = zip(*(one.rows[rule] for one in found), strict=True)
        cells = [spread(list(column)) for column in columns]
        last = ["", ""]
        if rule == "all":
            differ = sum(one.lazy_differs for one in found), sum(one.ours_differ for one in found)
            naive = mean(100 * expected(profile, one.naive_best) for one in found)
            ours = mean(100 * expected(profile, one.our_best) for one in found)
            last = [f"{differ[0]}, {differ[1]} of {len(RULES) * len(SEEDS)}", f"{naive:.2f}, {ours:.2f}"]
        print_row(f"noisy, {profile}", rule, cells + [""] * (4 - len(cells)) + last)


def main() -> None:
    print(
        "| function | rule | naive | lazy | + same network | + shared over rules "
        "| paths off naive's: lazy, rcas | best, noise taken off, %: naive, rcas |"
    )
    print("|---|---|---:|---:|---:|---:|---:|---:|")
    shown = {profile: print_smooth(profile) for profile in SHARES}
    naive, *_, shared = shown["middle"]
    assert abs(naive - KNOWN_NAIVE) < 0.05 * KNOWN_NAIVE, naive
    assert shared <= KNOWN_SHARED, shared
    for profile in SHARES:
        print_noisy(profile, lambda seed, profile=profile: noisy(profile, seed))


if __name__ == "__main__":
    main()
