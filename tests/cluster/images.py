"""The images under test, built from the repository's Dockerfile by buildah, once for the same sources."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from cluster.machine import BED, call, run

ROOT = Path(__file__).parents[2]
SOURCES = ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements", "controller", "trainer_image")
BASE = "localhost/python:3.11-slim-bookworm"


class Images(NamedTuple):
    """References of the two images, with a tag that changes when a source does."""

    controller: str
    trainer: str


def sources_hash() -> str:
    """Of all files that the images are made from, committed or not."""
    listed = call("git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCES)
    digest = hashlib.sha256()
    for name in sorted(filter(None, listed.split("\0"))):
        if (ROOT / name).is_file():
            digest.update(name.encode() + b"\0" + hashlib.sha256((ROOT / name).read_bytes()).digest())
    return digest.hexdigest()[:12]


def build() -> Images:
    """Have both images in buildah's storage."""
    tag = sources_hash()
    images = Images(f"localhost/rcas-controller:{tag}", f"localhost/rcas-trainer:{tag}")
    for target, image in zip(Images._fields, images, strict=True):
        if run("buildah", "inspect", "--type", "image", image).returncode == 0:
            continue
        call(BED / "base", within_s=600)
        call(
            "buildah", "bud", "--layers", "--isolation", "chroot", "--network", "host",
            "--build-arg", f"PYTHON_IMAGE={BASE}", "--target", target,
            "--tag", image, "--tag", f"localhost/rcas-{target}:test", ROOT,
            within_s=1800,
        )  # fmt: skip
    return images


def load(images: Images) -> None:
    """Have both images on every node."""
    call(BED / "load", *images, within_s=900)


if __name__ == "__main__":
    print(*build())
