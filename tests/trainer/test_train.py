import math
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Draw, Training
from rcas.messages import Event
from rcas_trainer.data import open_for_space
from rcas_trainer.evaluate import evaluate
from rcas_trainer.times import Stopwatch
from rcas_trainer.train import Session, epoch_batches, learning_rate, prepare_device

from .builders import a_space, a_task, an_assignment, measured, some_images, the_result, write_folder


def evaluated(folder: Path, events: list[Event] | None = None, name: str = "a", **task: Any) -> Any:
    report = (events if events is not None else []).append
    return evaluate(an_assignment(a_task(**task), folder, name), stop=lambda: False, report=report, startup_s=0)


def test_the_learning_rate_falls_after_each_milestone() -> None:
    rates = [learning_rate(Training(), epoch) for epoch in range(10)]
    assert rates == pytest.approx([0.1] * 4 + [0.01] * 3 + [0.001] * 2 + [0.0001])


@pytest.mark.parametrize("count", [2, 31, 32, 33, 64, 65, 100])
def test_an_epoch_has_every_image_once_and_no_batch_of_one(count: int) -> None:
    batches = epoch_batches(Training(batch_size=32), 0, count, 0)
    assert [number for number, _ in batches] == list(range(len(batches)))
    assert sorted(torch.cat([indices for _, indices in batches]).tolist()) == list(range(count))
    assert min(len(indices) for _, indices in batches) > 1


def test_order_depends_on_seed_replicate_and_epoch() -> None:
    def order(seed: int, replicate: int, epoch: int) -> list[int]:
        return epoch_batches(Training(seed=seed, batch_size=64), replicate, 64, epoch)[0][1].tolist()

    assert order(1, 2, 3) == order(1, 2, 3)
    assert len({tuple(order(*args)) for args in ((1, 2, 3), (0, 2, 3), (1, 0, 3), (1, 2, 0), (2, 1, 3))}) == 5


def test_a_result_tells_what_was_measured(tmp_path: Path) -> None:
    events: list[Event] = []
    task, before = a_task(epochs=3, milestones=(2,)), time.time()
    result = evaluate(an_assignment(task, tmp_path), stop=lambda: False, report=events.append, startup_s=1.5)
    assert result.began is not None
    assert result.ended is not None
    assert before <= result.began <= result.ended - result.seconds.training
    assert result.ended <= time.time() + 0.1
    assert the_result(tmp_path, "a") == result
    assert (result.key, result.network, result.total) == (task.key, task.network, 100)
    assert (result.epochs, result.diverged, result.resumed) == (3, False, 0)
    assert (result.params, result.madds) == task.space.cost(task.space.start)[:2]
    assert result.correct > 25
    assert result.seconds.startup == 1.5
    assert result.images_per_second == pytest.approx(3 * 1697 / result.seconds.training)
    assert [(event.event, event.epoch, event.epochs) for event in events] == [("epoch", n, 3) for n in (1, 2, 3)]
    assert (events[-1].correct, events[-1].total) == (result.correct, 100)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json"]


@pytest.mark.parametrize("clock", [-1.0, 1e12])
def test_a_clock_that_is_far_out_costs_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clock: float
) -> None:
    monkeypatch.setattr("rcas_trainer.evaluate.Stopwatch", lambda: Stopwatch(began=clock))
    result = evaluated(tmp_path, epochs=1)
    assert (result.began, result.ended) == (None, None)


def test_an_earlier_evaluation_of_the_process_changes_nothing(tmp_path: Path) -> None:
    first = evaluated(tmp_path, name="a", epochs=1)
    torch.manual_seed(123)
    evaluated(tmp_path, name="b", epochs=1, network="5,1 / 5", seed=9)
    assert measured(evaluated(tmp_path, name="c", epochs=1)) == measured(first)


def test_seeds_and_replicates_give_other_results(tmp_path: Path) -> None:
    losses = [
        evaluated(tmp_path, name=str(number), epochs=1, **changes).loss
        for number, changes in enumerate([{}, {"seed": 1}, {"replicate": 1}, {"pad": 0}, {"flip": False}])
    ]
    assert len(set(losses)) == 5


def test_training_leaves_the_global_random_state_alone(tmp_path: Path) -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    evaluated(tmp_path, epochs=1)
    assert torch.equal(torch.get_rng_state(), before)


def test_bfloat16_and_relu_are_trained(tmp_path: Path) -> None:
    found = [
        evaluated(tmp_path, name=str(number), epochs=1, **changes)
        for number, changes in enumerate([{}, {"precision": "bfloat16"}, {"activation": "relu"}])
    ]
    assert len({result.loss for result in found}) == 3
    assert all(result.loss < 2.4 for result in found)


def test_a_diverged_training_is_a_result(tmp_path: Path) -> None:
    events: list[Event] = []
    result = evaluated(tmp_path, events, epochs=5, lr=1e30)
    assert (result.diverged, result.epochs, result.train_loss) == (True, 1, None)
    assert result.loss is None or math.isfinite(result.loss)
    assert result.correct <= result.correct_top5 <= result.total == 100
    assert len(events) == 1
    assert the_result(tmp_path, "a") == result


def test_of_three_classes_every_one_is_among_the_first_five(tmp_path: Path) -> None:
    images, labels = some_images(60, classes=3)
    source = DataSource(path=str(write_folder(tmp_path / "images", images, labels)))
    draw = Draw(dataset="imagefolder", validation_per_class=2)
    result = evaluated(tmp_path, space=a_space((1, 28, 28), 3), draw=draw, source=source, epochs=1)
    assert (result.correct_top5, result.total) == (6, 6)


def test_the_mean_of_the_training_images_is_subtracted_if_asked() -> None:
    def centre(**training: Any) -> torch.Tensor:
        task = a_task(**training)
        data = open_for_space(DataSource(), task.protocol.draw, task.space)
        session = Session(task, data, prepare_device(task.protocol))
        seen: list[torch.Tensor] = []
        session.module.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
        session.module.eval()
        [images] = [batch.images for batch in data.validation(1000, session.device)]
        session.logits(images)
        return images - seen[0]

    mean = open_for_space(DataSource(), a_task().protocol.draw, a_space()).mean()
    assert torch.allclose(centre(), mean.expand(100, 1, 8, 8), atol=1e-6)
    assert not centre(mean_subtraction=False).any()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"protocol": {"data_sha256": "0" * 64}}, "protocol.data_sha256"),
        ({"protocol": {"versions": {"rcas_trainer": "1"}}}, "protocol.versions.torch"),
        ({"protocol": {"device": "cuda"}}, "protocol.device"),
        ({"batch_size": 1}, "training.batch_size"),
    ],
)
def test_a_task_for_another_trainer_machine_or_data_is_refused(
    tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    if field == "protocol.device" and torch.cuda.is_available():
        pytest.skip("there is a CUDA device")
    with pytest.raises(InvalidSpec) as caught:
        evaluated(tmp_path, **changes)
    assert caught.value.field == field
    assert list(tmp_path.iterdir()) == []
