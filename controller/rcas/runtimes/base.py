"""What the controller needs of whatever runs trainings."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from rcas.evaluation import Task
from rcas.final import FinalTask

Outcome = Literal["finished", "interrupted", "lost", "invalid", "out-of-memory", "error"]
"""interrupted: it stopped when asked to; lost: its machine does not answer. Neither is a failure."""


class Timing(NamedTuple):
    """Where the wall time of an attempt went, in seconds; None where it is not known (yet).

    Attributes:
        queued_s: until it had a place to run.
        startup_s: from then until its process began.
        run_s: from then to its end.
        held_s: how long it has held its place so far.
    """

    queued_s: float | None = None
    startup_s: float | None = None
    run_s: float | None = None
    held_s: float | None = None


class Attempt(NamedTuple):
    """One try of an evaluation. What it says of itself is a hint; only the result object counts.

    Attributes:
        name: unique within the search.
        outcome: None while it runs.
        message: last words of a failure, or what a running one waits for.
        epoch, epochs: trained so far, of how many. correct, total: validation images right so far.
        timing: where its time went. gpu_seconds: GPUs that it holds times the seconds it has held them.
    """

    name: str
    key: str
    outcome: Outcome | None = None
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    correct: int = 0
    total: int = 0
    timing: Timing = Timing()
    gpu_seconds: float = 0


class Cluster(Protocol):
    """Runs attempts. Every method may raise Unavailable."""

    def launch(self, name: str, task: Task | FinalTask) -> None:
        """Start an attempt. Launching a name again that is known changes nothing."""
        ...

    def observe(self) -> list[Attempt]:
        """All attempts launched and not forgotten, as they are now."""
        ...

    def cancel(self, name: str) -> None:
        """End a running attempt, with a checkpoint if there is time. Until it has ended it may be observed."""
        ...

    def forget(self, name: str) -> None:
        """Clear away what is left of an attempt that ended."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something may have changed, after `seconds` at the latest."""
        ...
