"""Which images of the training set measure a network and which train it (paper, section 4.1)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from rcas.errors import InvalidSpec
from rcas.evaluation import Draw


class Split(NamedTuple):
    """Ascending indices into the training set; disjoint."""

    train: list[int]
    validation: list[int]


def split(labels: Sequence[int], num_classes: int, draw: Draw) -> Split:
    """Draw `validation_per_class` images of each class, and at most `train_per_class` of the rest.

    Images are ordered by a hash of (seed, class, index) instead of a library's random numbers, so that the
    draw stays the same under every version of every library.

    Args:
        labels: the class of each image of the training set, from 0.
        num_classes: of the data set; a class without images is an error.
        draw: sizes and seed.

    Raises:
        InvalidSpec: a class has too few images to leave one for training.
    """
    found = Split([], [])
    for label, indices in enumerate(_members(labels, num_classes)):
        if len(indices) <= draw.validation_per_class:
            allowed = f"fewer than the {len(indices)} training images that class {label} of {draw.dataset} has"
            raise InvalidSpec("draw.validation_per_class", got=draw.validation_per_class, allowed=allowed)
        drawn = _shuffled(label, indices, draw.draw_seed)
        end = None if draw.train_per_class is None else draw.validation_per_class + draw.train_per_class
        found.validation.extend(drawn[: draw.validation_per_class])
        found.train.extend(drawn[draw.validation_per_class : end])
    return Split(sorted(found.train), sorted(found.validation))


def at_most(labels: Sequence[int], num_classes: int, per_class: int | None, seed: int) -> list[int]:
    """Ascending indices of all images, or of at most `per_class` of each class."""
    if per_class is None:
        return list(range(len(labels)))
    members = enumerate(_members(labels, num_classes))
    return sorted(index for label, indices in members for index in _shuffled(label, indices, seed)[:per_class])


def _members(labels: Sequence[int], num_classes: int) -> list[list[int]]:
    members: list[list[int]] = [[] for _ in range(num_classes)]
    for index, label in enumerate(labels):
        members[label].append(index)
    return members


def _shuffled(label: int, indices: list[int], seed: int) -> list[int]:
    return sorted(indices, key=lambda index: _rank(f"{seed}:{label}:{index}"))


def _rank(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
