"""What a Job's container does: one assignment or one inquiry out of its environment."""

from __future__ import annotations

import json
import os
import pwd
import tempfile
import time
from collections.abc import Callable, MutableMapping

from pydantic import ValidationError

from rcas.errors import CorruptState, InvalidSpec
from rcas.evaluation import RESULT_LIMIT_BYTES, Description
from rcas.messages import JOB_VARIABLE, Assignment, Event, FinalAssignment, Inquiry, epoch_line
from rcas_trainer import STARTED_S
from rcas_trainer.errors import TooLarge, invalid, log, translated_memory_errors
from rcas_trainer.fetch import local_source
from rcas_trainer.objects import StoredObject, stored_object
from rcas_trainer.patience import READ_S, RESULT_S, patiently

_THREADS_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def run(stop: Callable[[], bool]) -> None:
    """Carry out what `JOB_VARIABLE` asks for.

    Raises:
        InvalidSpec: it cannot be carried out, now or later.
        Interrupted: stop() said so.
        RcasError: see `evaluate`.
    """
    order = parsed(os.environ.get(JOB_VARIABLE))
    settle(os.environ)
    threads = 1 if isinstance(order, Inquiry) else order.task.protocol.threads
    # Before torch is imported, as for a worker of a local search.
    os.environ.update(dict.fromkeys(_THREADS_VARIABLES, str(threads)))
    if isinstance(order, Inquiry):
        answer(order, stop)
    elif isinstance(order, FinalAssignment):
        finish(order, stop)
    else:
        train(order, stop)


def parsed(text: str | None) -> Assignment | FinalAssignment | Inquiry:
    """Read an order.

    Raises:
        InvalidSpec: it is none of them.
    """
    try:
        fields = json.loads(text or "")
    except (ValueError, RecursionError) as error:
        allowed = "an assignment or an inquiry as JSON"
        raise InvalidSpec(JOB_VARIABLE, got=text or "nothing", allowed=allowed) from error
    names = set(fields) if isinstance(fields, dict) else set[str]()
    model = FinalAssignment if "weights" in names else Assignment if "task" in names else Inquiry
    try:
        return model.model_validate_json(text or "")
    except ValidationError as error:
        raise invalid(JOB_VARIABLE, error) from error


def settle(environment: MutableMapping[str, str]) -> None:
    """Give libraries a home for their caches, and a name for those that ask, where the container has none."""
    home = environment.get("HOME", "")
    if not os.access(home, os.W_OK | os.X_OK):
        environment["HOME"] = tempfile.mkdtemp(prefix="rcas-home-")
    try:
        pwd.getpwuid(os.getuid())
    except KeyError:
        environment.setdefault("USER", "rcas")


def train(assignment: Assignment, stop: Callable[[], bool]) -> None:
    """Train one network; see `evaluate`."""
    from rcas_trainer.evaluate import evaluate

    startup_s = time.monotonic() - STARTED_S
    result = evaluate(assignment, stop=stop, report=_log_epoch, startup_s=startup_s)
    log(f"{result.correct} of {result.total} validation images right")


def finish(assignment: FinalAssignment, stop: Callable[[], bool]) -> None:
    """Train one network finally; see `rcas_trainer.finish`."""
    from rcas_trainer import finish as finals

    startup_s = time.monotonic() - STARTED_S
    result = finals.finish(assignment, stop=stop, report=_log_epoch, startup_s=startup_s)
    log(f"{result.correct} of {result.total} test images right")


def answer(inquiry: Inquiry, stop: Callable[[], bool]) -> None:
    """Describe the data and this machine, unless the answer is there already; the first one stands.

    Raises:
        InvalidSpec: the data cannot be used.
        CorruptState: something else lies in the answer's place.
        RcasError: see `evaluate`.
    """
    stored = stored_object(inquiry.answer, "answer")
    if not _is_answered(stored, READ_S, stop):
        from rcas_trainer.data import describe

        with translated_memory_errors(), local_source(inquiry.source, inquiry.draw.dataset, stop) as source:
            found = describe(source, inquiry.draw, inquiry.space)
        content = found.model_dump_json(indent=1).encode() + b"\n"
        if patiently(lambda: stored.create(content), RESULT_S, stop):
            log(f"{found.train_images} training images of {found.num_classes} classes")
            return
        _is_answered(stored, RESULT_S, stop)
    log(f"{stored.place} is there already and stands")


def _is_answered(stored: StoredObject, patience_s: float, stop: Callable[[], bool]) -> bool:
    try:
        content = patiently(lambda: stored.read(RESULT_LIMIT_BYTES), patience_s, stop)
        return content is not None and bool(Description.model_validate_json(content))
    except (TooLarge, ValidationError) as error:
        raise CorruptState(f"{stored.place} is not a description; move it away and try again") from error


def _log_epoch(event: Event) -> None:
    log(epoch_line(event))
