"""Files that are there whole or not at all, and locks that die with their process."""

from __future__ import annotations

import fcntl
import glob
import os
import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from rcas_trainer.errors import Interrupted, log

_POLL_S = 0.1


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a crash at any moment leaves the old or the new one, whole.

    Raises:
        OSError: it cannot be written.
    """
    with _written_beside(path, content) as written:
        os.replace(written, path)
    _sync_folder(path.parent)


def create_file(path: Path, content: bytes) -> None:
    """Write a file that must not be there yet, whole or not at all.

    Raises:
        FileExistsError: it is there; it stays as it is.
        OSError: it cannot be written.
    """
    with _written_beside(path, content) as written:
        os.link(written, path)
    _sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove a file and what killed writers of it may have left beside it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        leftover.unlink(missing_ok=True)
    path.unlink(missing_ok=True)


@contextmanager
def exclusive(path: Path, stop: Callable[[], bool] = lambda: False) -> Generator[bool]:
    """Hold the lock file `path`; it is removed at the end and falls free if the process dies.

    Gives whether it is held: not on a file system without locks.

    Args:
        path: of the lock file; its folder is made if it is missing.
        stop: asked while another process holds the lock.

    Raises:
        Interrupted: stop() said so before the lock was free.
    """
    held = _acquire(path, stop)
    try:
        yield held is not None
    finally:
        if held is not None:
            path.unlink(missing_ok=True)
            os.close(held)


def _acquire(path: Path, stop: Callable[[], bool]) -> int | None:
    waiting = False
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            if not waiting:
                log(f"waiting for the process that holds {path}")
            waiting = True
            if stop():
                raise Interrupted(f"stopped while waiting for {path}") from None
            time.sleep(_POLL_S)
            continue
        except OSError as error:
            os.close(descriptor)
            log(f"this file system has no locks ({error.strerror}), going on without: {path}")
            return None
        if _is_still(path, descriptor):
            return descriptor
        os.close(descriptor)


def _is_still(path: Path, descriptor: int) -> bool:
    # The holder before us removed the file that we opened: another process may hold its successor.
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def _written_beside(path: Path, content: bytes) -> Generator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        os.fchmod(descriptor, 0o644)
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
