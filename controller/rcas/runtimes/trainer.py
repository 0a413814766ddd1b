"""One question to a trainer process of this machine, and its answer."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from pydantic import ValidationError

from rcas.errors import InvalidSpec, SearchFailed
from rcas.evaluation import Model
from rcas.messages import EXIT_INVALID

M = TypeVar("M", bound=Model)


def ask(
    command: str,
    question: Model,
    answer: type[M],
    *,
    cannot: str,
    threads: int = 1,
    heard: Callable[[bytes], None] = lambda _line: None,
) -> M:
    """Run `python -m rcas_trainer COMMAND` with a question on its standard input.

    Args:
        command: of the trainer.
        question: goes to it as JSON.
        answer: what its last line must be.
        cannot: what did not happen if it ends otherwise, such as `describe the data`.
        threads: of its numeric libraries.
        heard: called with every line of its standard output.

    Raises:
        InvalidSpec: it says that its input cannot be used, or that something is not installed.
        SearchFailed: it ended otherwise; with its last words.
    """
    last = b""
    with tempfile.TemporaryFile() as complaints:
        with subprocess.Popen(
            [sys.executable, "-m", "rcas_trainer", command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=worker_environment(threads),
        ) as process:
            try:
                assert process.stdin
                assert process.stdout
                # One that ended at once, say because something is not installed, reads nothing and has last words.
                with suppress(BrokenPipeError):
                    process.stdin.write(question.model_dump_json().encode())
                    process.stdin.close()
                for last in process.stdout:
                    heard(last)
            except BaseException:
                process.kill()
                raise
        complaints.seek(0)
        words = complaints.read().decode(errors="replace").strip().splitlines()
    line = words[-1].removeprefix("rcas-trainer: ") if words else f"exit code {process.returncode}"
    if process.returncode == EXIT_INVALID:
        raise InvalidSpec.relayed(line)
    if process.returncode == 0:
        with suppress(ValidationError):
            return answer.model_validate_json(last)
    raise SearchFailed(f"the trainer cannot {cannot}: {line}")


def worker_environment(threads: int) -> dict[str, str]:
    """This process's environment with the thread counts of the numeric libraries set."""
    count = str(threads)
    return {**os.environ, "OMP_NUM_THREADS": count, "MKL_NUM_THREADS": count, "OPENBLAS_NUM_THREADS": count}
