"""A value that many threads ask for and one makes, not more often than it is good for."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from rcas.clock import Clock
from rcas.errors import RcasError

T = TypeVar("T")
SHARE = 0.1
"""Of the time that making a value may take at most: what costs a second is made every ten."""
LONGEST_S = 300.0
"""No value is kept longer."""


class Once(Generic[T]):
    """Keeps a value for a while.

    While one thread makes it anew, the others get the one before; the first time they wait.

    Args:
        make: makes the value. An RcasError is kept like one, and raised for everybody.
        clock: tells how long it took.
        keep_s: seconds for which a value is good.
    """

    def __init__(self, make: Callable[[], T], clock: Clock, keep_s: float) -> None:
        self._make, self._clock, self._keep_s = make, clock, keep_s
        self._lock = threading.Lock()
        self._kept: _Kept[T] | None = None

    def get(self) -> T:
        """The value. Raises what `make` raised."""
        kept = self._kept
        if kept is None or not kept.good_for_s > self._clock.now() - kept.made_at >= 0:
            if self._lock.acquire(blocking=kept is None):
                try:
                    if self._kept is kept:
                        self._kept = self._made()
                finally:
                    self._lock.release()
            kept = self._kept
        assert kept
        if isinstance(kept.outcome, RcasError):
            raise kept.outcome.with_traceback(None)
        return kept.outcome

    def _made(self) -> _Kept[T]:
        began = self._clock.now()
        try:
            outcome = self._make()
        except RcasError as error:
            outcome = error
        ended = self._clock.now()
        return _Kept(outcome, ended, min(LONGEST_S, max(self._keep_s, (ended - began) / SHARE)))


@dataclass(frozen=True, slots=True)
class _Kept(Generic[T]):
    """`made_at`: in seconds since 1970. A clock that is put back makes it bad at once."""

    outcome: T | RcasError
    made_at: float
    good_for_s: float
