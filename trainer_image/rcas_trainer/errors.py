"""Errors of one evaluation, beside `rcas.errors`, and the one place that knows torch's.

RcasError
├── InvalidSpec    the task or its data cannot be used: exit code 2
├── Unavailable    a store does not answer now; ends a training only after long patience
├── Refused        a store will not do it, now or later: mend credentials, permissions or the address
├── TooLarge       an object is larger than what belongs there can be
├── CorruptState   a foreign or broken result is in the result's place
├── OutOfMemory    exit code 3
└── Interrupted    asked to stop; the same task goes on from its checkpoint: exit code 75
"""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager

from pydantic import ValidationError

from rcas.errors import InvalidSpec, RcasError, one_line

_ALLOCATION_MESSAGES = ("can't allocate memory", "not enough memory", "CUDA out of memory")


class OutOfMemory(RcasError):
    """The machine's or the GPU's memory did not suffice."""


class Refused(RcasError):
    """A store answers, and will not do it: credentials, permissions, or an address that is wrong."""


class TooLarge(RcasError):
    """An object has more bytes than what belongs there can have. It is not read."""


class Interrupted(RcasError):
    """Asked to stop before the result was written. `kept`: a checkpoint has what was trained."""

    def __init__(self, message: str, *, kept: bool = False) -> None:
        super().__init__(message)
        self.kept = kept


@contextmanager
def translated_memory_errors() -> Generator[None]:
    """Turn every form that a failed allocation takes into OutOfMemory."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not ran_out_of_memory(error):
            raise
        raise OutOfMemory(f"out of memory: {first_line(error)}") from error


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether torch or Python says that an allocation failed. torch has a type for it on the GPU only."""
    if isinstance(error, MemoryError):
        return True
    is_torch = type(error).__name__ == "OutOfMemoryError"
    return is_torch or any(message in str(error) for message in _ALLOCATION_MESSAGES)


def first_line(error: BaseException) -> str:
    """One line for people: the message's first, or the error's name if it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def invalid(what: str, error: ValidationError) -> InvalidSpec:
    """One line out of pydantic's many: the first problem and how many more there are."""
    problems = error.errors(include_url=False)
    # A part with a space tells which of several models was meant; fields have none.
    fields = [part for part in map(str, problems[0]["loc"]) if " " not in part]
    where = one_line(".".join([what, *fields]))
    more = f" (and {len(problems) - 1} problems more)" if len(problems) > 1 else ""
    return InvalidSpec(where, got=problems[0]["input"], allowed=problems[0]["msg"] + more)


def log(line: str) -> None:
    """One line for people, on standard error."""
    print(f"rcas-trainer: {one_line(line, 2000)}", file=sys.stderr, flush=True)
