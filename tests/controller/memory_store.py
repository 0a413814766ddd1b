"""A store in memory; it meets the same contract as the real ones (tests/contracts)."""

from __future__ import annotations

import hashlib

from rcas.errors import Conflict
from rcas.stores.base import Stored


class MemoryStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def get(self, name: str) -> Stored | None:
        data = self.objects.get(name)
        return None if data is None else Stored(data, hashlib.sha256(data).hexdigest())

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        found = self.get(name)
        if (found.version if found else None) != expected:
            raise Conflict(name)
        self.objects[name] = data
        return hashlib.sha256(data).hexdigest()

    def delete(self, name: str) -> None:
        self.objects.pop(name, None)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.objects if name.startswith(prefix))
