"""How long calls take on this machine."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rcas.timing import Times

Call = Callable[[], object]


def measure(
    calls: Sequence[Call],
    *,
    runs: int,
    warm_up: int,
    done: Callable[[int], None] = lambda _rounds: None,
    clock: Callable[[], int] = time.perf_counter_ns,
) -> list[Times]:
    """Time each call `runs` times.

    The calls take turns, so that a machine that becomes slower or faster on the way does so for all of them, and
    their times can be compared. A call that only starts work, as on a GPU, must wait for its end itself.

    Args:
        calls: what to time, one after the other in every round.
        runs: timed rounds, at least 1.
        warm_up: rounds before them that are not timed: first calls allocate, compile and fill caches.
        done: called after every timed round with the number of rounds so far.
        clock: in nanoseconds.

    Returns:
        One summary for each call, in their order.
    """
    samples: list[list[int]] = [[] for _ in calls]
    with _without_garbage_collection():
        for _ in range(warm_up):
            for call in calls:
                call()
        for finished in range(1, runs + 1):
            for call, times in zip(calls, samples, strict=True):
                began = clock()
                call()
                times.append(clock() - began)
            done(finished)
    return [Times.of(one) for one in samples]


@contextmanager
def _without_garbage_collection() -> Generator[None]:
    # A collection can start inside any call and takes milliseconds.
    was_on = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
