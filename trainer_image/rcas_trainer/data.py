"""The images of an evaluation: loaded and drawn once a process, then given out in batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Description, Draw
from rcas.final import FinalDraw
from rcas.space import Space
from rcas_trainer import sources
from rcas_trainer.augment import Augmentation, crop_and_flip
from rcas_trainer.draw import at_most, split
from rcas_trainer.versions import versions

_RESIZE_BATCH = 256


class Batch(NamedTuple):
    """Images and labels on the training device.

    Attributes:
        images: float32 (count, channels, height, width) from 0 to 1 before the mean is subtracted.
        labels: int64 (count,).
    """

    images: Tensor
    labels: Tensor


class Data(Protocol):
    """A drawn data set."""

    @property
    def sha256(self) -> str:
        """Hash of the training set before any draw."""
        ...

    @property
    def test_sha256(self) -> str | None:
        """Hash of the test set, if that is what measures; None if images of the training set do."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the classes, if the data set tells them."""
        ...

    @property
    def raw_input(self) -> tuple[int, int, int]:
        """(channels, height, width) as stored."""
        ...

    @property
    def num_classes(self) -> int:
        """Classes of the data set."""
        ...

    @property
    def train_count(self) -> int:
        """Images drawn to train on."""
        ...

    @property
    def validation_count(self) -> int:
        """Images that measure: drawn from the training set, or the test set."""
        ...

    def mean(self) -> Tensor:
        """Mean of the training images per channel, from 0 to 1: float32 (channels,)."""
        ...

    def training(
        self,
        batches: Sequence[tuple[int, Tensor]],
        epoch: int,
        augmentation: Augmentation,
        device: torch.device,
    ) -> Iterator[Batch]:
        """The batches of an epoch, augmented. Equal arguments give equal pixels, wherever an epoch goes on.

        Args:
            batches: (number of the batch in its epoch, indices into the training images).
            epoch: counted from 0.
            augmentation: what to do to the images.
            device: where the batches are wanted.
        """
        ...

    def validation(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """All validation images, never augmented."""
        ...


@dataclass(frozen=True, eq=False)
class TensorData:
    """A small data set, whole on the training device. Implements `Data`."""

    sha256: str
    raw_input: tuple[int, int, int]
    num_classes: int
    train: Batch
    held_out: Batch
    test_sha256: str | None = None
    classes: tuple[str, ...] | None = None
    _placed: dict[torch.device, tuple[Batch, Batch]] = field(default_factory=dict[torch.device, tuple[Batch, Batch]])

    @property
    def train_count(self) -> int:
        """Training images."""
        return len(self.train.labels)

    @property
    def validation_count(self) -> int:
        """Validation images."""
        return len(self.held_out.labels)

    def mean(self) -> Tensor:
        """See `Data.mean`. Summed in whole numbers, so that the thread count cannot change it."""
        pixels = self.train.images
        total = pixels.sum((0, 2, 3), dtype=torch.int64)
        return (total.double() / (255 * pixels.numel() // pixels.shape[1])).float()  # (channels,)

    def training(
        self,
        batches: Sequence[tuple[int, Tensor]],
        epoch: int,
        augmentation: Augmentation,
        device: torch.device,
    ) -> Iterator[Batch]:
        """See `Data.training`."""
        train, _ = self._on(device)
        for number, indices in batches:
            here = indices.to(device)
            draws = augmentation.batch_generator(epoch, number)
            images = crop_and_flip(train.images[here], augmentation, draws)
            yield Batch(images.float() / 255, train.labels[here])

    def validation(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """See `Data.validation`."""
        _, held_out = self._on(device)
        for images, labels in zip(*(part.split(batch_size) for part in held_out), strict=True):
            yield Batch(images.float() / 255, labels)

    def _on(self, device: torch.device) -> tuple[Batch, Batch]:
        if device not in self._placed:
            train, held_out = (
                Batch(part.images.to(device), part.labels.to(device)) for part in (self.train, self.held_out)
            )
            self._placed[device] = train, held_out
        return self._placed[device]


def open_data(source: DataSource, draw: Draw | FinalDraw, image: tuple[int, int, int] | None) -> Data:
    """Load and draw a data set; the last one is kept for the next evaluation of this process.

    Args:
        source: where it lies.
        draw: which images.
        image: (channels, height, width) to resize to; None leaves the size as it is.

    Raises:
        InvalidSpec: the data set cannot be read, has other channels, or too few images a class.
    """
    wanted = source.path, draw.model_dump_json(), image
    if wanted not in _kept:
        _kept.clear()
        _kept[wanted] = _open(source, draw, image)
    return _kept[wanted]


_kept: dict[tuple[str | None, str, tuple[int, int, int] | None], Data] = {}


def _open(source: DataSource, draw: Draw | FinalDraw, image: tuple[int, int, int] | None) -> Data:
    if draw.dataset == "imagefolder":
        from rcas_trainer.folder import open_folder

        return open_folder(source, draw, image or (3, 224, 224))
    is_final = isinstance(draw, FinalDraw)
    raw = sources.load(source, draw.dataset, "train" if is_final else "all")
    size = _size(raw, draw, image)
    labels = raw.labels.tolist()
    if is_final:
        test = sources.load(source, draw.dataset, "test")
        drawn = torch.tensor(at_most(labels, raw.num_classes, draw.train_per_class, draw.draw_seed))
        train, held_out = _batch(raw, drawn, size), _batch(test, torch.arange(len(test.labels)), size)
        test_sha256 = test.sha256
    else:
        train, held_out = (
            _batch(raw, torch.tensor(indices), size) for indices in split(labels, raw.num_classes, draw)
        )
        test_sha256 = None
    raw_input = (raw.images.shape[1], raw.images.shape[2], raw.images.shape[3])
    return TensorData(raw.sha256, raw_input, raw.num_classes, train, held_out, test_sha256, raw.classes)


def _size(raw: sources.RawImages, draw: Draw | FinalDraw, image: tuple[int, int, int] | None) -> tuple[int, int, int]:
    channels, height, width = raw.images.shape[1:]
    if image and image[0] != channels:
        raise InvalidSpec(
            "space.input", got=image, allowed=f"{channels} channel(s), as the images of {draw.dataset} have"
        )
    return image or (channels, height, width)


def _batch(raw: sources.RawImages, indices: Tensor, size: tuple[int, int, int]) -> Batch:
    return Batch(_resized(raw.images[indices], size), raw.labels[indices])


def open_for_space(source: DataSource, draw: Draw | FinalDraw, space: Space) -> Data:
    """Load and draw a data set for the networks of a space.

    Raises:
        InvalidSpec: as `open_data`, or the space has another number of classes than the data.
    """
    data = open_data(source, draw, space.input)
    if data.num_classes != space.num_classes:
        allowed = f"{data.num_classes}, the classes of {draw.dataset}"
        raise InvalidSpec("space.num_classes", got=space.num_classes, allowed=allowed)
    return data


def describe(source: DataSource, draw: Draw | FinalDraw, space: Space | None = None) -> Description:
    """What a protocol needs to know of this machine and its data.

    Args:
        source: where the data set lies.
        draw: which images; too few of a class is an error here already.
        space: if given, the data must fit it; an image folder has no size of its own and takes it from here.

    Raises:
        InvalidSpec: the data cannot be used.
    """
    data = open_for_space(source, draw, space) if space else open_data(source, draw, None)
    return Description(
        data_sha256=data.sha256,
        input=data.raw_input,
        num_classes=data.num_classes,
        train_images=data.train_count,
        gpus=torch.cuda.device_count(),
        versions=versions(),
        test_sha256=data.test_sha256,
        test_images=data.validation_count if data.test_sha256 else None,
    )


def _resized(images: Tensor, image: tuple[int, int, int]) -> Tensor:
    """uint8 (count, channels, height, width) at the size of `image`; smoothed where it shrinks."""
    if images.shape[2:] == image[1:]:
        return images
    parts = [
        F.interpolate(part.float(), image[1:], mode="bilinear", antialias=True).round_().clamp_(0, 255).byte()
        for part in images.split(_RESIZE_BATCH)
    ]
    return torch.cat(parts)  # (count, channels, height, width)
