"""Errors, named by what the caller must do.

RcasError
├── InvalidSpec    mend the input; the command line exits with code 2
├── Unavailable    try again later: a store or a cluster does not answer
├── Conflict       reload: another writer committed first, or a different result is already there
├── Fenced         exit: another controller has taken this search over
├── CorruptState   stop: what the store holds is not what a controller wrote
└── SearchFailed   read the message: an evaluation cannot succeed, so the search cannot go on
"""

from __future__ import annotations

from typing import Any


class RcasError(Exception):
    """Base of every error that rcas raises on purpose."""


class InvalidSpec(RcasError, ValueError):
    """The input cannot be used; says which field, what it was, and what is allowed."""

    def __init__(self, field: str, *, got: Any, allowed: str) -> None:
        self.field, self.got, self.allowed = field, got, allowed
        super().__init__(f"{field}: got {_shown(got)!r}, allowed: {allowed}")

    @classmethod
    def relayed(cls, line: str) -> InvalidSpec:
        """The error that another process has put into this line."""
        error = cls("", got="", allowed="")
        error.args = (line,)
        return error


class Unavailable(RcasError):
    """A store or a cluster does not answer now. Try again later."""


class Conflict(RcasError):
    """Somebody else wrote first. Reload and decide again."""


class Fenced(RcasError):
    """Another controller owns this search. Exit without writing."""


class CorruptState(RcasError):
    """Stored data is unreadable or breaks its own checks. Stop and look."""


class SearchFailed(RcasError):
    """An evaluation cannot succeed, so no decision can be taken."""


def one_line(text: object, longest: int = 300) -> str:
    """`text` as one line that a terminal and a log can show: what others wrote may hold escape sequences."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in str(text)).split())
    return line if len(line) <= longest else f"{line[: longest - 3]}..."


def _shown(got: Any) -> str:
    try:
        text = got if isinstance(got, str) else repr(got)
    except (ValueError, RecursionError):
        # Python prints neither an integer of more than 4,300 digits nor what is nested a thousand deep.
        return f"a {type(got).__name__} too large to print"
    return text if len(text) <= 120 else text[:117] + "..."
