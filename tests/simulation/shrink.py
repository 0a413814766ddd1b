"""Makes a failing schedule of faults short: leaves out what the failure does not need."""

from __future__ import annotations

from collections.abc import Callable

from simulation.faults import Fault
from simulation.history import run

SHORT_S = (0.5, 5.0, 30.0)


def shrink(seed: int, faults: list[Fault], promise: str) -> list[Fault]:
    """The shortest schedule found with which the history of `seed` still breaks the promise."""

    def fails(some: list[Fault]) -> bool:
        return run(seed, some).broken == promise

    return _shortened(thinned(faults, fails), fails)


def thinned(faults: list[Fault], fails: Callable[[list[Fault]], bool]) -> list[Fault]:
    """Delta debugging (Zeller and Hildebrandt, 2002): leave out ever smaller parts while it still fails."""
    parts = 2
    while len(faults) >= 2:
        size = -(-len(faults) // parts)
        for start in range(0, len(faults), size):
            rest = faults[:start] + faults[start + size :]
            if fails(rest):
                faults, parts = rest, max(2, parts - 1)
                break
        else:
            if size == 1:
                break
            parts = min(len(faults), 2 * parts)
    return [] if faults and fails([]) else faults


def _shortened(faults: list[Fault], fails: Callable[[list[Fault]], bool]) -> list[Fault]:
    """Each fault as short as can be."""
    for index, fault in enumerate(faults):
        for seconds in SHORT_S:
            shorter = [*faults[:index], fault._replace(seconds=seconds), *faults[index + 1 :]]
            if seconds < fault.seconds and fails(shorter):
                faults = shorter
                break
    return faults
