"""An image folder: one folder a class, images decoded while the network trains (ImageNet in the paper)."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Draw
from rcas.final import FinalDraw
from rcas_trainer.augment import Augmentation
from rcas_trainer.data import Batch
from rcas_trainer.draw import at_most, split
from rcas_trainer.errors import first_line
from rcas_trainer.listing import Sample, class_names, samples
from rcas_trainer.sources import data_folder, translated_data_errors

_MODES = {1: "L", 3: "RGB"}
_MEAN_SAMPLE = 512
_MAX_LOADERS = 8
_CROP_AREA, _CROP_RATIO = (0.08, 1.0), (3 / 4, 4 / 3)
_CENTRE_SHARE = 224 / 256
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Wish:
    """One image as a training or a validation wants it.

    Attributes:
        index: into the paths.
        seed: of its random crop and flip; None takes the centre.
        crop, flip: which of the two are wanted.
    """

    index: int
    seed: int | None = None
    crop: bool = False
    flip: bool = False


class Decoded(Dataset[Tensor]):
    """Images by `Wish`, as uint8 (channels, height, width).

    Args:
        paths: of all images.
        image: (channels, height, width) that every image is brought to.
    """

    def __init__(self, paths: Sequence[str], image: tuple[int, int, int]) -> None:
        self._paths, self._image = paths, image

    def __getitem__(self, index: Any) -> Tensor:
        """Decode one image.

        Raises:
            OSError: it is no readable image. One type, because it may have to cross processes.
        """
        wish: Wish = index
        path = self._paths[wish.index]
        try:
            with Image.open(path) as file:
                return self._pixels(file, wish)
        except MemoryError:
            raise
        except Exception as error:
            raise OSError(f"{path} is no readable image: {first_line(error)}") from error

    def _pixels(self, file: Image.Image, wish: Wish) -> Tensor:
        channels, height, width = self._image
        # No other use of random numbers here: the same seed gives the same box in whatever process.
        draws = random.Random(wish.seed)
        box = random_box(file.size, draws) if wish.crop else centre_box(file.size, (height, width))
        picture = file.convert(_MODES[channels]).resize((width, height), Image.Resampling.BILINEAR, box=box)
        if wish.flip and draws.random() < 0.5:
            picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        pixels = torch.from_numpy(np.array(picture)).reshape(height, width, channels)
        return pixels.permute(2, 0, 1)  # (channels, height, width)


@dataclass(frozen=True, eq=False)
class FolderData:
    """A drawn image folder. Implements `Data`.

    `pad` above 0 asks for the random resized crop (8 % to 100 % of the area, sides 3:4 to 4:3) that is usual
    for large images; without it, and in validation, the centre is taken.
    """

    sha256: str
    raw_input: tuple[int, int, int]
    num_classes: int
    paths: tuple[str, ...]
    labels: Tensor
    train_indices: Tensor
    validation_indices: Tensor
    test_sha256: str | None = None
    classes: tuple[str, ...] | None = None

    @property
    def train_count(self) -> int:
        """Training images."""
        return len(self.train_indices)

    @property
    def validation_count(self) -> int:
        """Validation images."""
        return len(self.validation_indices)

    def mean(self) -> Tensor:
        """See `Data.mean`; of a sample of evenly spaced training images, since all would take an epoch."""
        return self._mean

    @cached_property
    def _mean(self) -> Tensor:
        step = max(1, self.train_count // _MEAN_SAMPLE)
        sample = self.train_indices[::step][:_MEAN_SAMPLE]
        wishes = [[Wish(index)] for index in sample.tolist()]
        total = torch.zeros(self.raw_input[0], dtype=torch.int64)
        for images in self._decoded(wishes, torch.device("cpu")):
            total += images.sum((0, 2, 3), dtype=torch.int64)
        return (total.double() / (255 * len(wishes) * self.raw_input[1] * self.raw_input[2])).float()  # (channels,)

    def training(
        self,
        batches: Sequence[tuple[int, Tensor]],
        epoch: int,
        augmentation: Augmentation,
        device: torch.device,
    ) -> Iterator[Batch]:
        """See `Data.training`."""
        parts = [self.train_indices[indices] for _, indices in batches]
        wishes = [[self._train_wish(index, epoch, augmentation) for index in part.tolist()] for part in parts]
        return self._batches(parts, wishes, device)

    def validation(self, batch_size: int, device: torch.device) -> Iterator[Batch]:
        """See `Data.validation`."""
        parts = self.validation_indices.split(batch_size)
        return self._batches(parts, [[Wish(index) for index in part.tolist()] for part in parts], device)

    @staticmethod
    def _train_wish(index: int, epoch: int, augmentation: Augmentation) -> Wish:
        return Wish(index, augmentation.image_seed(epoch, index), augmentation.pad > 0, augmentation.flip)

    def _batches(self, parts: Sequence[Tensor], wishes: list[list[Wish]], device: torch.device) -> Iterator[Batch]:
        for part, images in zip(parts, self._decoded(wishes, device), strict=True):
            yield Batch(images.to(device).float() / 255, self.labels[part].to(device))

    def _decoded(self, wishes: list[list[Wish]], device: torch.device) -> Iterator[Tensor]:
        # On a CPU the cores train. The number of loaders cannot change a pixel: every wish has its own seed.
        loaders = min(_MAX_LOADERS, os.cpu_count() or 1) if device.type == "cuda" else 0
        pixels = Decoded(self.paths, self.raw_input)
        loader: DataLoader[Tensor] = DataLoader(pixels, batch_sampler=wishes, num_workers=loaders)
        try:
            yield from loader
        except OSError as error:
            # From a loader process the message is a whole traceback.
            message = str(error).strip().splitlines()[-1]
            raise InvalidSpec("source.path", got=message, allowed="a folder of readable images") from error


def random_box(size: tuple[int, int], draws: random.Random) -> Box:
    """The part of an image that a random resized crop shows: (left, top, right, bottom) in pixels.

    Args:
        size: (width, height) of the image.
        draws: where the area, the ratio of the sides and the place come from.
    """
    width, height = size
    area = width * height * draws.uniform(*_CROP_AREA)
    ratio = draws.uniform(*_CROP_RATIO)
    wide, high = min(width, (area * ratio) ** 0.5), min(height, (area / ratio) ** 0.5)
    left, top = draws.uniform(0, width - wide), draws.uniform(0, height - high)
    return left, top, min(left + wide, width), min(top + high, height)


def centre_box(size: tuple[int, int], target: tuple[int, int]) -> Box:
    """The centre that validation shows: 7/8 of the largest part with the target's ratio of sides.

    Args:
        size: (width, height) of the image.
        target: (height, width) wanted.
    """
    (width, height), (target_height, target_width) = size, target
    scale = min(width / target_width, height / target_height) * _CENTRE_SHARE
    wide, high = target_width * scale, target_height * scale
    left, top = (width - wide) / 2, (height - high) / 2
    return left, top, left + wide, top + high


def open_folder(source: DataSource, draw: Draw | FinalDraw, image: tuple[int, int, int]) -> FolderData:
    """List and draw an image folder: path/train/CLASS/... if there is a path/train, else path/CLASS/...

    A final training needs path/train, and measures on path/test/CLASS/..., or else on path/val/CLASS/...

    Raises:
        InvalidSpec: no such folder, a class without images, too few images a class, or channels other than
            1 (grey) and 3 (RGB).
    """
    if image[0] not in _MODES:
        raise InvalidSpec("space.input", got=image, allowed="1 channel (grey) or 3 (RGB) for an image folder")
    root = data_folder(source, draw.dataset)
    if not root.is_dir():
        raise InvalidSpec("source.path", got=str(root), allowed="an existing folder; there is nothing to download")
    train_root = root / "train" if (root / "train").is_dir() else root
    with translated_data_errors(source, draw.dataset):
        classes, found = samples(train_root)
        names = tuple(class_names(train_root))
        digest = _listing_sha256(train_root, found)
        measuring, test_digest = _test_set(root, names) if isinstance(draw, FinalDraw) else ([], None)
    labels = [one.label for one in found]
    if isinstance(draw, FinalDraw):
        train = at_most(labels, classes, draw.train_per_class, draw.draw_seed)
        validation = list(range(len(found), len(found) + len(measuring)))
    else:
        train, validation = split(labels, classes, draw)
    images = [*found, *measuring]
    return FolderData(
        digest,
        image,
        classes,
        tuple(one.path for one in images),
        torch.tensor([one.label for one in images]),
        torch.tensor(train),
        torch.tensor(validation),
        test_digest,
        names,
    )


def _test_set(root: Path, classes: tuple[str, ...]) -> tuple[list[Sample], str]:
    """(images, hash) of path/test, or else of path/val, as ImageNet calls what papers test on."""
    parts = [root / name for name in ("test", "val") if (root / name).is_dir()]
    if not (root / "train").is_dir() or not parts:
        raise ValueError("a final training needs the folders train and test (or val) in it")
    found = class_names(parts[0])
    if tuple(found) != classes:
        odd = sorted(set(found) ^ set(classes))[0]
        raise ValueError(f"train and {parts[0].name} must have the same classes; only one of them has {odd}")
    _, images = samples(parts[0])
    return images, _listing_sha256(parts[0], images)


def _listing_sha256(root: Path, images: Sequence[Sample]) -> str:
    """Of names and sizes, because reading every image of a large folder would take hours."""
    found = hashlib.sha256()
    for image in sorted(images):
        name = Path(image.path).relative_to(root).as_posix()
        found.update(f"{name}\t{image.size}\n".encode(errors="surrogateescape"))
    return found.hexdigest()
