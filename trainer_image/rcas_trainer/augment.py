"""Training-time changes of small images, a batch at a time (paper, section 4.1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rcas.evaluation import Training
from rcas_trainer.seeds import derived_seed, generator


@dataclass(frozen=True)
class Augmentation:
    """What a training does to its images, and the counters that its randomness starts from.

    Attributes:
        pad: zero padding in pixels on each side before the random crop; 0 crops nothing.
        flip: mirror half of the images.
        counters: seed and replicate of the training.
    """

    pad: int
    flip: bool
    counters: tuple[int, int]

    @classmethod
    def of(cls, training: Training, replicate: int) -> Augmentation:
        """The augmentation of a training."""
        return cls(training.pad, training.flip, (training.seed, replicate))

    def batch_generator(self, epoch: int, batch: int) -> torch.Generator:
        """Of one batch of small images."""
        return generator(*self.counters, "augment", epoch, batch)

    def image_seed(self, epoch: int, index: int) -> int:
        """Of one image of an image folder, which is decoded alone."""
        return derived_seed(*self.counters, "augment", epoch, index)


def crop_and_flip(images: Tensor, augmentation: Augmentation, draws: torch.Generator) -> Tensor:
    """Pad with zeros, take a random crop of the old size, mirror half of the images.

    Args:
        images: uint8 (count, channels, height, width), on any device.
        augmentation: padding, and whether to mirror.
        draws: a generator on the CPU.

    Returns:
        The same shape, type and device.
    """
    count, channels, height, width = images.shape
    rows, columns = torch.arange(height).expand(count, height), torch.arange(width).expand(count, width)
    if augmentation.pad:
        offsets = torch.randint(2 * augmentation.pad + 1, (2, count, 1), generator=draws)
        rows, columns = rows + offsets[0], columns + offsets[1]
    if augmentation.flip:
        mirrored = torch.rand(count, 1, generator=draws) < 0.5
        columns = torch.where(mirrored, columns.flip(1), columns)
    device, padding = images.device, [augmentation.pad] * 4
    return F.pad(images, padding)[
        torch.arange(count, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows.to(device)[:, None, :, None],
        columns.to(device)[:, None, None, :],
    ]  # (count, channels, height, width)
