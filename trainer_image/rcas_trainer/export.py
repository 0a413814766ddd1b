"""Writes a trained network as plain files, and checks each by loading it without rcas."""

from __future__ import annotations

import hashlib
import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save, save_file
from torch import Tensor, nn

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import InvalidSpec, SearchFailed
from rcas.export.formats import FILE_NAMES, LOADING, TOLERANCE, Delivery, Exported, Format, Order, with_needed
from rcas.export.python_file import python_file
from rcas_trainer import alone, deployed
from rcas_trainer.files import create_file
from rcas_trainer.versions import installed, versions
from rcas_trainer.weights import read_weights

_COUNTS = (1, 3)
"""Images of the cases that are compared: a file must take any number of them."""


def export(order: Order) -> Delivery:
    """Write the files of an order and check them.

    Raises:
        InvalidSpec: the weights cannot be read or used, or a package is not installed.
        SearchFailed: a file gives other outputs than the network. What was written is to be removed.
        OSError: a file cannot be written.
    """
    architecture, network = read_weights(Path(order.weights))
    cases = _cases(architecture, network, order.weights)
    folder, formats = Path(order.folder), with_needed(order.formats)
    writers: dict[Format, Callable[[], bytes]] = {
        "safetensors": lambda: save(network.state_dict(), {METADATA_KEY: architecture.model_dump_json()}),
        "torchscript": lambda: deployed.torchscript(architecture, network),
        "onnx": lambda: deployed.onnx(architecture, network),
        "python": lambda: python_file(architecture, order.title, order.about).encode(),
    }
    contents: dict[Format, bytes] = {one: writers[one]() for one in formats}
    for one, content in contents.items():
        create_file(folder / FILE_NAMES[one], content)
    differences = _differences(folder, formats, cases)
    files = tuple(
        Exported(
            format=one,
            name=FILE_NAMES[one],
            size_bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            difference=differences[one],
        )
        for one, content in contents.items()
    )
    return Delivery(architecture=architecture, files=files, versions=versions() | _further_versions(formats))


def _cases(architecture: Architecture, network: nn.Module, path: str) -> dict[str, Tensor]:
    """Random images, and what the trained network makes of them with the mean subtracted as in its training."""
    draws = torch.Generator().manual_seed(0)
    mean = torch.tensor(architecture.mean)[:, None, None]
    cases = {f"weights.{name}": tensor for name, tensor in network.state_dict().items()}
    with torch.no_grad():
        for count in _COUNTS:
            images = torch.rand(count, *architecture.space.input, generator=draws)
            logits = network(images - mean)
            if not logits.isfinite().all():
                raise InvalidSpec("weights", got=path, allowed="weights whose outputs are finite numbers")
            cases |= {f"images.{count}": images, f"logits.{count}": logits}
    return cases


def _differences(folder: Path, formats: tuple[Format, ...], cases: dict[str, Tensor]) -> dict[Format, float]:
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary, "cases.safetensors")
        save_file(cases, path)
        done = subprocess.run(
            [sys.executable, "-I", alone.__file__, str(path)],
            input=json.dumps({one: LOADING[one] for one in formats}),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    if done.returncode:
        words = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise SearchFailed(f"an exported file cannot be loaded without rcas: {words[-1]}")
    found: dict[Format, float] = json.loads(done.stdout.splitlines()[-1])
    for one, difference in found.items():
        if not math.isfinite(difference) or difference > TOLERANCE:
            raise SearchFailed(
                f"{FILE_NAMES[one]} is not exported: its outputs differ from the trained network's by up to "
                f"{difference:.2g}, more than {TOLERANCE:g}"
            )
    return found


def _further_versions(formats: tuple[Format, ...]) -> dict[str, str]:
    packages = ("rcas", "safetensors", *(("onnx", "onnxscript", "onnxruntime") if "onnx" in formats else ()))
    return {name: installed(name) for name in packages}
