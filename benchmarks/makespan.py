"""How long a search takes with P workers, with and without speculation: a simulation of discrete events.

A training takes time in proportion to its network's MAdds, with a seeded lognormal spread; a free worker takes the
first evaluation that `Search.ask(P)` gives and that nobody runs; a running training is never stopped. Asking and
telling take no time here; `decisions.py` measures them. The unit of time is the training of a network of 50M MAdds.

Prints a table in Markdown: time until the search is decided, its speed-up over one worker, trainings started, those
that no decision read (wasted; those still running at the end among them), and the share of the workers' time in use.
"""

from __future__ import annotations

import argparse
import heapq
import math
import random
from typing import NamedTuple

from synthetic import BUDGET, SPACE, SetFunction, noisy, smooth

from rcas import Search

WORKERS = (1, 4, 16, 64, 256)
UNIT_MADDS = 50_000_000
SPREAD = 0.15
"""Standard deviation of the logarithm of a duration."""


class Outcome(NamedTuple):
    """One simulated search. Times in trainings of UNIT_MADDS."""

    makespan: float
    trained: int
    wasted: int
    busy: float
    best: str


def simulate(counts: SetFunction, workers: int, *, speculate: bool, seed: int = 0) -> Outcome:
    """Run one search on `workers` simulated workers."""
    search, durations = Search(SPACE, BUDGET), random.Random(seed)
    now, busy, ends, running, started = 0.0, 0.0, list[tuple[float, str]](), dict[str, tuple[int, int]](), 0
    while not search.done:
        for evaluation in search.ask(workers, speculate=speculate):
            if len(running) < workers and evaluation.key not in running:
                spread = math.exp(durations.gauss(0, SPREAD))
                duration = SPACE.madds(evaluation.network) / UNIT_MADDS * spread
                heapq.heappush(ends, (now + duration, evaluation.key))
                running[evaluation.key] = counts(evaluation.network)
                started, busy = started + 1, busy + duration
        now, key = heapq.heappop(ends)
        correct, total = running.pop(key)
        search.tell(key, correct=correct, total=total)
    busy -= sum(end - now for end, _ in ends)
    result = search.result
    assert result.best is not None
    return Outcome(now, started, started - result.demanded, busy / (now * workers), str(result.best.network))


def main() -> None:
    parser = argparse.ArgumentParser(description="Simulated time of a search with many workers.")
    parser.add_argument("--workers", type=int, nargs="+", default=WORKERS)
    workers = parser.parse_args().workers
    print("| function | P | speculation | time | speed-up | trained | wasted | in use |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for name, counts in (("smooth", smooth()), ("noisy", noisy())):
        alone = simulate(counts, 1, speculate=False)
        for count in workers:
            for speculate in (False, True):
                found = simulate(counts, count, speculate=speculate)
                assert found.best == alone.best
                speed_up = alone.makespan / found.makespan
                print(
                    f"| {name} | {count} | {'yes' if speculate else 'no'} | {found.makespan:.1f} | {speed_up:.2f} "
                    f"| {found.trained:,} | {found.wasted:,} | {found.busy:.0%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
