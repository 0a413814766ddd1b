"""Whether a search may go on: what a user switched off, and what a search may cost at most."""

from __future__ import annotations

from dataclasses import dataclass

from rcas.spec import Limits
from rcas.state import Counters, Phase


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a search launches nothing now.

    Attributes:
        phase: of a search that is held so. message: for people.
        cancels: whether what runs is ended too, with checkpoints.
    """

    phase: Phase
    message: str
    cancels: bool


PAUSED = Hold("Paused", "paused by its user", cancels=True)
CANCELLED = Hold("Cancelled", "cancelled by its user", cancels=True)


def exceeded(limits: Limits, counters: Counters, *, gpu_seconds: float, age_s: float) -> Hold | None:
    """The hold of the first limit that is reached, None if there is none.

    Args:
        limits: as the user set them.
        counters: of what has ended.
        gpu_seconds: of what has ended and of what runs.
        age_s: seconds since the search began.
    """
    if limits.hours is not None and age_s >= limits.hours * 3600:
        return Hold("LimitReached", f"limits.hours: {limits.hours:g} hours are over", cancels=True)
    if limits.gpu_hours is not None and gpu_seconds >= limits.gpu_hours * 3600:
        return Hold("LimitReached", f"limits.gpu_hours: {limits.gpu_hours:g} GPU-hours are used", cancels=True)
    if limits.evaluations is not None and counters.trained >= limits.evaluations:
        return Hold("LimitReached", f"limits.evaluations: {limits.evaluations} are trained", cancels=True)
    return None
