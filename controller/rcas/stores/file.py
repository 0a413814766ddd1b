"""A folder as an object store: the default, so that a laptop needs no other."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rcas.errors import Conflict, Fenced, InvalidSpec, Unavailable
from rcas.stores.base import Stored, check_name, check_size

_OWN = (".tmp", ".lock")
"""Ends of the names of files that are no objects."""


class FileStore:
    """Objects as files below `root`.

    Versions are hashes of the content; writers on one machine exclude each other.

    Raises:
        InvalidSpec: `root` is not a folder and cannot be made one.
    """

    def __init__(self, root: str | os.PathLike[str], *, create: bool = True) -> None:
        try:
            self.root = Path(root).expanduser().absolute()
        except RuntimeError as error:
            raise InvalidSpec("store", got=str(root), allowed=f"a folder ({error})") from None
        if not create and not self.root.is_dir():
            raise InvalidSpec("store", got=str(root), allowed="a folder that a search was run in")
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSpec("store", got=str(root), allowed=f"a folder ({error.strerror})") from None

    def path(self, name: str) -> Path:
        """Where the object lies.

        Raises:
            InvalidSpec: a name that would leave the store, or one of the store's own files.
        """
        if check_name(name).endswith(_OWN):
            raise InvalidSpec("object name", got=name, allowed="names that do not end in .tmp or .lock")
        return self.root / name

    def get(self, name: str) -> Stored | None:
        """See `Store.get`."""
        try:
            check_size(name, self.path(name).stat().st_size)
            data = self.path(name).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Unavailable(f"cannot read {self.path(name)}: {error.strerror}") from error
        return Stored(data, _version(data))

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        """See `Store.put`."""
        path = self.path(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.root / "write.lock", fcntl.LOCK_EX):
                found = self.get(name)
                if (found.version if found else None) != expected:
                    raise Conflict(f"{path} was written by somebody else")
                _write_atomically(path, data)
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}") from error
        return _version(data)

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        try:
            self.path(name).unlink(missing_ok=True)
        except OSError as error:
            raise Unavailable(f"cannot delete {self.path(name)}: {error.strerror}") from error

    def names(self, prefix: str) -> list[str]:
        """See `Store.names`."""
        inside = prefix.rpartition("/")[0]
        folder = self.path(inside) if inside else self.root
        files = (path for path in folder.rglob("*") if path.is_file() and not path.name.endswith(_OWN))
        names = (path.relative_to(self.root).as_posix() for path in files)
        return sorted(name for name in names if name.startswith(prefix))

    @contextmanager
    def alone(self, name: str) -> Generator[None]:
        """Hold `name` for one process at a time, until the process ends in whatever way.

        Raises:
            Fenced: another process holds it.
        """
        path = self.path(name)
        with ExitStack() as stack:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                stack.enter_context(_locked(path.with_name(f"{path.name}.lock"), fcntl.LOCK_EX | fcntl.LOCK_NB))
            except BlockingIOError:
                raise Fenced(f"another process works on {path}; stop it first, or wait for it") from None
            except OSError as error:
                raise Unavailable(f"cannot lock {path}: {error.strerror}") from error
            yield


@contextmanager
def _locked(path: Path, how: int) -> Generator[None]:
    with path.open("ab") as file:
        fcntl.flock(file, how)
        yield


def _write_atomically(path: Path, data: bytes) -> None:
    """Replace the file at `path`; a reader, or a crash at any moment, finds the old or the new one whole.

    The caller holds the lock, so that what a killed writer left is written over by the next.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
