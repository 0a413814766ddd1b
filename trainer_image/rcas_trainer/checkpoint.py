"""The state of a training on the disk: a line of JSON that identifies it, then what torch saved."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from rcas_trainer.errors import first_line, log
from rcas_trainer.files import remove, replace_file

FORMAT = 1
State = dict[str, Any]


class _Unusable(Exception):
    """Why a checkpoint is not taken."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state, and whose state that is.

    Attributes:
        path: of the file.
        key: of the evaluation.
        protocol_sha256: of its protocol.
    """

    path: Path
    key: str
    protocol_sha256: str

    def save(self, state: State) -> None:
        """Replace the file; a crash leaves the old or the new state, whole.

        Args:
            state: tensors, numbers, strings and containers of them.

        Raises:
            OSError: it cannot be written.
        """
        packed = io.BytesIO()
        torch.save(state, packed)
        payload = packed.getvalue()
        header = self._identity() | {"sha256": hashlib.sha256(payload).hexdigest()}
        replace_file(self.path, json.dumps(header).encode() + b"\n" + payload)

    def load(self, device: torch.device) -> State | None:
        """The state, or None if there is none that can be used.

        A torn, truncated or foreign file is no error: its evaluation starts again, which one line tells.
        """
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            log(f"checkpoint {self.path} cannot be read, training starts again: {error}")
            return None
        try:
            return self._unpack(content, device)
        except _Unusable as error:
            log(f"checkpoint {self.path} is not used, training starts again: {error}")
            return None

    def remove(self) -> None:
        """Remove the file, if it is there."""
        remove(self.path)

    def _identity(self) -> dict[str, str | int]:
        return {"format": FORMAT, "key": self.key, "protocol_sha256": self.protocol_sha256}

    def _unpack(self, content: bytes, device: torch.device) -> State:
        line, _, payload = content.partition(b"\n")
        try:
            header = json.loads(line)
            found = {name: header[name] for name in (*self._identity(), "sha256")}
        except (ValueError, TypeError, KeyError) as error:
            raise _Unusable("its first line is not a checkpoint's") from error
        for name, wanted in self._identity().items():
            if found[name] != wanted:
                raise _Unusable(f"its {name} is {found[name]!r}, wanted {wanted!r}")
        if hashlib.sha256(payload).hexdigest() != found["sha256"]:
            raise _Unusable("its checksum is wrong")
        try:
            return torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise _Unusable(first_line(error)) from error
