"""One evaluation from the task to its result, on whatever a killed attempt left."""

from __future__ import annotations

import math
import platform
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

import torch

from rcas.errors import InvalidSpec, RcasError, Unavailable
from rcas.evaluation import DataSource, Result, Seconds, Task
from rcas.final import FinalResult, FinalTask
from rcas.messages import Assignment, Event
from rcas_trainer.checkpoint import Checkpoint, Unusable
from rcas_trainer.data import Data, open_for_space
from rcas_trainer.errors import Interrupted, first_line, log, translated_memory_errors
from rcas_trainer.fetch import local_source
from rcas_trainer.model import check_costs
from rcas_trainer.objects import StoredObject, stored_object
from rcas_trainer.patience import LAST_WORDS_S
from rcas_trainer.results import read_result, write_result
from rcas_trainer.times import Stopwatch
from rcas_trainer.train import Progress, Score, Session, prepare_device, train
from rcas_trainer.versions import versions


def evaluate(
    assignment: Assignment,
    *,
    stop: Callable[[], bool],
    report: Callable[[Event], None],
    startup_s: float,
) -> Result:
    """Train the task's network and write its result, unless the result is there already.

    Two processes with the same checkpoint file take turns, so the second finds the first one's result. S3 has no
    turns: there the result that is written first stands.

    Args:
        assignment: the task, and where its result and its checkpoint go.
        stop: asked before every batch and while waiting for another process or for the store.
        report: receives an `epoch` event after every epoch.
        startup_s: seconds that this process took before its first evaluation; 0 for a later one.

    Returns:
        The result that stands.

    Raises:
        InvalidSpec: the task cannot be carried out with this trainer, machine or data.
        CorruptState: something else lies in the result's place.
        OutOfMemory: an allocation failed.
        Interrupted: stop() said so; a checkpoint has what was trained, unless its store does not answer.
        Unavailable: the store did not answer for long.
        Refused: the store will not do what is needed.
        OSError: a file cannot be written.
    """
    task, stored = assignment.task, stored_object(assignment.result, "result")
    checkpoint = Checkpoint(stored_object(assignment.checkpoint, "checkpoint"), task.key, task.protocol.sha256)
    with checkpoint.stored.alone(stop):
        stopwatch = Stopwatch()
        result = read_result(stored, task, stop)
        if result is None:
            try:
                with translated_memory_errors():
                    session = prepared(task, checkpoint, stop)
                    score = train(session, checkpoint, stop, partial(_report_epoch, session, report))
            except Interrupted as error:
                if error.kept:
                    remove_needless(checkpoint, stored, task)
                raise
            result = result_of(session, score, startup_s, stopwatch)
            try:
                result = write_result(stored, result, task, stop)
            except (Interrupted, Unavailable):
                # The store may have been away since before the last epoch.
                checkpoint.save(session.state(), LAST_WORDS_S)
                raise
        checkpoint.remove()
    return result


def _report_epoch(session: Session, report: Callable[[Event], None], epoch: int, score: Score | None) -> None:
    event = Event(event="epoch", key=session.task.key, epoch=epoch, epochs=session.recipe.epochs)
    counts = {"correct": score.correct, "total": score.total} if score else {}
    report(event.model_copy(update=counts))


def remove_needless(checkpoint: Checkpoint, stored: StoredObject, task: Task | FinalTask) -> None:
    """Remove what was kept if another attempt has finished in the meantime: nobody would ever do it later."""
    with suppress(RcasError):
        model = FinalResult if isinstance(task, FinalTask) else Result
        if read_result(stored, task, patience_s=0, model=model):
            checkpoint.remove()


def prepared(task: Task | FinalTask, checkpoint: Checkpoint, stop: Callable[[], bool]) -> Session:
    """A training with its data, as the checkpoint tells or else at its beginning.

    Raises:
        InvalidSpec, Interrupted, Unavailable, Refused: see `evaluate`.
    """
    _check_versions(task)
    _check_batch_size(task)
    device = prepare_device(task.protocol)
    reading = Progress()
    with ExitStack() as fetched:
        with reading.timed("data"):
            source = fetched.enter_context(local_source(task.source, task.protocol.draw.dataset, stop))
            data = _checked_data(task, source)
        session = _session(task, data, device, checkpoint, stop)
        session.progress.seconds["data"] += reading.seconds["data"]
        if stop():
            raise Interrupted("stopped before the first batch")
        return session


def _session(
    task: Task | FinalTask, data: Data, device: torch.device, checkpoint: Checkpoint, stop: Callable[[], bool]
) -> Session:
    """As the checkpoint tells; fresh if there is none, or none that can be used."""
    session = Session(task, data, device)
    check_costs(session.module, task.space, task.space.network(task.network))
    try:
        if state := checkpoint.load(device, stop, session.most_bytes):
            with _foreign_states():
                session.restore(state)
            log(f"going on in epoch {session.progress.epoch + 1} at batch {session.progress.batch + 1}")
    except Unusable as error:
        log(f"checkpoint {checkpoint.stored.place} is not used, training starts again: {error}")
        session = Session(task, data, device)
        session.progress.restarted = 1
    return session


@contextmanager
def _foreign_states() -> Generator[None]:
    try:
        yield
    except Exception as error:
        raise Unusable(f"it is no state of this training ({first_line(error)})") from error


def result_of(session: Session, score: Score, startup_s: float, stopwatch: Stopwatch) -> Result:
    """What was trained, how, and what it scored."""
    task, progress = session.task, session.progress
    began, ended = stopwatch.read()
    trained = progress.epoch * session.data.train_count
    cost = task.space.cost(task.space.network(task.network))
    return Result(
        key=task.key,
        network=task.network,
        protocol_sha256=task.protocol.sha256,
        replicate=task.replicate,
        correct=score.correct,
        correct_top5=score.correct_top5,
        total=score.total,
        loss=_finite(score.loss),
        train_loss=_finite(progress.train_loss),
        epochs=progress.epoch,
        diverged=progress.diverged,
        seconds=Seconds(startup=startup_s, **progress.seconds),
        images_per_second=trained / max(progress.seconds["training"], 1e-9),
        resumed=progress.resumed,
        restarted=progress.restarted,
        began=began,
        ended=ended,
        device=_device_name(session.device),
        versions=versions(),
        params=cost.params,
        madds=cost.madds,
    )


def _check_versions(task: Task | FinalTask) -> None:
    wanted, found = task.protocol.versions, versions()
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            raise InvalidSpec(
                f"protocol.versions.{name}",
                got=str(wanted.get(name)),
                allowed=f"{found.get(name)}, the version of this trainer: results would not be comparable",
            )


def _check_batch_size(task: Task | FinalTask) -> None:
    if task.protocol.training.batch_size < 2:
        raise InvalidSpec("training.batch_size", got=1, allowed="at least 2, because batch norm needs two images")


def _checked_data(task: Task | FinalTask, source: DataSource) -> Data:
    data = open_for_space(source, task.protocol.draw, task.space)
    hashes = {"data_sha256": (task.protocol.data_sha256, data.sha256)}
    if isinstance(task, FinalTask):
        hashes["test_sha256"] = task.protocol.test_sha256, str(data.test_sha256)
    for field, (wanted, found) in hashes.items():
        if wanted != found:
            raise InvalidSpec(
                f"protocol.{field}",
                got=wanted,
                allowed=f"{found}, the data at {task.source.path}: results would not be comparable",
            )
    return data


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
