"""When an attempt ran, by the wall clock."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

_LATEST = 1e11


@dataclass(frozen=True)
class Stopwatch:
    """Started when it is made.

    Attributes:
        began: seconds since 1970, as the machine's clock said at the start.
    """

    began: float = field(default_factory=time.time)
    _start: float = field(default_factory=time.perf_counter)

    def read(self) -> tuple[float, float] | tuple[None, None]:
        """Beginning and end for a result; neither where the clock is so wrong that a reader would refuse them.

        The end is counted from the beginning, because a clock that is set in between could put it before.
        """
        ended = self.began + time.perf_counter() - self._start
        return (self.began, ended) if self.began >= 0 and ended <= _LATEST else (None, None)
