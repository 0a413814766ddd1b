"""`python -m simulation.many --histories 1000000`: many histories, their I/Os and faults by kind, and what broke."""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from simulation.history import Outcome, run

CHUNK = 50


@dataclass
class Summary:
    """What came of many histories.

    Attributes:
        broken: (seed, promise, how) of those that broke one.
        requests, struck: I/Os and faults by kind.
    """

    histories: int = 0
    evaluations: int = 0
    simulated_s: float = 0.0
    took_s: float = 0.0
    longest_s: float = 0.0
    requests: Counter[str] = field(default_factory=Counter[str])
    struck: Counter[str] = field(default_factory=Counter[str])
    broken: list[tuple[int, str, str]] = field(default_factory=list[tuple[int, str, str]])

    def add(self, outcome: Outcome) -> None:
        """Count one history."""
        self.histories += 1
        self.evaluations += outcome.evaluations
        self.simulated_s += outcome.took_s
        self.longest_s = max(self.longest_s, outcome.ended_after_s)
        self.requests += outcome.requests
        self.struck += outcome.struck
        if outcome.broken:
            self.broken.append((outcome.seed, outcome.broken, outcome.how))

    def __str__(self) -> str:
        lines = [
            f"{self.histories:,} histories in {self.took_s:.0f} s ({self.histories / max(self.took_s, 0.001):.0f} a "
            f"second), {self.simulated_s / 86_400:,.0f} simulated days, {self.evaluations:,} evaluations",
            f"{sum(self.requests.values()):,} I/Os: {_counts(self.requests)}",
            f"{sum(self.struck.values()):,} faults: {_counts(self.struck)}",
            f"ended at most {self.longest_s:.0f} s after the last fault",
            f"{len(self.broken)} violations",
        ]
        for seed, promise, how in self.broken[:20]:
            lines.append(f"  seed {seed}: {promise}: {how[:300]}")
            lines.append(f"    cd tests && python -m simulation.replay {seed}")
        return "\n".join(lines)


def many(
    first: int, histories: int, processes: int, tell: Callable[[Summary], None] = lambda _summary: None
) -> Summary:
    """Run the histories of consecutive seeds. `tell` hears of the summary now and again."""
    summary, began = Summary(), time.monotonic()
    # Forked, so that each process has its own interpreter and what is imported is paid for once.
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        for outcome in pool.imap(_run, range(first, first + histories), chunksize=CHUNK):
            summary.add(outcome)
            summary.took_s = time.monotonic() - began
            if summary.histories % 10_000 == 0:
                tell(summary)
    return summary


def _run(seed: int) -> Outcome:
    # The log is long and can be had again from the seed.
    return run(seed)._replace(log=[])


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counter.most_common())


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--histories", type=int, default=10_000)
    arguments.add_argument("--first", type=int, default=0, help="the first seed")
    arguments.add_argument("--processes", type=int, default=multiprocessing.cpu_count())
    given = arguments.parse_args()

    def tell(summary: Summary) -> None:
        print(f"{summary.histories:,} histories, {len(summary.broken)} violations", file=sys.stderr, flush=True)

    summary = many(given.first, given.histories, given.processes, tell)
    print(summary)
    sys.exit(1 if summary.broken else 0)


if __name__ == "__main__":
    main()
