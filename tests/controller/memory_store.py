"""A store in memory; it meets the same contract as the real ones (tests/contracts)."""

from __future__ import annotations

import hashlib
from threading import Lock

from rcas.errors import Conflict
from rcas.stores.base import Stored, check_name


class MemoryStore:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.lock = Lock()

    def get(self, name: str) -> Stored | None:
        data = self.objects.get(check_name(name))
        return None if data is None else Stored(data, hashlib.sha256(data).hexdigest())

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        with self.lock:
            found = self.get(name)
            if (found.version if found else None) != expected:
                raise Conflict(name)
            self.objects[name] = data
        return hashlib.sha256(data).hexdigest()

    def delete(self, name: str) -> None:
        self.objects.pop(check_name(name), None)

    def names(self, prefix: str) -> list[str]:
        if folder := prefix.rpartition("/")[0]:
            check_name(folder)
        return sorted(name for name in self.objects if name.startswith(prefix))
