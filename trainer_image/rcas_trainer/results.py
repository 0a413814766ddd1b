"""The result object of an evaluation: written once, never changed."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from rcas.errors import CorruptState
from rcas.evaluation import Result, Task
from rcas_trainer.errors import log
from rcas_trainer.files import create_file


def read_result(path: Path, task: Task) -> Result | None:
    """The task's result, or None if there is none yet.

    Raises:
        CorruptState: what lies there is not a result of this task.
    """
    try:
        result = Result.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise CorruptState(f"{path} is not a readable result; move it away and try again") from error
    if (result.key, result.protocol_sha256) != (task.key, task.protocol.sha256):
        raise CorruptState(f"{path} is the result of another evaluation, {result.key}, not of {task.key}")
    return result


def write_result(path: Path, result: Result, task: Task) -> Result:
    """Write the result if none is there; the first one stands.

    Returns:
        The result that stands.

    Raises:
        CorruptState: what is there already is not a result of this task.
        OSError: it cannot be written.
    """
    try:
        create_file(path, result.model_dump_json(indent=1).encode() + b"\n")
    except FileExistsError:
        standing = read_result(path, task)
        if standing is None:
            raise
        log(f"{path} is there already and stands")
        return standing
    return result
