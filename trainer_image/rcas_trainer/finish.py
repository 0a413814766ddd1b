"""One final training from the task to its weights and its result, on whatever a killed attempt left.

In this order: train, write the weights, measure those weights on the test images, write the result. So a result names
weights that are there, and its counts are theirs whoever wrote them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import CorruptState, Unavailable
from rcas.final import FinalResult
from rcas.messages import Event, FinalAssignment
from rcas_trainer.checkpoint import Checkpoint
from rcas_trainer.errors import Interrupted, TooLarge, first_line, log, translated_memory_errors
from rcas_trainer.evaluate import prepared, remove_needless, result_of
from rcas_trainer.objects import StoredObject, stored_object
from rcas_trainer.patience import LAST_WORDS_S, RESULT_S, patiently
from rcas_trainer.results import read_result, write_result
from rcas_trainer.times import Stopwatch
from rcas_trainer.train import Session, timed_score, train_epochs


def finish(
    assignment: FinalAssignment,
    *,
    stop: Callable[[], bool],
    report: Callable[[Event], None],
    startup_s: float,
) -> FinalResult:
    """Train the task's network to its end, write its weights and its result, unless the result is there already.

    Arguments, turns and errors are those of `evaluate`. The test images are read by nothing but the measurement after
    the last epoch.

    Returns:
        The result that stands.
    """
    task, stored = assignment.task, stored_object(assignment.result, "result")
    checkpoint = Checkpoint(stored_object(assignment.checkpoint, "checkpoint"), task.key, task.protocol.sha256)
    with checkpoint.stored.alone(stop):
        stopwatch = Stopwatch()
        result = read_result(stored, task, stop, model=FinalResult)
        if result is None:

            def after_epoch(epoch: int) -> None:
                report(Event(event="epoch", key=task.key, epoch=epoch, epochs=task.protocol.training.epochs))

            try:
                with translated_memory_errors():
                    session = prepared(task, checkpoint, stop)
                    train_epochs(session, checkpoint, stop, after_epoch)
            except Interrupted as error:
                if error.kept:
                    remove_needless(checkpoint, stored, task)
                raise
            try:
                result = _concluded(session, stored_object(assignment.weights, "weights"), stop, startup_s, stopwatch)
                result = write_result(stored, result, task, stop)
            except (Interrupted, Unavailable):
                # The store may have been away since before the last epoch.
                checkpoint.save(session.state(), LAST_WORDS_S)
                raise
        checkpoint.remove()
    return result


def _concluded(
    session: Session, stored: StoredObject, stop: Callable[[], bool], startup_s: float, stopwatch: Stopwatch
) -> FinalResult:
    """The result of a trained network whose weights are kept."""
    digest = _keep_weights(session, stored, stop)
    with translated_memory_errors():
        score = timed_score(session)
    log(f"measured on {score.total} test images: {score.correct} right")
    found = result_of(session, score, startup_s, stopwatch).model_dump()
    return FinalResult.model_validate(found | {"weights_sha256": digest, "train_images": session.data.train_count})


def _keep_weights(session: Session, stored: StoredObject, stop: Callable[[], bool]) -> str:
    """Write the weights unless some are there; those that are there go into the session. Returns their SHA-256."""
    content = packed(session)
    if not patiently(lambda: stored.create(content), RESULT_S, stop):
        standing = _standing(session, stored, stop)
        if standing != content:
            # Another attempt's, whose last additions came out differently: possible on a GPU.
            log(f"{stored.place} is there already and stands")
            _take(session, standing, stored.place)
        content = standing
    return hashlib.sha256(content).hexdigest()


def packed(session: Session) -> bytes:
    """The network as a safetensors file, with its `Architecture` in the metadata. Equal networks give equal bytes."""
    task = session.task
    architecture = Architecture(
        space=task.space,
        network=str(task.space.network(task.network)),
        activation=session.recipe.activation,
        mean=tuple(session.mean.flatten().tolist()),
        classes=session.data.classes,
    )
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in session.module.state_dict().items()}
    # One entry only: several would come in an order that changes from process to process.
    return save(tensors, {METADATA_KEY: architecture.model_dump_json()})


def _standing(session: Session, stored: StoredObject, stop: Callable[[], bool]) -> bytes:
    try:
        content = patiently(lambda: stored.read(session.most_bytes), RESULT_S, stop)
    except (OSError, TooLarge) as error:
        raise _not_weights(stored.place, error) from error
    if content is None:
        raise CorruptState(f"{stored.place} was there and is gone: somebody removes weights")
    return content


def _take(session: Session, content: bytes, place: str) -> None:
    """Put foreign weights into the session if they are this network's. Whoever may write them may write anything."""
    try:
        wanted = packed(session)
        if _metadata(content) != _metadata(wanted):
            raise ValueError("they are those of another network")
        tensors = load(content)
        expected: dict[str, Tensor] = session.module.state_dict()
        if any(tensors[name].shape != tensor.shape for name, tensor in expected.items()):
            raise ValueError("their shapes are those of another network")
        session.module.load_state_dict(tensors)
    except (SafetensorError, ValueError, KeyError, RuntimeError, RecursionError) as error:
        raise _not_weights(place, error) from error


def _metadata(content: bytes) -> object:
    """Of a safetensors file: 8 bytes with the length of a header, the header as JSON, the tensors."""
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return header["__metadata__"]


def _not_weights(place: str, error: Exception) -> CorruptState:
    return CorruptState(f"{place} has not this network's weights ({first_line(error)}); move it away and try again")
