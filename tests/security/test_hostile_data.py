"""Data sets that would hang a trainer, fill its memory, run code in it, or lead it out of their folder."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Draw
from rcas_trainer.data import open_data
from rcas_trainer.fetch import check_names
from rcas_trainer.folder import open_folder
from rcas_trainer.listing import samples
from rcas_trainer.sources import load
from security.test_hostile_checkpoints import Evil, ran
from trainer.builders import some_images, write_folder, write_idx

SOON_S = 20.0


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    images, labels = some_images(12, 2, 16)
    return write_folder(tmp_path / "images", (np.stack([image] * 3, 2) for image in images), labels)


def test_a_folder_is_listed_as_torchvision_lists_it(tree: Path, tmp_path: Path) -> None:
    from torchvision import datasets

    (tree / "class 0" / "inner" / "z").mkdir(parents=True)
    (tree / "class 0" / "0.png").rename(tree / "class 0" / "inner" / "B.PNG")
    (tree / "class 0" / "2.png").rename(tree / "class 0" / "inner" / "z" / "a.png")
    (tree / "class 0" / "inner.png").write_bytes(b"x")
    (tree / "class 0" / "notes.txt").write_text("no image")
    (tree / "notes.txt").write_text("no class")
    (tmp_path / "aside").mkdir()
    (tmp_path / "aside" / "linked.jpeg").write_bytes(b"x")
    (tree / "class 1" / "link").symlink_to(tmp_path / "aside")
    (tree / "class 1" / "file.webp").symlink_to(tmp_path / "aside" / "linked.jpeg")
    theirs = datasets.ImageFolder(str(tree))
    classes, ours = samples(tree)
    assert classes == len(theirs.classes)
    assert [(one.path, one.label) for one in ours] == theirs.samples


def opened(folder: Path) -> Any:
    return open_folder(DataSource(path=str(folder)), Draw(dataset="imagefolder", validation_per_class=1), (3, 8, 8))


def decoded(folder: Path) -> None:
    """All of its images."""
    data = opened(folder)
    data.mean()
    list(data.validation(8, torch.device("cpu")))


def loop(tree: Path) -> None:
    (tree / "class 0" / "again").symlink_to(tree / "class 0")
    (tree / "class 0" / "and again").symlink_to(tree)


def doubling(tree: Path) -> None:
    """Each of 18 folders is twice in the one before it: half a million paths, and none contains itself."""
    for level in range(18):
        (tree.parent / f"level-{level}").mkdir()
        for name in "ab":
            (tree.parent / f"level-{level}" / name).symlink_to(tree.parent / f"level-{level + 1}")
    (tree.parent / "level-18").mkdir()
    (tree / "class 0" / "deep").symlink_to(tree.parent / "level-0")


FOLDERS: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a folder that contains itself": (loop, "contains itself"),
    "a folder of half a million paths": (doubling, "more than 100,000 folders"),
    "a pipe": (lambda tree: os.mkfifo(tree / "class 0" / "pipe.png"), "is no file"),
    "a device without an end": (lambda tree: (tree / "class 0" / "zero.png").symlink_to("/dev/zero"), "is no file"),
    "a link to nowhere": (lambda tree: (tree / "class 0" / "none.png").symlink_to("/nowhere/x"), "No such file"),
    "a class without images": (lambda tree: (tree / "class 2").mkdir(), "the class class 2 has no images"),
}


@pytest.mark.parametrize("how", FOLDERS)
def test_a_folder_without_an_end_is_refused_soon(tree: Path, how: str) -> None:
    spoil, says = FOLDERS[how]
    spoil(tree)
    began = time.monotonic()
    with pytest.raises(InvalidSpec, match=says) as caught:
        opened(tree)
    assert time.monotonic() - began < SOON_S
    assert "\n" not in str(caught.value)


def png_of(width: int, height: int) -> bytes:
    """A PNG of a kilobyte that says that it has so many pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(b"\0" * 100_000)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "content", [png_of(60_000, 60_000), png_of(2**31 - 1, 1), b"", b"\x89PNG\r\n\x1a\n", b"GIF89a"]
)
def test_an_image_that_would_fill_the_memory_is_refused(tree: Path, content: bytes) -> None:
    for path in (tree / "class 0").iterdir():
        path.write_bytes(content)
    with pytest.raises(InvalidSpec, match="is no readable image"):
        decoded(tree)


def test_a_link_out_of_the_folder_shows_nothing_of_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    secret = tmp_path / "credentials"
    secret.write_text("planted-secret-of-a-file")
    (tree / "class 0" / "0.png").unlink()
    (tree / "class 0" / "0.png").symlink_to(secret)
    with pytest.raises(InvalidSpec) as caught:
        decoded(tree)
    assert "planted-secret" not in str(caught.value)


def test_a_pickle_in_the_place_of_cifar_does_not_run(tmp_path: Path) -> None:
    """torchvision unpickles these files, after it has compared their hashes."""
    evil = pickle.dumps(Evil())
    for folder in ("cifar-10-batches-py", "cifar-100-python"):
        (tmp_path / folder).mkdir()
        for name in (
            "batches.meta",
            "meta",
            "train",
            "test",
            *(f"data_batch_{n}" for n in range(1, 6)),
            "test_batch",
        ):
            (tmp_path / folder / name).write_bytes(evil)
    for dataset in ("cifar10", "cifar100"):
        with pytest.raises(InvalidSpec, match=r"source\.path"):
            load(DataSource(path=str(tmp_path)), dataset)
    assert not ran


def idx(shape: tuple[int, ...], content: bytes) -> bytes:
    return bytes((0, 0, 8, len(shape))) + b"".join(size.to_bytes(4, "big") for size in shape) + content


IDX: dict[str, bytes] = {
    "terabytes that are said": idx((2**32 - 1, 2**32 - 1, 2**32 - 1), b""),
    "more than it says": idx((120, 28, 28), b"\0" * (120 * 28 * 28 + 1)),
    "fewer than it says": idx((120, 28, 28), b"\0"),
    "no dimensions": bytes((0, 0, 8, 3)),
    "nothing": b"",
}


@pytest.mark.parametrize("content", IDX.values(), ids=IDX)
@pytest.mark.parametrize("compressed", [True, False])
def test_an_idx_file_is_as_large_as_it_says_or_refused(tmp_path: Path, content: bytes, compressed: bool) -> None:
    folder = write_idx(tmp_path / "idx", *some_images(), packed=compressed)
    file = folder / ("train-images-idx3-ubyte.gz" if compressed else "train-images-idx3-ubyte")
    file.write_bytes(gzip.compress(content) if compressed else content)
    with pytest.raises(InvalidSpec, match=r"source\.path") as caught:
        load(DataSource(path=str(folder)), "mnist")
    assert "\n" not in str(caught.value)


def test_a_packed_file_is_not_unpacked_further_than_it_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, read = write_idx(tmp_path / "idx", *some_images()), list[int]()
    original = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        assert size is not None
        assert size >= 0, "all of it was asked for"
        read.append(size)
        return original(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    load(DataSource(path=str(folder)), "mnist")
    assert max(read) == 120 * 28 * 28 + 1
    read.clear()
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx((2**31, 2, 2), b"")))
    with pytest.raises(InvalidSpec, match="has not the 8,589,934,592 bytes"):
        load(DataSource(path=str(folder)), "mnist")
    assert max(read) < 100, "nor as far as it says, if that is more than a data set has"


@pytest.mark.parametrize(
    "name", ["../../etc/cron.d/x", "/etc/passwd", "a//b", "a/../b", "./a", "a/.", "..", "", "a\0b", "a/", "x/../../y"]
)
def test_an_object_whose_name_leaves_the_folder_is_not_fetched(name: str) -> None:
    with pytest.raises(InvalidSpec, match="names that can be files"):
        check_names("s3://bucket/data", ["good.png", name])


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(st.sampled_from(["train-images-idx3-ubyte", "train-labels-idx1-ubyte"]), st.binary(max_size=64))
)
def test_any_files_as_mnist_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("mnist")
    for name, content in files.items():
        (folder / name).write_bytes(content)
    with pytest.raises(InvalidSpec) as caught:
        load(DataSource(path=str(folder)), "mnist")
    assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=40))
def test_any_text_as_a_path_is_refused_in_one_line(text: str) -> None:
    for dataset in ("imagefolder", "mnist"):
        with pytest.raises(InvalidSpec) as caught:
            open_data(DataSource(path=f"/nowhere/{text}"), Draw(dataset=dataset), (3, 8, 8))
        assert "\n" not in str(caught.value)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=200))
def test_any_bytes_as_an_image_are_refused_in_one_line(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.mktemp("images")
    for label in "ab":
        (folder / label).mkdir()
        for number in range(3):
            Image.new("RGB", (9, 9)).save(folder / label / f"{number}.png")
        (folder / label / "1.png").write_bytes(content)
    with pytest.raises(InvalidSpec) as caught:
        decoded(folder)
    assert "\n" not in str(caught.value)
