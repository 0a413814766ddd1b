"""Where results and checkpoints lie: files, or objects in an S3 service. Each is there whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rcas.errors import InvalidSpec
from rcas.location import SCHEME
from rcas_trainer.errors import TooLarge
from rcas_trainer.files import create_file, exclusive, remove, replace_file


class StoredObject(Protocol):
    """Some bytes at one place.

    Every method raises Unavailable if trying again later may help and Refused if it cannot. A file's methods raise
    OSError instead.
    """

    @property
    def place(self) -> str:
        """Path or URL, for people."""
        ...

    def read(self, most: int | None = None) -> bytes | None:
        """The content, or None if there is none.

        Args:
            most: bytes that it may have.

        Raises:
            TooLarge: it has more.
        """
        ...

    def create(self, content: bytes) -> bool:
        """Write it unless something is there already, which then stays as it is.

        Returns:
            Whether this call wrote it. False also if an earlier one did, whose answer was lost.
        """
        ...

    def replace(self, content: bytes) -> None:
        """Write it over what may be there; a crash leaves the old or the new content."""
        ...

    def remove(self) -> None:
        """Remove it, if it is there."""
        ...

    def alone(self, stop: Callable[[], bool]) -> AbstractContextManager[object]:
        """Take turns with other processes at this place, where its store can do that.

        Args:
            stop: asked while waiting for one's turn; Interrupted is raised if it says so.
        """
        ...


def check_size(place: str, size: int, most: int | None) -> None:
    """Raise TooLarge if an object of `size` bytes is larger than `most`."""
    if most is not None and size > most:
        raise TooLarge(f"{place} has {size:,} bytes, at most {most:,} belong there")


@dataclass(frozen=True)
class LocalFile:
    """A file on this machine, with a lock file beside it. Implements `StoredObject`."""

    path: Path

    @property
    def place(self) -> str:
        """Its path."""
        return str(self.path)

    def read(self, most: int | None = None) -> bytes | None:
        """See `StoredObject.read`."""
        try:
            check_size(self.place, self.path.stat().st_size, most)
            return self.path.read_bytes()
        except FileNotFoundError:
            return None

    def create(self, content: bytes) -> bool:
        """See `StoredObject.create`."""
        try:
            create_file(self.path, content)
        except FileExistsError:
            return False
        return True

    def replace(self, content: bytes) -> None:
        """See `StoredObject.replace`."""
        replace_file(self.path, content)

    def remove(self) -> None:
        """See `StoredObject.remove`; takes what killed writers may have left beside it too."""
        remove(self.path)

    def alone(self, stop: Callable[[], bool]) -> AbstractContextManager[object]:
        """See `StoredObject.alone`; the lock falls free if its holder dies."""
        return exclusive(self.path.with_name(f"{self.path.name}.lock"), stop)


def stored_object(place: str, field: str) -> StoredObject:
    """The object at a path or an s3:// URL.

    Args:
        place: where.
        field: that named the place, for the complaint.

    Raises:
        InvalidSpec: the URL has another form, settings in the environment are wrong, or boto3 is missing.
        Refused: what an S3 client needs is missing or wrong.
    """
    if not place.startswith(SCHEME):
        return LocalFile(Path(place))
    with needs_boto3(place, field):
        from rcas_trainer.s3 import S3Object
    return S3Object.at(place, field)


@contextmanager
def needs_boto3(place: str, field: str) -> Generator[None]:
    """For the import of `rcas_trainer.s3`: not before it is needed, since boto3 costs a third of a second.

    Raises:
        InvalidSpec: boto3 is missing.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in {"boto3", "botocore"}:
            raise
        allowed = "a local path, because boto3 is not installed; install it with: pip install 'rcas[trainer]'"
        raise InvalidSpec(field, got=place, allowed=allowed) from error
