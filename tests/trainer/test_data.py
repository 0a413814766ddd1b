from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Draw
from rcas_trainer import sources
from rcas_trainer.augment import Augmentation
from rcas_trainer.data import TensorData, describe, open_data, open_for_space
from rcas_trainer.sources import translated_data_errors
from rcas_trainer.versions import versions

from .builders import DIGITS, a_space, some_images, write_idx

CPU = torch.device("cpu")
FASHION = Draw(dataset="fashion-mnist", validation_per_class=2)


@pytest.fixture
def fashion(tmp_path: Path) -> DataSource:
    return DataSource(path=str(write_idx(tmp_path / "fashion", *some_images())))


def test_digits_are_scaled_to_bytes_and_split() -> None:
    data = open_data(DataSource(), DIGITS, None)
    assert isinstance(data, TensorData)
    pixels = data.train.images
    assert (pixels.dtype, pixels.shape[1:], data.num_classes) == (torch.uint8, (1, 8, 8), 10)
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)
    assert (data.train_count, data.validation_count) == (1697, 100)
    assert torch.bincount(data.held_out.labels).tolist() == [10] * 10


def test_digits_and_idx_files_are_read_as_the_libraries_read_them(tmp_path: Path) -> None:
    from sklearn.datasets import load_digits
    from torchvision.datasets import FashionMNIST

    digits, found = load_digits(), sources.load(DataSource(), "digits")
    assert found.images.flatten(1).tolist() == np.rint(digits.data * (255 / 16)).astype(int).tolist()
    assert found.labels.tolist() == digits.target.tolist()
    write_idx(tmp_path / "FashionMNIST" / "raw", *some_images(), packed=False)
    theirs, ours = FashionMNIST(str(tmp_path)), sources.load(DataSource(path=str(tmp_path)), "fashion-mnist")
    assert torch.equal(ours.images[:, 0], theirs.data)
    assert torch.equal(ours.labels, theirs.targets)


def test_idx_files_give_the_same_data_packed_plain_and_in_torchvisions_layout(tmp_path: Path) -> None:
    images, labels = some_images()
    folders = [
        write_idx(tmp_path / "packed", images, labels),
        write_idx(tmp_path / "plain", images, labels, packed=False),
    ]
    write_idx(tmp_path / "layout" / "FashionMNIST" / "raw", images, labels, packed=False)
    found = [open_data(DataSource(path=str(path)), FASHION, None) for path in (*folders, tmp_path / "layout")]
    assert len({data.sha256 for data in found}) == 1
    assert found[0].raw_input == (1, 28, 28)
    raw = sources.load(DataSource(path=str(folders[0])), "fashion-mnist")
    assert torch.equal(raw.images[:, 0], torch.from_numpy(images.astype(np.uint8)))
    assert raw.labels.tolist() == labels.tolist()


def test_one_other_pixel_or_label_is_other_data(tmp_path: Path) -> None:
    images, labels = some_images()
    other, moved = images.copy(), labels.copy()
    other[5, 3, 3] ^= 1
    moved[[0, 1]] = moved[[1, 0]]
    variants = [(images, labels), (other, labels), (images, moved)]
    found = {
        open_data(DataSource(path=str(write_idx(tmp_path / str(number), *variant))), FASHION, None).sha256
        for number, variant in enumerate(variants)
    }
    assert len(found) == 3


def test_images_are_brought_to_the_size_of_the_space(fashion: DataSource) -> None:
    whole, small = open_data(fashion, FASHION, None), open_data(fashion, FASHION, (1, 14, 7))
    assert isinstance(whole, TensorData)
    assert isinstance(small, TensorData)
    assert small.sha256 == whole.sha256
    assert (small.train.images.dtype, small.train.images.shape[1:]) == (torch.uint8, (1, 14, 7))
    area = F.avg_pool2d(whole.train.images.float(), (2, 4))
    assert (small.train.images.float() - area).abs().mean() < 20


def test_the_mean_is_that_of_the_training_images_and_batches_are_from_0_to_1() -> None:
    data = open_data(DataSource(), DIGITS, None)
    plain = Augmentation(0, False, (0, 0))
    order = torch.arange(data.train_count)
    [batch] = data.training([(0, order)], 0, plain, CPU)
    assert batch.images.mean((0, 2, 3)).tolist() == pytest.approx(data.mean().tolist(), abs=1e-6)
    assert (float(batch.images.min()), float(batch.images.max())) == (0.0, 1.0)
    held_out = torch.cat([part.labels for part in data.validation(30, CPU)])
    assert len(held_out) == data.validation_count


def test_a_process_loads_the_same_data_once(fashion: DataSource) -> None:
    first = open_data(fashion, FASHION, (1, 28, 28))
    assert open_data(DataSource(path=fashion.path), FASHION, (1, 28, 28)) is first
    assert open_data(fashion, Draw(dataset="fashion-mnist", validation_per_class=3), (1, 28, 28)) is not first


def test_a_description_fills_what_a_spec_cannot_know(fashion: DataSource) -> None:
    found = describe(fashion, FASHION)
    assert (found.input, found.num_classes, found.train_images) == ((1, 28, 28), 10, 100)
    assert found.versions == versions()
    assert set(found.versions) == {"rcas_trainer", "torch", "torchvision"}
    assert not any("+" in version for version in found.versions.values())


def test_the_real_fashion_mnist_of_debian_is_usable() -> None:
    path = Path("/usr/share/datasets/fashion-mnist")
    if not path.is_dir():
        pytest.skip("dataset-fashion-mnist is not installed")
    found = describe(DataSource(path=str(path)), Draw(dataset="fashion-mnist", validation_per_class=100))
    assert (found.input, found.num_classes, found.train_images) == ((1, 28, 28), 10, 59_000)


def test_a_space_that_does_not_fit_the_data_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"space\.num_classes: got '3', allowed: 10, the classes of digits"):
        open_for_space(DataSource(), DIGITS, a_space(num_classes=3))
    with pytest.raises(InvalidSpec, match=r"space\.input: .*1 channel"):
        open_for_space(DataSource(), DIGITS, a_space((3, 8, 8)))


def broken(folder: Path, how: str) -> Path:
    images, labels = some_images()
    write_idx(folder, images, labels)
    file = folder / "train-images-idx3-ubyte.gz"
    content = file.read_bytes()
    match how:
        case "truncated gzip":
            file.write_bytes(content[: len(content) // 2])
        case "not gzip":
            file.write_bytes(b"hello")
        case "empty":
            file.write_bytes(b"")
        case "truncated IDX":
            write_idx(folder, images, labels, packed=False)
            file.unlink()
            (folder / "train-images-idx3-ubyte").write_bytes(b"\0\0\x08\x03" + bytes(100))
        case "labels missing":
            (folder / "train-labels-idx1-ubyte.gz").unlink()
        case "fewer labels":
            write_idx(folder, images, labels[:-1])
        case "labels out of range":
            write_idx(folder, images, labels + 5)
    return folder


@pytest.mark.parametrize(
    "how",
    [
        "truncated gzip",
        "not gzip",
        "empty",
        "truncated IDX",
        "labels missing",
        "fewer labels",
        "labels out of range",
    ],
)
def test_broken_files_are_an_invalid_source(tmp_path: Path, how: str) -> None:
    source = DataSource(path=str(broken(tmp_path / "data", how)))
    with pytest.raises(InvalidSpec, match=r"source\.path: got .*fashion-mnist"):
        open_data(source, FASHION, None)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "mnist", "fashion-mnist", "svhn", "imagefolder"])
def test_no_folder_a_missing_one_and_an_empty_one_are_invalid_sources(tmp_path: Path, dataset: str) -> None:
    draw = Draw.model_validate({"dataset": dataset})
    for path in (None, str(tmp_path / "missing"), str(tmp_path)):
        with pytest.raises(InvalidSpec, match=r"source\.path"):
            open_data(DataSource(path=path), draw, None)


@pytest.mark.parametrize("error", [OSError("x"), RuntimeError("x"), AssertionError(), KeyError("x"), EOFError()])
def test_whatever_a_reader_raises_is_an_invalid_source(error: Exception) -> None:
    with (
        pytest.raises(InvalidSpec, match=type(error).__name__),
        translated_data_errors(DataSource(path="p"), "svhn"),
    ):
        raise error


def test_a_reader_out_of_memory_is_no_fault_of_the_data() -> None:
    with pytest.raises(MemoryError), translated_data_errors(DataSource(path="p"), "svhn"):
        raise MemoryError


@pytest.mark.parametrize(("name", "classes"), [("CIFAR10", 10), ("CIFAR100", 100)])
def test_cifar_and_svhn_readers_are_used_as_torchvision_offers_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, classes: int
) -> None:
    from torchvision import datasets

    class Fake:
        def __init__(self, root: str, train: bool, download: bool = False) -> None:
            assert (root, train, download) == (str(tmp_path), True, False)
            self.data = np.arange(3 * classes * 32 * 32 * 3, dtype=np.uint32).astype(np.uint8)
            self.data = self.data.reshape(3 * classes, 32, 32, 3)
            self.targets = list(range(classes)) * 3

    monkeypatch.setattr(datasets, name, Fake)
    draw = Draw.model_validate({"dataset": name.lower(), "validation_per_class": 1})
    data = open_data(DataSource(path=str(tmp_path)), draw, None)
    assert (data.raw_input, data.num_classes) == ((3, 32, 32), classes)
    assert (data.train_count, data.validation_count) == (2 * classes, classes)
