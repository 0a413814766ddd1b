"""Data sets below an s3:// prefix: fetched once into a folder, which many processes and pods may share.

A data set of one state has its own folder in the cache, so data that change are fetched anew:

    <cache>/<hash of the URL and of all names, sizes and ETags>/
        data/           whole files only
        partial/        files on their way
        complete.json   written last
        lock            held by the one that fetches
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from rcas.errors import InvalidSpec, Unavailable
from rcas.evaluation import DatasetName, DataSource
from rcas.location import SCHEME, S3Location
from rcas_trainer.errors import Interrupted, log
from rcas_trainer.files import exclusive, replace_file
from rcas_trainer.objects import needs_boto3
from rcas_trainer.patience import READ_S, patiently

if TYPE_CHECKING:
    from rcas_trainer.s3 import Listed

CACHE_VARIABLE = "RCAS_DATA_CACHE"
"""Environment variable with the folder that keeps fetched data sets; default: rcas-data among temporary files."""

_FIELD = "source.path"
_LISTINGS = 5
_UNWRITABLE = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR}
_fetched: dict[str, Path] = {}


@contextmanager
def local_source(source: DataSource, dataset: DatasetName, stop: Callable[[], bool]) -> Generator[DataSource]:
    """The source with its data on this machine; complaints about them inside the body name the URL all the same.

    Args:
        source: a folder is passed on as it is, an s3:// URL is fetched once a process.
        dataset: digits needs no data.
        stop: asked while fetching.

    Raises:
        InvalidSpec: nothing lies below the URL, or it cannot become a folder.
        Interrupted: stop() said so.
        Unavailable: S3 did not answer for long, or the disk is full.
        Refused: S3 will not give it.
    """
    url = source.path or ""
    if dataset == "digits" or not url.startswith(SCHEME):
        yield source
        return
    if source.download:
        raise InvalidSpec("source.download", got=True, allowed="false, because torchvision cannot download into S3")
    if url not in _fetched:
        _fetched[url] = fetch(url, stop)
    folder = str(_fetched[url])
    try:
        yield source.model_copy(update={"path": folder})
    except InvalidSpec as error:
        got, allowed = (str(text).replace(folder, url.rstrip("/")) for text in (error.got, error.allowed))
        # Good advice for a folder only.
        raise InvalidSpec(error.field, got=got, allowed=allowed.replace(", or download: true", "")) from error


def fetch(url: str, stop: Callable[[], bool]) -> Path:
    """The folder with everything that lies below the URL, fetched if it is not there yet.

    Raises:
        InvalidSpec, Interrupted, Unavailable, Refused: see `local_source`.
    """
    try:
        location = S3Location.parse(url)
    except InvalidSpec as error:
        raise InvalidSpec(_FIELD, got=url, allowed="a folder, or s3://bucket/prefix") from error
    with needs_boto3(url, _FIELD):
        from rcas_trainer import s3
    cache = Path(os.environ.get(CACHE_VARIABLE) or Path(tempfile.gettempdir(), "rcas-data"))
    for _ in range(_LISTINGS):
        listed = patiently(lambda: list(s3.listing(location)), READ_S, stop)
        check_names(url, [one.name for one in listed])
        try:
            with _translated_disk_errors(cache):
                return _Folder.of(cache, location, listed).filled(stop)
        except s3.Changed as error:
            log(f"{error}; listing again")
    raise Unavailable(f"{url} changes faster than it can be fetched")


@dataclass(frozen=True)
class _Folder:
    """One state of a data set in the cache."""

    home: Path
    location: S3Location
    listed: Sequence[Listed]

    @classmethod
    def of(cls, cache: Path, location: S3Location, listed: Sequence[Listed]) -> _Folder:
        identity = hashlib.sha256(json.dumps([location.url(""), *sorted(listed)]).encode()).hexdigest()
        return cls(cache.absolute() / identity[:32], location, listed)

    @property
    def data(self) -> Path:
        return self.home / "data"

    @property
    def partial(self) -> Path:
        return self.home / "partial"

    @property
    def marker(self) -> Path:
        return self.home / "complete.json"

    def filled(self, stop: Callable[[], bool]) -> Path:
        # Asked before the lock is, so that a cache may be filled once and mounted read-only.
        if self.marker.exists():
            return self.data
        with exclusive(self.home / "lock", stop) as alone:
            if self.marker.exists():
                return self.data
            if alone:
                # What a killed fetch had not finished. Without locks it may be somebody's work.
                shutil.rmtree(self.partial, ignore_errors=True)
            missing = [one for one in self.listed if not self._is_there(one)]
            size = sum(one.size for one in missing) / 1e6
            log(f"fetching {len(missing)} objects, {size:.1f} MB, from {self.location.url('')} to {self.data}")
            self._fetch_all(missing, stop)
            told = {"url": self.location.url(""), "objects": len(self.listed)}
            replace_file(self.marker, json.dumps(told).encode())
            shutil.rmtree(self.partial, ignore_errors=True)
        return self.data

    def _is_there(self, one: Listed) -> bool:
        try:
            return (self.data / one.name).stat().st_size == one.size
        except FileNotFoundError:
            return False

    def _fetch_all(self, missing: Sequence[Listed], stop: Callable[[], bool]) -> None:
        from rcas_trainer.s3 import CONNECTIONS

        left, failed = deque(missing), threading.Event()

        def ended() -> bool:
            return failed.is_set() or stop()

        def work() -> None:
            try:
                for one in _taken(left):
                    patiently(lambda: self._fetch(one, ended), READ_S, ended)  # noqa: B023
            except BaseException:
                failed.set()
                raise

        with ThreadPoolExecutor(CONNECTIONS) as pool:
            workers = [pool.submit(work) for _ in range(min(CONNECTIONS, len(missing)))]
        errors = [error for worker in workers if (error := worker.exception())]
        # One worker's error stops the others; theirs tells less.
        for error in sorted(errors, key=lambda error: isinstance(error, Interrupted)):
            raise error

    def _fetch(self, one: Listed, stop: Callable[[], bool]) -> None:
        from rcas_trainer.s3 import chunks

        target = self.data / one.name
        for folder in (target.parent, self.partial):
            folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=self.partial)
        with open(descriptor, "wb") as file:
            os.fchmod(descriptor, 0o644)
            for chunk in chunks(self.location, one):
                if stop():
                    raise Interrupted(f"stopped while fetching {self.location.url(one.name)}")
                file.write(chunk)
            file.flush()
            os.fsync(descriptor)
            if file.tell() != one.size:
                raise Unavailable(f"{self.location.url(one.name)}: {file.tell()} of {one.size} bytes came")
        os.replace(name, target)


def _taken(left: deque[Listed]) -> Iterator[Listed]:
    """What is left, shared among threads."""
    while True:
        try:
            yield left.popleft()
        except IndexError:
            return


def check_names(url: str, names: Sequence[str]) -> None:
    """Refuse names that cannot be files below one folder.

    Raises:
        InvalidSpec: names the URL and the first such object; or there is none at all.
    """
    if not names:
        raise InvalidSpec(_FIELD, got=url, allowed="a prefix with objects below it; there are none")
    folders = {str(folder) for name in names for folder in PurePosixPath(name).parents}
    for name in names:
        if any(part in {"", ".", ".."} for part in name.split("/")) or "\0" in name:
            raise InvalidSpec(
                _FIELD, got=f"{url}, with {name!r}", allowed="names that can be files: no '', '.', '..'"
            )
        if name in folders:
            raise InvalidSpec(_FIELD, got=f"{url}, with {name!r}", allowed="no object that has others below it")


@contextmanager
def _translated_disk_errors(cache: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _UNWRITABLE:
            allowed = f"a folder that the trainer may write into ({error.strerror})"
            raise InvalidSpec(CACHE_VARIABLE, got=str(cache), allowed=allowed) from error
        raise Unavailable(f"{cache} cannot hold the data set: {error.strerror}") from error
