"""What rcas needs of an object store: whole objects, written on a condition.

Object names are relative paths with '/', such as `results/<key>.json`. The store knows nothing of searches.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rcas.errors import CorruptState, InvalidSpec

OBJECT_LIMIT_BYTES = 64 << 20
"""Larger ones are not read: rcas writes none, and one that somebody else has put there could fill the memory."""


class Stored(NamedTuple):
    """An object and the version that a conditional write must name."""

    data: bytes
    version: str


def check_name(name: str) -> str:
    """Return an object's name if it stays inside its store.

    Raises:
        InvalidSpec: it does not.
    """
    if any(part in {"", ".", ".."} or not part.isprintable() for part in name.split("/")):
        raise InvalidSpec("object name", got=name, allowed="relative paths without '..'")
    return name


def check_size(name: str, size: int) -> None:
    """Refuse an object of `size` bytes that could fill the memory.

    Raises:
        CorruptState: it is too large.
    """
    if size > OBJECT_LIMIT_BYTES:
        raise CorruptState(f"{name} is not an object of rcas: {size:,} bytes, at most {OBJECT_LIMIT_BYTES:,} allowed")


class Store(Protocol):
    """An object store. Every method may raise Unavailable."""

    def get(self, name: str) -> Stored | None:
        """The object, or None if there is none.

        Raises:
            CorruptState: it is larger than `OBJECT_LIMIT_BYTES`.
        """
        ...

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        """Write the whole object and return its version: all of it or nothing, readable at once by everybody.

        Args:
            name: of the object.
            data: its bytes.
            expected: the version that it must still have; None: it must not exist.

        Raises:
            Conflict: it has another version, or exists already. Nothing was written.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove the object; nothing happens if there is none."""
        ...

    def names(self, prefix: str) -> list[str]:
        """Names of all objects that begin with `prefix`, sorted."""
        ...
