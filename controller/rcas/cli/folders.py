"""Folders that commands write into: whole files, and none before all are ready."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rcas.errors import InvalidSpec


@contextmanager
def filled_folder(folder: Path, field: str, *, replace: bool) -> Generator[Path]:
    """Gives an empty folder; what the body puts into it comes into `folder` if it ends without an error.

    A new folder appears whole. In one that is there files of the same names are replaced one by one, each whole, in
    the order in which they were made.

    Args:
        folder: where the files are wanted. Its parents must be there.
        field: what the user calls it.
        replace: `folder` may hold files.

    Raises:
        InvalidSpec: it cannot be written, is no folder, or holds files and `replace` is false.
    """
    _check(folder, field, replace=replace)
    try:
        made = Path(tempfile.mkdtemp(prefix=f".{folder.absolute().name}.", dir=folder.absolute().parent))
    except OSError as error:
        raise _unwritable(folder, field, error) from None
    try:
        yield made
        _check(folder, field, replace=replace)
        try:
            _move(made, folder)
        except OSError as error:
            raise _unwritable(folder, field, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _check(folder: Path, field: str, *, replace: bool) -> None:
    try:
        entries = any(folder.iterdir()) if folder.exists() else False
    except OSError as error:
        raise _unwritable(folder, field, error) from None
    if entries and not replace:
        allowed = "a new or an empty folder; --force replaces files of the same names in it"
        raise InvalidSpec(field, got=str(folder), allowed=allowed)


def _move(made: Path, folder: Path) -> None:
    # mkdtemp makes folders that only their owner may read.
    made.chmod(0o777 & ~_umask())
    if not folder.exists() or not any(folder.iterdir()):
        os.rename(made, folder)
        return
    for path in sorted(made.iterdir(), key=lambda path: path.stat().st_mtime_ns):
        os.replace(path, folder / path.name)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(folder: Path, field: str, error: OSError) -> InvalidSpec:
    return InvalidSpec(field, got=str(folder), allowed=f"a folder that can be written ({error.strerror})")
