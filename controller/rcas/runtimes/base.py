"""What the controller needs of whatever runs trainings."""

from __future__ import annotations

from typing import Literal, NamedTuple, Protocol

from rcas.evaluation import Task

Outcome = Literal["finished", "interrupted", "invalid", "out-of-memory", "error"]


class Attempt(NamedTuple):
    """One try of an evaluation. What it says of itself is a hint; only the result object counts.

    Attributes:
        name: unique within the search.
        outcome: None while it runs.
        message: last words of a failure.
        epoch, epochs: trained so far, of how many. correct, total: validation images right so far.
    """

    name: str
    key: str
    outcome: Outcome | None = None
    message: str = ""
    epoch: int = 0
    epochs: int = 0
    correct: int = 0
    total: int = 0


class Cluster(Protocol):
    """Runs attempts. Every method may raise Unavailable."""

    def launch(self, name: str, task: Task) -> None:
        """Start an attempt. Launching a name again that is known changes nothing."""
        ...

    def observe(self) -> list[Attempt]:
        """All attempts launched and not forgotten, as they are now."""
        ...

    def forget(self, name: str) -> None:
        """Clear away what is left of an attempt that ended."""
        ...

    def wait(self, seconds: float) -> None:
        """Return when something may have changed, after `seconds` at the latest."""
        ...
