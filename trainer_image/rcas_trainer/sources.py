"""Small data sets as they lie on the disk: one tensor of raw images, read by torchvision or scikit-learn."""

from __future__ import annotations

import gzip
import hashlib
import math
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from rcas.errors import InvalidSpec
from rcas.evaluation import DatasetName, DataSource, Draw
from rcas_trainer.draw import split
from rcas_trainer.errors import first_line, ran_out_of_memory
from rcas_trainer.files import exclusive

_IDX_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
Part = Literal["all", "train", "test"]
_DIGITS_TEST_PER_CLASS = 30
_TEN_DIGITS = tuple(map(str, range(10)))
_CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
_IDX_BYTES = 8
_LARGEST_IDX = 4 << 30


@dataclass(frozen=True, eq=False)
class RawImages:
    """The training set or the test set of a data set, before any draw.

    Attributes:
        images: uint8 (count, channels, height, width).
        labels: int64 (count,), from 0.
        num_classes: of the data set.
        classes: their names, if the files tell or everybody knows them.
    """

    images: Tensor
    labels: Tensor
    num_classes: int
    classes: tuple[str, ...] | None = None

    @property
    def sha256(self) -> str:
        """Of shapes, pixels and labels: the same images give the same hash, however they are packed."""
        found = hashlib.sha256()
        for tensor in (self.images, self.labels):
            found.update(f"{tensor.dtype} {tuple(tensor.shape)}\n".encode())
            found.update(tensor.contiguous().numpy().data)
        return found.hexdigest()


@contextmanager
def translated_data_errors(source: DataSource, dataset: DatasetName) -> Generator[None]:
    """Turn whatever a reader of data files raises into InvalidSpec.

    The readers below promise no types: torchvision asserts, unpickles and raises RuntimeError, gzip and zlib
    have their own. All of them mean that the files are not what they should be.
    """
    try:
        yield
    except InvalidSpec:
        raise
    except Exception as error:
        if ran_out_of_memory(error):
            raise
        advice = "" if source.download else ", or download: true"
        reason = f"{type(error).__name__}: {first_line(error)}"
        allowed = f"a folder with a readable {dataset} data set{advice} ({reason})"
        raise InvalidSpec("source.path", got=source.path or "", allowed=allowed) from error


def load(source: DataSource, dataset: DatasetName, part: Part = "all") -> RawImages:
    """Read images of a small data set.

    Args:
        source: where it lies.
        dataset: which.
        part: `all` is what a search draws from; `train` and `test` are what a final training trains and measures
            with. They are the data set's own parts, and `all` is its training set, but for digits, which has no
            test set: there `test` is 30 images a class that a fixed rule takes from `all`, and `train` the rest.

    Raises:
        InvalidSpec: the folder is missing, or its files are not a readable data set.
    """
    with translated_data_errors(source, dataset):
        if dataset == "digits":
            return _digits(part)
        raw = _READERS[dataset](data_folder(source, dataset), source.download, part == "test")
        if len(raw.images) != len(raw.labels):
            raise ValueError(f"{len(raw.images)} images but {len(raw.labels)} labels")
        if len(raw.labels) and not 0 <= int(raw.labels.min()) <= int(raw.labels.max()) < raw.num_classes:
            raise ValueError(f"labels outside the {raw.num_classes} classes")
        return raw


def data_folder(source: DataSource, dataset: DatasetName) -> Path:
    """The folder of the data set.

    Raises:
        InvalidSpec: none is given, or it does not exist and nothing may be downloaded into it.
    """
    if source.path is None:
        raise InvalidSpec("source.path", got="", allowed=f"the folder that holds {dataset}")
    folder = Path(source.path).expanduser()
    if not folder.is_dir() and not source.download:
        raise InvalidSpec("source.path", got=source.path, allowed="an existing folder, or download: true")
    return folder


def _digits(part: Part) -> RawImages:
    table = _digits_table()  # (1797, 65): pixels from 0 to 16, then the label
    if part != "all":
        draw = Draw(dataset="digits", validation_per_class=_DIGITS_TEST_PER_CLASS)
        train, test = split(table[:, -1].astype(int).tolist(), 10, draw)
        table = table[test if part == "test" else train]
    pixels = np.rint(table[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 1, 8, 8)
    return RawImages(torch.from_numpy(pixels), torch.from_numpy(table[:, -1].astype(np.int64)), 10, _TEN_DIGITS)


def _digits_table() -> Any:
    # The file that load_digits() reads: importing scikit-learn for it takes two seconds, as long as a training.
    package = find_spec("sklearn")
    for folder in (package and package.submodule_search_locations) or ():
        file = Path(folder, "datasets", "data", "digits.csv.gz")
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return np.column_stack([found.data, found.target])


def _cifar(folder: Path, download: bool, test: bool, *, classes: int) -> RawImages:
    from torchvision import datasets

    reader = datasets.CIFAR10 if classes == 10 else datasets.CIFAR100
    found: Any = _read(reader, folder, download, train=not test)
    names = tuple(map(str, getattr(found, "classes", ()))) or None
    images = torch.from_numpy(np.ascontiguousarray(found.data.transpose(0, 3, 1, 2)))  # (count, 3, 32, 32)
    return RawImages(images, torch.tensor(found.targets, dtype=torch.int64), classes, names)


def _svhn(folder: Path, download: bool, test: bool) -> RawImages:
    from torchvision import datasets

    found: Any = _read(datasets.SVHN, folder, download, split="test" if test else "train")
    return RawImages(torch.from_numpy(found.data), torch.from_numpy(found.labels).long(), 10, _TEN_DIGITS)


def _mnist(folder: Path, download: bool, test: bool, *, fashion: bool) -> RawImages:
    image_file, label_file = _IDX_FILES["test" if test else "train"]
    name = "FashionMNIST" if fashion else "MNIST"
    folders = folder, folder / name / "raw"
    if download and not _idx_file(folders[:1], image_file):
        from torchvision import datasets

        _read(getattr(datasets, name), folder, download, train=True)
    # Not by torchvision, whose import takes three seconds.
    images, labels = _idx(folders, image_file, 3), _idx(folders, label_file, 1)
    return RawImages(images[:, None], labels.long(), 10, _CLOTHES if fashion else _TEN_DIGITS)  # (count, 1, 28, 28)


_READERS: dict[DatasetName, Callable[[Path, bool, bool], RawImages]] = {
    "cifar10": lambda folder, download, test: _cifar(folder, download, test, classes=10),
    "cifar100": lambda folder, download, test: _cifar(folder, download, test, classes=100),
    "svhn": _svhn,
    "mnist": lambda folder, download, test: _mnist(folder, download, test, fashion=False),
    "fashion-mnist": lambda folder, download, test: _mnist(folder, download, test, fashion=True),
}


def _read(reader: Callable[..., Any], root: Path, download: bool, **split: Any) -> Any:
    if not download:
        return reader(str(root), **split)
    # Workers of one machine start together: one of them downloads, the others find the files.
    with exclusive(root / ".rcas-download.lock"):
        return reader(str(root), download=True, **split)


def _idx(folders: Sequence[Path], name: str, dimensions: int) -> Tensor:
    """The bytes of one IDX file: uint8, with as many dimensions."""
    file = _idx_file(folders, name)
    if file is None:
        raise FileNotFoundError(f"no {name} or {name}.gz in {' or '.join(map(str, folders))}")
    with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as opened:
        if opened.read(4) != bytes((0, 0, _IDX_BYTES, dimensions)):
            raise ValueError(f"{file.name} is no IDX file of bytes in {dimensions} dimensions")
        shape = tuple(map(int, np.frombuffer(opened.read(4 * dimensions), ">u4")))
        size = math.prod(shape)
        # No more than it says: a few kilobytes can be packed terabytes.
        content = bytearray(opened.read(size + 1)) if size <= _LARGEST_IDX else bytearray()
    if len(shape) != dimensions or len(content) != size:
        raise ValueError(f"{file.name} has not the {size:,} bytes that it says")
    return torch.from_numpy(np.frombuffer(content, np.uint8).reshape(shape))


def _idx_file(folders: Sequence[Path], name: str) -> Path | None:
    files = (folder / packed for folder in folders for packed in (name, f"{name}.gz"))
    return next((file for file in files if file.is_file()), None)
