"""What may go wrong in a history: a list of faults, each at an I/O by its number. One seed draws the list."""

from __future__ import annotations

from random import Random
from typing import NamedTuple


class Fault(NamedTuple):
    """One fault.

    Attributes:
        io: number of the I/O, counted over all processes from 1, at which it strikes.
        kind: a key of `KINDS`.
        pick: from 0 to 1: which error, which pod, which search ...
        seconds: how long it lasts, or how late it is.
    """

    io: int
    kind: str
    pick: float
    seconds: float

    def __str__(self) -> str:
        return f"{self.io} {self.kind} {self.pick:.4f} {self.seconds:.3f}"

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read what `str` wrote."""
        io, kind, pick, seconds = text.split()
        return cls(int(io), kind, float(pick), float(seconds))


OF_A_REQUEST = {
    "error": 6,
    "lost": 3,
    "lost-write": 4,
    "late": 4,
    "slow": 2,
    "crash-before": 4,
    "crash-after": 4,
    "crash-after-commit": 3,
    "pause-before": 3,
    "pause-after": 3,
}
"""What happens to a request, by weight: it fails undone; it is done and its answer lost; it is done later and its
answer lost; it takes its time; the controller dies before it, after it; stands still before it, after it."""
_WRITES = {
    *("s3 put", "s3 delete", "api create", "api patch", "api delete"),
    *("trainer put", "trainer create", "trainer delete"),
}
WAITS_FOR = {
    "lost-write": _WRITES,
    "late": _WRITES,
    "crash-after-commit": {"s3 put"},
    "overtaken": {"api list", "api next"},
    "compaction": {"api next"},
}
"""Kinds that wait for the next request of these."""
OF_THE_WORLD = {
    "s3-outage": 4,
    "api-outage": 4,
    "compaction": 2,
    "second-controller": 4,
    "overtaken": 5,
    "controller-killed": 3,
    "clock-jump": 4,
    "deaf": 2,
    "full": 2,
    "evicted": 4,
    "preempted": 2,
    "node-pressure": 2,
    "node-lost": 4,
    "node-gone": 1,
    "slow-jobs": 1,
    "slow-gc": 1,
    "job-deleted": 4,
    "oom": 3,
    "killed": 2,
    "pod-deleted": 2,
    "pull": 1,
    "config": 1,
    "foreign-job": 2,
    "copied-job": 2,
    "pause-search": 3,
    "limit": 2,
    "parallelism": 2,
    "cancel": 2,
    "delete": 1,
}
"""What happens around it, by weight: outages, controllers, the clock, the cluster, trainings, users."""
KINDS = OF_A_REQUEST | OF_THE_WORLD
FAILS_AN_ATTEMPT = frozenset({"oom", "killed", "pod-deleted", "pull", "config", "node-lost", "foreign-job"})
"""Kinds that may count as a failed attempt; nothing else may fail a search."""
MOST = 14
HORIZON = 220
"""I/Os in which faults strike; a quiet history has about as many."""

_DURATIONS_S = (0.5, 3.0, 10.0, 40.0, 120.0, 300.0)
_NAMES, _WEIGHTS = list(KINDS), list(KINDS.values())


def draw(random: Random) -> list[Fault]:
    """The faults of a history: none in one of twenty, seldom many."""
    if random.random() < 0.05:
        return []
    count = random.randint(1, MOST)
    horizon = random.choice((40, 100, HORIZON))
    kinds = random.choices(_NAMES, _WEIGHTS, k=count)
    if random.random() < 0.3:
        # What strikes once seldom hurts: some histories have one trouble many times.
        kinds = [random.choice(kinds[: 1 + count // 4]) for _ in kinds]
    found = [
        Fault(
            random.randint(1, horizon),
            kind,
            random.randrange(10_000) / 10_000,
            round(random.choice(_DURATIONS_S) * random.uniform(0.5, 1.5), 3),
        )
        for kind in kinds
    ]
    return sorted(found)
