"""The simulated time and what is to happen in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from heapq import heappop, heappush
from itertools import count
from typing import Any

Act = Callable[[], None]
Appointment = list[Any]
"""[when, number, what]; a cancelled one has None for what."""

BEGIN = 1_767_225_600.0
"""2026-01-01T00:00:00Z."""


class Timeline:
    """Runs what is due, in order of time, then of appointment. The one loop of a history; nothing else waits."""

    def __init__(self) -> None:
        self.now = BEGIN
        self._due: list[Appointment] = []
        self._numbers = count()

    def after(self, seconds: float, act: Act) -> Appointment:
        """Have `act` called in so many seconds."""
        appointment: Appointment = [self.now + seconds, next(self._numbers), act]
        heappush(self._due, appointment)
        return appointment

    def run_until(self, when: float) -> None:
        """Let everything happen until then. What happens may itself run the time on."""
        due = self._due
        while due and due[0][0] <= when:
            at, _, act = heappop(due)
            if act is not None:
                if at > self.now:
                    self.now = at
                act()
        if when > self.now:
            self.now = when

    def run_for(self, seconds: float) -> None:
        """Let everything happen for so long."""
        self.run_until(self.now + seconds)


def cancel(appointment: Appointment | None) -> None:
    """What was to happen does not."""
    if appointment is not None:
        appointment[2] = None


def timestamp(seconds: float) -> str:
    """As Kubernetes writes a time."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
