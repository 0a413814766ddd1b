"""The state of a training in an object: a line of JSON that identifies it, then what torch saved."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from rcas.errors import Unavailable
from rcas_trainer.errors import Interrupted, Refused, TooLarge, first_line, log
from rcas_trainer.objects import StoredObject
from rcas_trainer.patience import EPOCH_S, READ_S, never, patiently

FORMAT = 1
State = dict[str, Any]


class Unusable(Exception):
    """Why a checkpoint is not taken: it is torn, of another evaluation or format, or no checkpoint at all."""


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

    def load(
        self,
        device: torch.device,
        stop: Callable[[], bool] = never,
        most: int | None = None,
    ) -> State | None:
        """The state, or None if there is none. Whoever may write checkpoints may have written anything.

        Args:
            device: where its tensors are wanted.
            stop: asked while the store does not answer.
            most: bytes that a state of this training can have.

        Raises:
            Unusable: says why; the evaluation has to start again.
            Interrupted: stop() said so.
            Unavailable: the store did not answer for long.
            Refused: the store will not give it.
        """
        try:
            content = patiently(lambda: self.stored.read(most), READ_S, stop)
        except (OSError, TooLarge) as error:
            raise Unusable(str(error)) from error
        return None if content is None else self._unpack(content, device, most)

    def remove(self) -> None:
        """Remove the object, if it is there. One that stays is no harm: its result is written."""
        try:
            patiently(self.stored.remove, EPOCH_S)
        except (Unavailable, Refused) as error:
            log(f"checkpoint not removed: {error}")

    def _identity(self) -> dict[str, str | int]:
        return {"format": FORMAT, "key": self.key, "protocol_sha256": self.protocol_sha256}

    def _unpack(self, content: bytes, device: torch.device, most: int | None) -> State:
        line, _, payload = content.partition(b"\n")
        try:
            header = json.loads(line)
            found = {name: header[name] for name in (*self._identity(), "sha256")}
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unusable("its first line is not a checkpoint's") from error
        for name, wanted in self._identity().items():
            if found[name] != wanted:
                raise Unusable(f"its {name} is {repr(found[name])[:80]}, wanted {wanted!r}")
        if hashlib.sha256(payload).hexdigest() != found["sha256"]:
            raise Unusable("its checksum is wrong")
        try:
            _check_unpacked_size(payload, most)
            # weights_only: tensors, numbers and containers of them, never code.
            return torch.load(io.BytesIO(payload), map_location=device, weights_only=True)
        except Exception as error:
            # What torch raises over bytes that it did not write has no limits.
            raise Unusable(first_line(error)) from error


def _check_unpacked_size(payload: bytes, most: int | None) -> None:
    """Refuse what is no archive of torch's, and one that is small only as long as it is packed."""
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if most is not None and size > most:
        raise ValueError(f"it unpacks to {size:,} bytes, at most {most:,} belong there")
