"""Final trainings: which images, weights before the result, and what happens if something is there already."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import CorruptState, InvalidSpec
from rcas.evaluation import DataSource, Training
from rcas.final import Final, FinalDraw, FinalProtocol, FinalResult, FinalTask
from rcas.messages import FinalAssignment
from rcas_trainer import sources
from rcas_trainer.data import describe, open_data
from rcas_trainer.errors import Interrupted
from rcas_trainer.finish import finish
from rcas_trainer.model import build

from .builders import QUICK, a_space, some_images, write_folder, write_idx

DIGITS = FinalDraw(dataset="digits", held_out="test")


def a_task(draw: FinalDraw = DIGITS, source: DataSource | None = None, seed: int = 0, **training: Any) -> FinalTask:
    space, source = a_space(), source or DataSource()
    found = describe(source, draw, space)
    protocol = FinalProtocol(
        draw=draw,
        training=Training(**(QUICK | training)),
        data_sha256=found.data_sha256,
        test_sha256=found.test_sha256 or "",
        device="cpu",
        threads=1,
        versions=found.versions,
    )
    network = str(space.start)
    final = Final(of="given", space=space, network=network, protocol=protocol, source=source, seeds=seed + 1)
    return final.task(seed)


def an_assignment(task: FinalTask, folder: Path) -> FinalAssignment:
    places = {"weights": "safetensors", "result": "json", "checkpoint": "pt"}
    return FinalAssignment(task=task, **{name: str(folder / f"a.{end}") for name, end in places.items()})


def finished(assignment: FinalAssignment, stop: Any = lambda: False) -> FinalResult:
    return finish(assignment, stop=stop, report=lambda _: None, startup_s=0)


@pytest.fixture(scope="module")
def one(tmp_path_factory) -> tuple[FinalAssignment, FinalResult]:
    assignment = an_assignment(a_task(), tmp_path_factory.mktemp("one"))
    return assignment, finished(assignment)


def test_the_file_of_weights_rebuilds_what_was_measured(one):
    assignment, result = one
    path = Path(assignment.weights)
    assert hashlib.sha256(path.read_bytes()).hexdigest() == result.weights_sha256
    with safe_open(path, "pt") as opened:
        kept = Architecture.model_validate_json(opened.metadata()[METADATA_KEY])
    module = build(kept.space, kept.space.network(kept.network), kept.activation)
    module.load_state_dict(load_file(path))
    test = sources.load(DataSource(), "digits", "test")
    with torch.no_grad():
        logits = module.eval()(test.images.float() / 255 - torch.tensor(kept.mean)[:, None, None])
    assert int((logits.argmax(1) == test.labels).sum()) == result.correct
    assert (result.total, result.train_images, result.epochs) == (300, 1497, 2)
    assert kept.classes == tuple("0123456789")
    assert not Path(assignment.checkpoint).exists()


def test_digits_is_divided_once_for_all():
    whole, train, test = (sources.load(DataSource(), "digits", part) for part in ("all", "train", "test"))
    assert len(whole.labels) == len(train.labels) + len(test.labels)
    assert torch.bincount(test.labels).tolist() == [30] * 10
    assert train.sha256 != test.sha256


def test_all_training_images_train_and_the_test_file_measures(tmp_path):
    images, labels = some_images(60, size=8)
    write_idx(tmp_path, images, labels)
    others, classes = some_images(30, size=8, seed=1)
    elsewhere = write_idx(tmp_path / "other", others, classes)
    for name in ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"):
        (elsewhere / name).replace(tmp_path / name)
    draw = FinalDraw(dataset="fashion-mnist", held_out="test")
    data = open_data(DataSource(path=str(tmp_path)), draw, None)
    assert (data.train_count, data.validation_count) == (60, 30)
    assert data.classes is not None
    assert data.classes[9] == "Ankle boot"
    batch = next(data.validation(30, torch.device("cpu")))
    assert np.array_equal((batch.images[:, 0] * 255).round().numpy(), others)
    few = open_data(DataSource(path=str(tmp_path)), draw.model_copy(update={"train_per_class": 2}), None)
    assert (few.train_count, few.validation_count) == (20, 30)


@pytest.mark.parametrize("name", ["test", "val"])
def test_an_image_folder_is_measured_on_its_test_images(tmp_path, name):
    images, labels = some_images(12, classes=3, size=8)
    write_folder(tmp_path / "train", images, labels)
    write_folder(tmp_path / name, images[:6], labels[:6])
    data = open_data(DataSource(path=str(tmp_path)), FinalDraw(dataset="imagefolder", held_out="test"), (1, 8, 8))
    assert (data.train_count, data.validation_count) == (12, 6)
    assert data.classes == ("class 0", "class 1", "class 2")
    assert sum(len(batch.labels) for batch in data.validation(4, torch.device("cpu"))) == 6


def test_an_image_folder_needs_a_test_set_of_the_same_classes(tmp_path):
    images, labels = some_images(12, classes=3, size=8)
    write_folder(tmp_path / "train", images, labels)
    draw, source = FinalDraw(dataset="imagefolder", held_out="test"), DataSource(path=str(tmp_path))
    with pytest.raises(InvalidSpec, match=r"needs the folders train and test \(or val\)"):
        open_data(source, draw, (1, 8, 8))
    write_folder(tmp_path / "test", images[:2], labels[:2])
    with pytest.raises(InvalidSpec, match="only one of them has class 2"):
        open_data(source, draw, (1, 8, 8))


def test_an_interrupted_one_goes_on_to_the_same_bytes(one, tmp_path):
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += 1
        return asked == 30

    assignment = an_assignment(a_task(), tmp_path)
    with pytest.raises(Interrupted):
        finished(assignment, stop)
    assert not Path(assignment.weights).exists()
    result = finished(assignment)
    assert result.resumed == 1
    assert Path(assignment.weights).read_bytes() == Path(one[0].weights).read_bytes()
    assert result.weights_sha256 == one[1].weights_sha256


def test_weights_without_a_result_stand_and_are_what_is_measured(one, tmp_path):
    assignment = an_assignment(a_task(), tmp_path)
    with safe_open(one[0].weights, "pt") as opened:
        metadata = opened.metadata()
    silent = {name: torch.zeros_like(tensor) for name, tensor in load_file(one[0].weights).items()}
    save_file(silent, assignment.weights, metadata)
    before = Path(assignment.weights).read_bytes()
    result = finished(assignment)
    assert Path(assignment.weights).read_bytes() == before
    assert result.weights_sha256 == hashlib.sha256(before).hexdigest()
    assert result.correct == 30, "a network of zeros calls every image a 0"


@pytest.mark.parametrize("content", [b"", b"nothing", b"\xff" * 100, b"\x02\0\0\0\0\0\0\0{}"])
def test_foreign_bytes_in_the_place_of_the_weights_are_refused(tmp_path, content):
    assignment = an_assignment(a_task(epochs=1, milestones=()), tmp_path)
    Path(assignment.weights).write_bytes(content)
    with pytest.raises(CorruptState, match="has not this network's weights"):
        finished(assignment)
    assert not Path(assignment.result).exists()


def test_another_test_set_than_the_task_names_is_refused(tmp_path):
    task = a_task()
    protocol = task.protocol.model_copy(update={"test_sha256": "0" * 64})
    final = Final(of="given", space=task.space, network=task.network, protocol=protocol, seeds=1)
    with pytest.raises(InvalidSpec, match=r"protocol\.test_sha256"):
        finished(an_assignment(final.task(0), tmp_path))
