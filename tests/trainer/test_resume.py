"""An interrupted training ends as the undisturbed one does, to the bit."""

import itertools
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rcas.errors import CorruptState
from rcas.evaluation import Task
from rcas.messages import EXIT_INTERRUPTED
from rcas_trainer.checkpoint import Checkpoint
from rcas_trainer.data import open_for_space
from rcas_trainer.errors import Interrupted
from rcas_trainer.evaluate import evaluate
from rcas_trainer.objects import LocalFile
from rcas_trainer.train import Score, Session, prepare_device, train

from .builders import a_task, an_assignment, finish, measured, start_training, the_result, wait_for_line

CPU = torch.device("cpu")
TASK = {"epochs": 3, "milestones": (1, 2), "network": "5,2 / 5,6"}


def attempt(task: Task, checkpoint: Checkpoint, stop: Callable[[], bool]) -> tuple[Session, Score]:
    data = open_for_space(task.source, task.protocol.draw, task.space)
    session = Session(task, data, prepare_device(task.protocol))
    if state := checkpoint.load(CPU):
        session.restore(state)
    return session, train(session, checkpoint, stop, lambda *_: None)


def trained(folder: Path, task: Task, stops: list[int]) -> tuple[Session, Score]:
    """Train, stopped once before each of these batches (counted from the last stop)."""
    checkpoint = Checkpoint(LocalFile(folder / f"{len(stops)}.pt"), task.key, task.protocol.sha256)
    for batches in stops:
        asked = itertools.count()
        with pytest.raises(Interrupted):
            attempt(task, checkpoint, lambda: next(asked) == batches)  # noqa: B023
    return attempt(task, checkpoint, lambda: False)


@pytest.mark.parametrize("training", [{}, {"precision": "bfloat16"}], ids=["float32", "bfloat16"])
def test_weights_momentum_and_counters_do_not_notice_stops_at_any_batch(
    tmp_path: Path, training: dict[str, Any]
) -> None:
    task = a_task(**TASK, batch_size=256, **training)
    (undisturbed, expected), (stopped, score) = (trained(tmp_path, task, stops) for stops in ([], [0, 3, 4, 7]))
    assert score == expected
    assert stopped.progress.resumed == 4
    assert stopped.progress.train_loss == undisturbed.progress.train_loss
    for name, tensor in undisturbed.module.state_dict().items():
        assert torch.equal(tensor, stopped.module.state_dict()[name]), name
    velocities = zip(undisturbed.descent.velocities, stopped.descent.velocities, strict=True)
    assert all(torch.equal(one, other) for one, other in velocities)


def test_killed_after_every_epoch_and_stopped_in_the_middle_of_one(tmp_path: Path) -> None:
    task = a_task(epochs=4, milestones=(1, 2), batch_size=16)
    undisturbed = evaluate(an_assignment(task, tmp_path), stop=lambda: False, report=lambda _: None, startup_s=0)
    resumed = 0
    for epoch in (1, 2):
        process = start_training(task, tmp_path)
        wait_for_line(process, f"epoch {epoch} of 4")
        process.kill()
        process.communicate(timeout=60)
        assert not (tmp_path / "result.json").exists()
        if epoch == 1:
            resumed = stop_in_the_middle(task, tmp_path)
    finish(start_training(task, tmp_path))
    result = the_result(tmp_path)
    assert measured(result) == measured(undisturbed)
    assert result.resumed == resumed + 2
    assert {path.name for path in tmp_path.iterdir()} == {"a.json", "task.json", "result.json"}


def stop_in_the_middle(task: Task, folder: Path) -> int:
    """How often the checkpoint then says that the training was resumed: not once if the stop came before a batch."""
    process = start_training(task, folder)
    wait_for_line(process, "going on in epoch 2 at batch 1")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == EXIT_INTERRUPTED, errors
    assert "Traceback" not in errors
    state = Checkpoint(LocalFile(folder / "checkpoint.pt"), task.key, task.protocol.sha256).load(CPU)
    assert state is not None
    return state["progress"]["resumed"]


def test_a_torn_checkpoint_starts_the_training_again(tmp_path: Path) -> None:
    task = a_task(epochs=1)
    assignment = an_assignment(task, tmp_path)
    Path(assignment.checkpoint).write_bytes(b"torn")
    result = evaluate(assignment, stop=lambda: False, report=lambda _: None, startup_s=0)
    assert result.resumed == 0
    assert not Path(assignment.checkpoint).exists()


def test_a_standing_result_is_kept_and_nothing_is_trained(tmp_path: Path) -> None:
    assignment = an_assignment(a_task(epochs=1), tmp_path)
    first = evaluate(assignment, stop=lambda: False, report=lambda _: None, startup_s=0)
    content = Path(assignment.result).read_bytes()
    Path(assignment.checkpoint).write_bytes(b"left over")

    def refuse(_event: object) -> None:
        raise AssertionError("trained again")

    assert evaluate(assignment, stop=lambda: False, report=refuse, startup_s=0) == first
    assert Path(assignment.result).read_bytes() == content
    assert not Path(assignment.checkpoint).exists()


def test_stopped_after_another_attempt_has_finished_it_leaves_no_checkpoint(tmp_path: Path) -> None:
    # Found by simulation: on S3 two may train the same, and the second is cancelled when the first has finished.
    assignment, other = an_assignment(a_task(epochs=2), tmp_path), an_assignment(a_task(epochs=2), tmp_path, "other")
    evaluate(other, stop=lambda: False, report=lambda _: None, startup_s=0)

    def finish_elsewhere(_event: object) -> None:
        Path(other.result).rename(assignment.result)

    with pytest.raises(Interrupted, match="a checkpoint is written"):
        evaluate(assignment, stop=Path(assignment.result).exists, report=finish_elsewhere, startup_s=0)
    assert Path(assignment.result).exists()
    assert not Path(assignment.checkpoint).exists()


@pytest.mark.parametrize("content", ["another evaluation's", "{"])
def test_something_else_in_the_results_place_is_kept_and_told(tmp_path: Path, content: str) -> None:
    assignment, place = an_assignment(a_task(epochs=1), tmp_path), Path(tmp_path, "a.json")
    if content != "{":
        other = an_assignment(a_task(epochs=1, replicate=1), tmp_path)
        evaluate(other, stop=lambda: False, report=lambda _: None, startup_s=0)
        content = place.read_text()
    place.write_text(content)
    with pytest.raises(CorruptState, match=r"a\.json"):
        evaluate(assignment, stop=lambda: False, report=lambda _: None, startup_s=0)
    assert place.read_text() == content
