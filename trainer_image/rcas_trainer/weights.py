"""Trained weights on the disk: a safetensors file with an `Architecture` in its metadata."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from rcas.architecture import METADATA_KEY, Architecture
from rcas.errors import InvalidSpec
from rcas_trainer.errors import first_line, invalid
from rcas_trainer.model import build

_FIELD = "weights"


def read_weights(path: Path) -> tuple[Architecture, nn.Sequential]:
    """The network that a file holds, in evaluation mode on the CPU.

    Raises:
        InvalidSpec: it is no such file, or its tensors are not those of its architecture.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata: dict[str, str] = file.metadata() or {}
            names: list[str] = list(file.keys())
            tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError) as error:
        allowed = f"a readable safetensors file ({first_line(error)})"
        raise InvalidSpec(_FIELD, got=str(path), allowed=allowed) from error
    if METADATA_KEY not in metadata:
        allowed = "a safetensors file that `rcasctl retrain` or `rcasctl export` wrote: it tells its architecture"
        raise InvalidSpec(_FIELD, got=str(path), allowed=allowed)
    try:
        architecture = Architecture.model_validate_json(metadata[METADATA_KEY])
    except ValidationError as error:
        raise invalid(f"{_FIELD}.{METADATA_KEY}", error) from error
    space = architecture.space
    # Without memory of its own: an architecture that somebody else wrote may be far larger than the file.
    with torch.device("meta"):
        module = build(space, space.network(architecture.network), architecture.activation)
    if _shapes(tensors) != _shapes(module.state_dict()):
        raise InvalidSpec(_FIELD, got=str(path), allowed=f"the tensors of {architecture.network}")
    module.load_state_dict(tensors, assign=True)
    return architecture, module.eval()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
