"""How long whole networks take on this machine's CPU, as torch runs them and as exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import InvalidSpec
from rcas.timing import NetworksAnswer, NetworksQuestion, TimedNetwork
from rcas_trainer.deployed import Deployed, quiet
from rcas_trainer.errors import first_line
from rcas_trainer.model import build
from rcas_trainer.parts import machine
from rcas_trainer.timing import Call, measure
from rcas_trainer.versions import installed, versions
from rcas_trainer.weights import read_weights

_FIELD = "file"


class _Runnable(NamedTuple):
    """A network that is ready to run: `call` is one pass."""

    name: str
    size_bytes: int | None
    runtime: Literal["torch", "TorchScript", "onnxruntime"]
    call: Call


def time_networks(asked: NetworksQuestion, done: Callable[[int], None]) -> NetworksAnswer:
    """Time all networks in turns, each on the same random images with values from 0 to 1.

    A pass is what a user calls, mean subtraction included: float32, evaluation mode.

    Args:
        asked: what to time.
        done: called after every timed round with the number of rounds so far.

    Raises:
        InvalidSpec: a file cannot be read or is none that rcas writes, or a package is not installed.
    """
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    runnable = [_built(architecture, asked.batch) for architecture in asked.networks]
    runnable += [_loaded(Path(path), asked) for path in asked.files]
    with torch.inference_mode():
        times = measure([one.call for one in runnable], runs=asked.runs, warm_up=asked.warm_up, done=done)
    return NetworksAnswer(
        machine=machine(),
        versions=versions() | {"onnxruntime": installed("onnxruntime")},
        timed=tuple(
            TimedNetwork(name=one.name, size_bytes=one.size_bytes, runtime=one.runtime, times=its)
            for one, its in zip(runnable, times, strict=True)
        ),
    )


def _built(architecture: Architecture, batch: int) -> _Runnable:
    space = architecture.space
    network = space.network(architecture.network)
    return _Runnable(
        str(network), None, "torch", _eager(architecture, build(space, network, architecture.activation), batch)
    )


def _eager(architecture: Architecture, network: torch.nn.Module, batch: int) -> Call:
    # As in an evaluation: channels last is what torch is fastest with on these networks.
    module: Any = Deployed(architecture, network).eval().to(memory_format=torch.channels_last)  # pyright: ignore
    images = _images(architecture, batch).contiguous(memory_format=torch.channels_last)
    return lambda: module(images)


def _loaded(path: Path, asked: NetworksQuestion) -> _Runnable:
    loaders = {".safetensors": _safetensors, ".pt": _torchscript, ".onnx": _onnx}
    if path.suffix not in loaders:
        raise InvalidSpec(_FIELD, got=str(path), allowed=f"a name that ends in {', '.join(loaders)}")
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        raise InvalidSpec(_FIELD, got=str(path), allowed=f"a readable file ({error.strerror})") from error
    runtime, call = loaders[path.suffix](path, asked)
    return _Runnable(str(path), size_bytes, runtime, call)


def _safetensors(path: Path, asked: NetworksQuestion) -> tuple[Literal["torch"], Call]:
    return "torch", _eager(*read_weights(path), asked.batch)


def _torchscript(path: Path, asked: NetworksQuestion) -> tuple[Literal["TorchScript"], Call]:
    extra = {METADATA_KEY: ""}
    try:
        with quiet():
            module: torch.nn.Module = torch.jit.load(path, map_location="cpu", _extra_files=extra)
    except (RuntimeError, ValueError) as error:
        raise InvalidSpec(_FIELD, got=str(path), allowed=f"a TorchScript file ({first_line(error)})") from error
    images = _images(_architecture(path, extra[METADATA_KEY]), asked.batch)

    def call() -> object:
        return module(images)

    return "TorchScript", call


def _onnx(path: Path, asked: NetworksQuestion) -> tuple[Literal["onnxruntime"], Call]:
    try:
        import onnxruntime
    except ModuleNotFoundError as error:
        allowed = f"another file, or first: pip install 'rcas[export]' ({error.name} is not installed)"
        raise InvalidSpec(_FIELD, got=str(path), allowed=allowed) from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = asked.threads
    options.inter_op_num_threads = 1
    try:
        session: Any = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # onnxruntime has an exception for every status, without a common base.
        raise InvalidSpec(_FIELD, got=str(path), allowed=f"an ONNX file ({first_line(error)})") from error
    metadata: dict[str, str] = session.get_modelmeta().custom_metadata_map
    fed = {"images": _images(_architecture(path, metadata.get(METADATA_KEY, "")), asked.batch).numpy()}
    return "onnxruntime", lambda: session.run(None, fed)


def _architecture(path: Path, text: str | bytes) -> Architecture:
    """What an exported file says of itself: the size of its images."""
    try:
        return Architecture.model_validate_json(text)
    except ValueError as error:
        raise InvalidSpec(_FIELD, got=str(path), allowed="a file that `rcasctl export` wrote") from error


def _images(architecture: Architecture, batch: int) -> torch.Tensor:
    return torch.rand(batch, *architecture.space.input)
