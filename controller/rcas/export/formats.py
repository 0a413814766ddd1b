"""The files of an export: their names, how to load each, and what is asked of a trainer to write them."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from rcas.architecture import METADATA_KEY, Architecture
from rcas.evaluation import Model, Sha256, Versions

Format = Literal["safetensors", "torchscript", "onnx", "python"]
FORMATS: tuple[Format, ...] = get_args(Format)
FILE_NAMES: dict[Format, str] = {
    "safetensors": "model.safetensors",
    "torchscript": "model.pt",
    "onnx": "model.onnx",
    "python": "model.py",
}
PACKAGES: dict[Format, str] = {
    "safetensors": "safetensors and torch",
    "torchscript": "torch",
    "onnx": "onnxruntime (or another runtime) and numpy",
    "python": "torch and safetensors",
}
"""What a program needs that loads the file."""
ONNX_OPSET = 18
TOLERANCE = 1e-4
"""Largest difference of a logit that an exported file may show against the trained network."""

LOADING: dict[Format, str] = {
    "python": f"""\
from model import load

network = load("{FILE_NAMES["safetensors"]}")
logits = network(images)
""",
    "torchscript": f"""\
import torch

network = torch.jit.load("{FILE_NAMES["torchscript"]}")
logits = network(images)
""",
    "onnx": f"""\
import onnxruntime

session = onnxruntime.InferenceSession("{FILE_NAMES["onnx"]}")
[logits] = session.run(["logits"], {{"images": images.numpy()}})
""",
    "safetensors": f"""\
import json
from safetensors import safe_open

with safe_open("{FILE_NAMES["safetensors"]}", framework="pt") as file:
    architecture = json.loads(file.metadata()["{METADATA_KEY}"])
    weights = {{name: file.get_tensor(name) for name in file.keys()}}
""",
}
"""Code that loads each file, run in its folder. From `images`, a torch tensor, it makes `logits`; safetensors gives
`weights` only. The card shows this code, and every export is checked by running it."""


def with_needed(formats: tuple[Format, ...]) -> tuple[Format, ...]:
    """The formats in a fixed order, each once, with those that they need: `python` reads the weights beside it."""
    wanted = {*formats, *(("safetensors",) if "python" in formats else ())}
    return tuple(one for one in FORMATS if one in wanted)


class Order(Model):
    """Write these files.

    Attributes:
        weights: path of a safetensors file with an `Architecture` in its metadata.
        folder: path of an empty folder that the files go into.
        formats: which.
        title, about: the first and further lines of the docstring of the Python file: what the network is, and where
            it comes from.
    """

    weights: str
    folder: str
    formats: tuple[Format, ...]
    title: str
    about: tuple[str, ...] = ()


class Exported(Model):
    """One file of an export.

    Attributes:
        format: of the file. name: inside its folder.
        size_bytes: on disk. sha256: of its content.
        difference: largest absolute difference of a logit against the trained network, on random images; 0 of
            safetensors means that all weights are equal.
    """

    format: Format
    name: str
    size_bytes: Annotated[int, Field(ge=0)]
    sha256: Sha256
    difference: Annotated[float, Field(ge=0)]


class Delivery(Model):
    """The answer to an `Order`: the network, the files that were written and checked, and what wrote them."""

    architecture: Architecture
    files: tuple[Exported, ...]
    versions: Versions
