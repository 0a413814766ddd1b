"""A trained network as its user calls it, and as TorchScript and ONNX."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import InvalidSpec
from rcas.export.formats import ONNX_OPSET


class Deployed(nn.Module):
    """The network with what its training does to an image before: so nobody can forget it."""

    def __init__(self, architecture: Architecture, network: nn.Module) -> None:
        super().__init__()
        self.channels, self.height, self.width = architecture.space.input
        self.network = network
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(architecture.mean).reshape(1, -1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Floating point (count, channels, height, width) from 0 to 1 to logits (count, num_classes)."""
        if not torch.compiler.is_compiling():
            assert images.is_floating_point(), "images must be floating point with values from 0 to 1"
            assert images.dim() == 4, "images must have the shape (count, channels, height, width)"
            assert images.size(1) == self.channels, "images have another number of channels than the network"
            assert images.size(2) == self.height, "images have another height than the network was trained with"
            assert images.size(3) == self.width, "images have another width than the network was trained with"
        return self.network(images - self.mean)


def torchscript(architecture: Architecture, network: nn.Module) -> bytes:
    """A file for `torch.jit.load`; its extra file `rcas` has the architecture as JSON."""
    buffer = io.BytesIO()
    with quiet():
        scripted = torch.jit.script(Deployed(architecture, network).eval())
        torch.jit.save(scripted, buffer, _extra_files={METADATA_KEY: architecture.model_dump_json()})
    return buffer.getvalue()


def onnx(architecture: Architecture, network: nn.Module) -> bytes:
    """An ONNX model with any number of images; its metadata property `rcas` has the architecture as JSON.

    Raises:
        InvalidSpec: the packages for it are not installed.
    """
    checker = _checker()
    images = torch.zeros(2, *architecture.space.input)
    with quiet():
        program = torch.onnx.export(
            Deployed(architecture, network).eval(),
            (images,),
            dynamo=True,
            opset_version=ONNX_OPSET,
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes={"images": {0: torch.export.Dim("count")}},
            external_data=False,
            verbose=False,
        )
    assert program is not None
    model: Any = program.model_proto
    _forget_the_exporter(model)
    model.metadata_props.add(key=METADATA_KEY, value=architecture.model_dump_json())
    checker(model, full_check=True)
    return model.SerializeToString()


def _checker() -> Any:
    try:
        import onnx

        # torch writes the file with the one, and it is checked with the other.
        for package in ("onnxscript", "onnxruntime"):
            import_module(package)
    except ModuleNotFoundError as error:
        allowed = f"another format, or first: pip install 'rcas[export]' ({error.name} is not installed)"
        raise InvalidSpec("format", got="onnx", allowed=allowed) from error
    return onnx.checker.check_model


def _forget_the_exporter(model: Any) -> None:
    """Without what torch notes for its own developers: among it are paths of this machine."""
    graph = model.graph
    for part in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        del part.metadata_props[:]
    del model.functions[:]


@contextmanager
def quiet() -> Generator[None]:
    """Without torch's words for those who develop or choose exporters. What comes out is checked."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
