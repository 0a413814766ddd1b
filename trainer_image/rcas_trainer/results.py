"""The result object of an evaluation or a final training: written once, never changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError

from rcas.errors import CorruptState
from rcas.evaluation import RESULT_LIMIT_BYTES, Result, Task
from rcas.final import FinalTask
from rcas_trainer.errors import TooLarge, log
from rcas_trainer.objects import StoredObject
from rcas_trainer.patience import READ_S, RESULT_S, never, patiently

R = TypeVar("R", bound=Result)


def read_result(
    stored: StoredObject,
    task: Task | FinalTask,
    stop: Callable[[], bool] = never,
    patience_s: float = READ_S,
    model: type[R] = Result,
) -> R | None:
    """The task's result, or None if there is none yet.

    Args:
        stored: where it lies.
        task: whose result it must be.
        stop: asked while the store does not answer.
        patience_s: how long to go on asking then, in seconds.
        model: of the result.

    Raises:
        CorruptState: what lies there is not a result of this task.
        Interrupted: stop() said so.
        Unavailable: the store did not answer for long.
        Refused: the store will not give it.
    """
    try:
        content = patiently(lambda: stored.read(RESULT_LIMIT_BYTES), patience_s, stop)
        if content is None:
            return None
        result = model.model_validate_json(content)
    except (OSError, TooLarge, ValidationError) as error:
        raise CorruptState(f"{stored.place} is not a readable result; move it away and try again") from error
    if (result.key, result.protocol_sha256) != (task.key, task.protocol.sha256):
        raise CorruptState(f"{stored.place} is the result of another evaluation, {result.key}, not of {task.key}")
    return result


def write_result(stored: StoredObject, result: R, task: Task | FinalTask, stop: Callable[[], bool] = never) -> R:
    """Write the result if none is there; the first one stands.

    Returns:
        The result that stands.

    Raises:
        CorruptState: what is there already is not a result of this task.
        Interrupted: stop() said so while the store did not answer.
        Unavailable: the store did not answer for long.
        Refused: the store will not have it.
        OSError: the file cannot be written.
    """
    content = result.model_dump_json(indent=1).encode() + b"\n"
    if patiently(lambda: stored.create(content), RESULT_S, stop):
        return result
    standing = read_result(stored, task, stop, RESULT_S, type(result))
    if standing is None:
        raise CorruptState(f"{stored.place} was there and is gone: somebody removes results")
    if standing != result:
        log(f"{stored.place} is there already and stands")
    return standing
