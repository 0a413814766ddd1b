"""Small tasks, small data on the disk, and the trainer as a real process."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from rcas.architecture import METADATA_KEY, Architecture
from rcas.evaluation import DataSource, Draw, Protocol, Result, Task, Training, evaluation_key
from rcas.messages import JOB_VARIABLE, Assignment, Inquiry
from rcas.space import Head, Space, Stage, Stem
from rcas_trainer.data import describe
from rcas_trainer.model import build

DIGITS = Draw(dataset="digits", validation_per_class=10)
QUICK = {"epochs": 2, "batch_size": 64, "lr": 0.05, "milestones": (1,), "pad": 1}


def a_space(image: tuple[int, int, int] = (1, 8, 8), num_classes: int = 10, width: int = 8, **changes: Any) -> Space:
    stages = (Stage(width, 3, start=(5,)), Stage(2 * width, 3, stride=2, start=(5,)))
    fields: dict[str, Any] = {"stem": Stem(8, 1, 8), "head": Head(32)} | changes
    return Space(image, num_classes, stages, **fields)


def a_task(
    *,
    space: Space | None = None,
    network: str | None = None,
    draw: Draw = DIGITS,
    source: DataSource | None = None,
    replicate: int = 0,
    protocol: dict[str, Any] | None = None,
    **training: Any,
) -> Task:
    """A task that this trainer can carry out, except for what `protocol` changes."""
    space, source = space or a_space(), source or DataSource()
    network = network or str(space.start)
    fields: dict[str, Any] = {"device": "cpu", "threads": 1} | (protocol or {})
    if not {"data_sha256", "versions"} <= set(fields):
        found = describe(source, draw, space)
        fields = {"data_sha256": found.data_sha256, "versions": found.versions} | fields
    made = Protocol(draw=draw, training=Training(**(QUICK | training)), **fields)
    key = evaluation_key(space, space.network(network), made.sha256, replicate)
    return Task(key=key, space=space, network=network, protocol=made, replicate=replicate, source=source)


def an_assignment(task: Task, place: Path | str, name: str = "a") -> Assignment:
    """With result and checkpoint in a folder or below a URL."""
    return Assignment(task=task, result=f"{place}/{name}.json", checkpoint=f"{place}/{name}.pt")


def start(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    """The trainer's real entry point, with its three streams as pipes."""
    given: dict[str, Any] = {
        "stdin": subprocess.PIPE,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
        "env": {**os.environ, "OMP_NUM_THREADS": "1"},
    }
    command = [sys.executable, "-m", "rcas_trainer", *arguments]
    return subprocess.Popen(command, text=True, **{**given, **options})


def start_training(task: Task, folder: Path, **options: Any) -> subprocess.Popen[str]:
    path = folder / "task.json"
    path.write_text(task.model_dump_json())
    places = ("--result", str(folder / "result.json"), "--checkpoint", str(folder / "checkpoint.pt"))
    return start("train", str(path), *places, **options)


def start_job(order: Assignment | Inquiry, **environment: str) -> subprocess.Popen[str]:
    """The trainer as a Job's container starts it."""
    given = {**os.environ, JOB_VARIABLE: order.model_dump_json(), **environment}
    return start("job", env=given)


def wait_for_line(process: subprocess.Popen[str], wanted: str) -> str:
    """Read standard error up to the line that contains `wanted`."""
    assert process.stderr is not None
    seen = []
    for line in process.stderr:
        if wanted in line:
            return line
        seen.append(line)
    raise AssertionError(f"{wanted!r} never came; seen: {''.join(seen)}")


def finish(process: subprocess.Popen[str]) -> str:
    """Wait for exit code 0; returns standard error."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return errors


def refused(process: subprocess.Popen[str], code: int) -> str:
    """Wait for this exit code; returns the one line on standard error."""
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    [line] = errors.splitlines()
    assert line.startswith("rcas-trainer: ")
    return line


def the_result(folder: Path, name: str = "result") -> Result:
    return Result.model_validate_json((folder / f"{name}.json").read_bytes())


def measured(result: Result) -> dict[str, Any]:
    """What an interruption must not change."""
    volatile = {"seconds", "images_per_second", "resumed", "restarted", "device", "began", "ended"}
    return {name: value for name, value in json.loads(result.model_dump_json()).items() if name not in volatile}


SIX_TYPES = "5,1 / - / 5,2,6 / 3,4,6"
"""Each block type, shortcuts of both kinds, and a stage of stride 2, in `a_wide_space`."""


def a_wide_space() -> Space:
    stages = (Stage(8, 3, start=(5,)), Stage(12, 2), Stage(16, 3, stride=2, start=(5,)), Stage(24, 4))
    return Space((2, 12, 10), 10, stages, stem=Stem(8, 1, 4), head=Head(32))


def an_architecture(activation: Any = "relu6", **changes: Any) -> Architecture:
    fields = {"space": a_wide_space(), "network": SIX_TYPES, "mean": (0.25, 0.5), "classes": tuple("abcdefghij")}
    return Architecture(**{**fields, "activation": activation, **changes})


def write_weights(path: Path, architecture: Architecture | None = None, *, seed: int = 0) -> Architecture:
    """A file as `rcasctl retrain` leaves it, with random weights that spread the outputs."""
    architecture = architecture or an_architecture()
    space, activation = architecture.space, architecture.activation
    tensors = build(space, space.network(architecture.network), activation).state_dict()
    draws = torch.Generator().manual_seed(seed)
    gain = {"relu6": 2, "relu": 0.7}[activation]  # ReLU6 must have something to cut, ReLU lets outputs grow
    for name, tensor in tensors.items():
        if name.endswith("running_var"):
            tensor.uniform_(0.2, 1, generator=draws)
        elif tensor.dim() == 1:
            tensor.uniform_(-0.5, 1.5, generator=draws)
        elif tensor.is_floating_point() and tensor.dim():
            tensor.normal_(0, (gain / tensor[0].numel()) ** 0.5, generator=draws)
    save_file(tensors, path, {METADATA_KEY: architecture.model_dump_json()})
    return architecture


def write_idx(folder: Path, images: np.ndarray, labels: np.ndarray, *, packed: bool = True) -> Path:
    """A folder of MNIST's four files, as Debian's dataset packages have them."""
    folder.mkdir(parents=True, exist_ok=True)
    for part in ("train", "t10k"):
        for name, array in (("images-idx3", images), ("labels-idx1", labels)):
            head = bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape)
            content = head + array.astype(np.uint8).tobytes()
            if packed:
                (folder / f"{part}-{name}-ubyte.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / f"{part}-{name}-ubyte").write_bytes(content)
    return folder


def write_folder(folder: Path, images: Iterable[np.ndarray], labels: np.ndarray) -> Path:
    """An image folder of PNG files."""
    for number, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / f"class {label}" / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image.astype(np.uint8)).save(path)
    return folder


def some_images(count: int = 120, classes: int = 10, size: int = 28, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.integers(0, 256, (count, size, size)), np.arange(count) % classes
