"""The images of a folder, listed as torchvision's ImageFolder does, but without its import, which takes seconds.

And with an end, whatever lies there: folders that contain themselves by a link, pipes and devices are refused.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")
MOST_FOLDERS = 100_000
Identity = tuple[int, int]


class Sample(NamedTuple):
    """An image file: its path, its class from 0, its size in bytes."""

    path: str
    label: int
    size: int


def samples(root: Path) -> tuple[int, list[Sample]]:
    """(classes, images): a class is a folder in `root` with all images below it.

    Raises:
        ValueError: there is no class, or one without images; a folder contains itself; something is no file.
        OSError: a folder cannot be read.
    """
    classes = class_names(root)
    folders = _Folders()
    found = list[Sample]()
    for label, name in enumerate(classes):
        before = len(found)
        for folder, files in sorted(folders.below(str(root / name))):
            found += [_sample(os.path.join(folder, file), label) for file in sorted(files)]
        if len(found) == before:
            raise ValueError(f"the class {name} has no images: {', '.join(EXTENSIONS)}")
    return len(classes), found


def class_names(root: Path) -> list[str]:
    """Names of the classes in order: those of the folders in `root`.

    Raises:
        ValueError: there is none.
        OSError: the folder cannot be read.
    """
    classes = sorted(entry.name for entry in os.scandir(root) if entry.is_dir())
    if not classes:
        raise ValueError("it has no folders of classes")
    return classes


def _sample(path: str, label: int) -> Sample:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path} is no file")
    return Sample(path, label, status.st_size)


class _Folders:
    def __init__(self) -> None:
        self._count = 0

    def below(self, folder: str, above: frozenset[Identity] = frozenset()) -> Iterator[tuple[str, list[str]]]:
        """Each folder with the names of its images. Links are followed."""
        status = os.stat(folder)
        identity = status.st_dev, status.st_ino
        self._count += 1
        if identity in above:
            raise ValueError(f"{folder} contains itself")
        if self._count > MOST_FOLDERS:
            raise ValueError(f"more than {MOST_FOLDERS:,} folders")
        entries = list(os.scandir(folder))
        yield folder, [one.name for one in entries if one.name.lower().endswith(EXTENSIONS) and not one.is_dir()]
        for entry in entries:
            if entry.is_dir():
                yield from self.below(entry.path, above | {identity})
