"""The state of a training in an object: a line of JSON that identifies it, then what torch saved."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rcas.errors import Unavailable
from rcas_trainer.errors import Interrupted, Refused, first_line, log
from rcas_trainer.objects import StoredObject
from rcas_trainer.patience import EPOCH_S, READ_S, never, patiently

FORMAT = 1
State = dict[str, Any]


class _Unusable(Exception):
    """Why a checkpoint is not taken."""


@dataclass(frozen=True)
class Checkpoint:
    """Where a training keeps its state, and whose state that is.

    Attributes:
        stored: the object that holds it.
        key: of the evaluation.
        protocol_sha256: of its protocol.
    """

    stored: StoredObject
    key: str
    protocol_sha256: str

    def save(self, state: State, patience_s: float = EPOCH_S, stop: Callable[[], bool] = never) -> bool:
        """Replace the object; a crash leaves the old or the new state, whole.

        Args:
            state: tensors, numbers, strings and containers of them.
            patience_s: how long to go on trying if the store does not answer, in seconds.
            stop: asked before every further try.

        Returns:
            Whether it is written. A store that does not answer is told in one line: a training goes on without.

        Raises:
            OSError: the file cannot be written.
            Refused: the store will not have it.
        """
        packed = io.BytesIO()
        torch.save(state, packed)
        payload = packed.getvalue()
        header = self._identity() | {"sha256": hashlib.sha256(payload).hexdigest()}
        content = json.dumps(header).encode() + b"\n" + payload
        try:
            patiently(lambda: self.stored.replace(content), patience_s, stop)
        except (Unavailable, Interrupted) as error:
            log(f"checkpoint not written: {error}")
            return False
        return True

    def load(self, device: torch.device, stop: Callable[[], bool] = never) -> State | None:
        """The state, or None if there is none that can be used.

        A torn, truncated or foreign object is no error: its evaluation starts again, which one line tells.

        Args:
            device: where its tensors are wanted.
            stop: asked while the store does not answer.

        Raises:
            Interrupted: stop() said so.
            Unavailable: the store did not answer for long.
            Refused: the store will not give it.
        """
        try:
            content = patiently(self.stored.read, READ_S, stop)
        except OSError as error:
            log(f"checkpoint {self.stored.place} cannot be read, training starts again: {error}")
            return None
        if content is None:
            return None
        try:
            return self._unpack(content, device)
        except _Unusable as error:
            log(f"checkpoint {self.stored.place} is not used, training starts again: {error}")
            return None

    def remove(self) -> None:
        """Remove the object, if it is there. One that stays is no harm: its result is written."""
        try:
            patiently(self.stored.remove, EPOCH_S)
        except (Unavailable, Refused) as error:
            log(f"checkpoint not removed: {error}")

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
