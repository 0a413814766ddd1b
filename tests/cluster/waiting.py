"""Waiting, always with a deadline."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(what: str, seen: Callable[[], T], *, within_s: float = 60, every_s: float = 0.3) -> T:
    """The first truthy value of `seen`, or a failure that says what was waited for and what was seen last."""
    deadline = time.monotonic() + within_s
    while True:
        found = seen()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within_s:g} s for {what}; last seen: {found!r}")
        time.sleep(every_s)
