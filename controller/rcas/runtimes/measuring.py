"""Times that a trainer process takes on this machine."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable

from pydantic import ValidationError

from rcas.errors import InvalidSpec, SearchFailed
from rcas.messages import EXIT_INVALID, PartsAnswer, PartsQuestion, Round
from rcas.runtimes.local import worker_environment


def time_parts(asked: PartsQuestion, done: Callable[[int], None]) -> PartsAnswer:
    """Let a trainer process time the parts of a space. `done`: called with the number of rounds so far.

    Raises:
        InvalidSpec: a network does not lie in the space, or the trainer is not installed.
        SearchFailed: the process ended otherwise.
    """
    last = b""
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            [sys.executable, "-m", "rcas_trainer", "parts"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=worker_environment(asked.threads),
        ) as process:
            assert process.stdin
            assert process.stdout
            process.stdin.write(asked.model_dump_json().encode())
            process.stdin.close()
            for last in process.stdout:
                try:
                    done(Round.model_validate_json(last).rounds)
                except ValidationError:
                    continue
        complaints.seek(0)
        words = complaints.read().decode(errors="replace").strip().splitlines()
    line = words[-1].removeprefix("rcas-trainer: ") if words else f"exit code {process.returncode}"
    if process.returncode == EXIT_INVALID:
        raise InvalidSpec.relayed(line)
    try:
        return PartsAnswer.model_validate_json(last)
    except ValidationError:
        raise SearchFailed(f"the trainer cannot time the parts: {line}") from None
