"""Image folders: a tiny tree of real image files."""

import itertools
import random
from pathlib import Path

import numpy as np
import pytest
import torch

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Draw, Task
from rcas_trainer.augment import Augmentation
from rcas_trainer.data import describe, open_data
from rcas_trainer.errors import Interrupted
from rcas_trainer.evaluate import evaluate
from rcas_trainer.folder import centre_box, random_box

from .builders import a_space, a_task, an_assignment, measured, write_folder

CPU = torch.device("cpu")
DRAW = Draw(dataset="imagefolder", validation_per_class=2)
SPACE = a_space((3, 16, 16), 3)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    pixels, labels = np.random.default_rng(0), np.arange(24) % 3
    images = [pixels.integers(0, 80, (20 + number, 24, 3)) + 80 * label for number, label in enumerate(labels)]
    write_folder(tmp_path / "images" / "train", images, labels)
    return tmp_path / "images"


def a_folder_task(tree: Path, epochs: int = 2) -> Task:
    return a_task(
        space=SPACE, draw=DRAW, source=DataSource(path=str(tree)), epochs=epochs, batch_size=5, milestones=(1,)
    )


def test_a_tree_is_described_with_and_without_its_train_folder(tree: Path) -> None:
    found = [describe(DataSource(path=str(path)), DRAW, SPACE) for path in (tree, tree / "train")]
    assert found[0] == found[1]
    assert (found[0].input, found[0].num_classes, found[0].train_images) == ((3, 16, 16), 3, 18)
    assert describe(DataSource(path=str(tree)), DRAW).input == (3, 224, 224)


def test_the_hash_notices_a_new_name_and_a_new_size(tree: Path) -> None:
    hashes = [describe(DataSource(path=str(tree)), DRAW, SPACE).data_sha256]
    for step, change in enumerate(
        (
            lambda: (tree / "train/class 0/0.png").rename(tree / "train/class 0/00.png"),
            lambda: (tree / "train/class 1/1.png").write_bytes((tree / "train/class 1/1.png").read_bytes() + b"\0"),
        )
    ):
        change()
        draw = DRAW.model_copy(update={"draw_seed": step + 1})
        hashes.append(describe(DataSource(path=str(tree)), draw, SPACE).data_sha256)
    assert len(set(hashes)) == 3


def test_a_training_streams_and_goes_on_exactly_from_any_batch(tree: Path, tmp_path: Path) -> None:
    task = a_folder_task(tree)
    undisturbed = evaluate(an_assignment(task, tmp_path, "a"), stop=lambda: False, report=lambda _: None, startup_s=0)
    for batches in (2, 3):
        asked = itertools.count()
        with pytest.raises(Interrupted):
            evaluate(
                an_assignment(task, tmp_path, "b"),
                stop=lambda: next(asked) == batches,  # noqa: B023
                report=lambda _: None,
                startup_s=0,
            )
    resumed = evaluate(an_assignment(task, tmp_path, "b"), stop=lambda: False, report=lambda _: None, startup_s=0)
    assert measured(resumed) == measured(undisturbed)
    assert resumed.resumed == 2


def test_pad_asks_for_random_crops_and_flip_for_mirrors_and_validation_has_neither(tree: Path) -> None:
    data = open_data(DataSource(path=str(tree)), DRAW, SPACE.input)

    def images(pad: int, flip: bool, epoch: int) -> torch.Tensor:
        batches = [(0, torch.arange(data.train_count))]
        [batch] = data.training(batches, epoch, Augmentation(pad, flip, (0, 0)), CPU)
        return batch.images

    plain = images(0, False, 0)
    assert torch.equal(plain, images(0, False, 1))
    mirrored = images(0, True, 0)
    as_is = [torch.equal(one, other) for one, other in zip(mirrored, plain, strict=True)]
    turned = [torch.equal(one, other.flip(2)) for one, other in zip(mirrored, plain, strict=True)]
    assert [one != other for one, other in zip(as_is, turned, strict=True)] == [True] * 18
    assert 0 < sum(turned) < 18
    assert torch.equal(images(4, False, 0), images(4, False, 0))
    assert not torch.equal(images(4, False, 0), images(4, False, 1))
    first, second = (torch.cat([part.images for part in data.validation(4, CPU)]) for _ in range(2))
    assert torch.equal(first, second)
    assert first.shape == (6, 3, 16, 16)


def test_labels_and_mean_belong_to_the_images(tree: Path) -> None:
    data = open_data(DataSource(path=str(tree)), DRAW, SPACE.input)
    for images, labels in data.validation(4, CPU):
        brightness = images.mean((1, 2, 3)) * 255
        assert torch.equal((brightness / 80).long(), labels)
    [batch] = data.training([(0, torch.arange(18))], 0, Augmentation(0, False, (0, 0)), CPU)
    assert data.mean().tolist() == pytest.approx(batch.images.mean((0, 2, 3)).tolist(), abs=1e-6)


def test_boxes_stay_inside_the_image() -> None:
    draws = random.Random(0)
    for size in ((500, 300), (7, 900), (1, 1)):
        for _ in range(200):
            left, top, right, bottom = random_box(size, draws)
            assert 0 <= left < right <= size[0]
            assert 0 <= top < bottom <= size[1]
    assert centre_box((256, 256), (224, 224)) == (16, 16, 240, 240)
    assert centre_box((512, 256), (224, 224)) == (144, 16, 368, 240)


def test_a_broken_image_is_named(tree: Path, tmp_path: Path) -> None:
    for path in (tree / "train" / "class 1").iterdir():
        path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(InvalidSpec, match=r"source\.path: got .*class 1.*no readable image"):
        evaluate(an_assignment(a_folder_task(tree), tmp_path), stop=lambda: False, report=lambda _: None, startup_s=0)


def test_too_few_images_and_two_channels_are_refused(tree: Path) -> None:
    source = DataSource(path=str(tree))
    with pytest.raises(InvalidSpec, match="validation_per_class"):
        open_data(source, Draw(dataset="imagefolder", validation_per_class=8), None)
    with pytest.raises(InvalidSpec, match=r"space\.input"):
        open_data(source, DRAW, (2, 16, 16))
    (tree / "train" / "empty").mkdir()
    with pytest.raises(InvalidSpec, match=r"source\.path"):
        open_data(source, Draw(dataset="imagefolder", draw_seed=5), None)
