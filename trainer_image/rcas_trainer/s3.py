"""Objects in an S3 service, and the one place that knows its errors. Needs boto3; imported only for an s3:// URL."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import botocore.session
from botocore import exceptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from rcas.errors import InvalidSpec, RcasError, Unavailable
from rcas.location import SCHEME, S3Location, S3Settings
from rcas_trainer.errors import Refused, first_line
from rcas_trainer.objects import check_size

CONNECTIONS = 8
"""Requests at once; more would wait for Python's lock."""
_CONNECT_S, _ANSWER_S = 5, 15
_CHUNK_BYTES = 1 << 20
_NO_ANSWER = (
    exceptions.ConnectionError,
    exceptions.HTTPClientError,
    exceptions.IncompleteReadError,
    exceptions.ResponseStreamingError,
    exceptions.CredentialRetrievalError,
    ResponseParserError,
)
_BUSY_STATUS = {408, 409, 425, 429}
_FOREVER_STATUS = {501, 505}
_BUSY_CODES = {"RequestTimeout", "SlowDown", "Throttling", "IDPCommunicationError"}
_BROKEN_OFF = ("EOF", "reset", "timed out", "closed")


class Changed(RcasError):
    """The object is no longer the one that was listed."""


@dataclass(frozen=True)
class S3Object:
    """One object. Implements `StoredObject`; each call is a single request."""

    bucket: str
    key: str

    @classmethod
    def at(cls, url: str, field: str) -> S3Object:
        """The object at `s3://bucket/key`.

        Raises:
            InvalidSpec: another form of URL; says which field has it.
        """
        allowed = "s3://bucket/key, the key without empty parts, '.' and '..'"
        try:
            bucket, prefix = S3Location.parse(url)
        except InvalidSpec as error:
            raise InvalidSpec(field, got=url, allowed=allowed) from error
        if not prefix or url.endswith("/"):
            raise InvalidSpec(field, got=url, allowed=allowed)
        return cls(bucket, prefix.removesuffix("/"))

    @property
    def place(self) -> str:
        """Its URL."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    def read(self, most: int | None = None) -> bytes | None:
        """See `StoredObject.read`.

        Without s3:ListBucket AWS does not tell an object that is missing from one that may not be read, so both are
        None: what is missing is the rule, and who may not read will not be let write either.
        """
        with _translated(self.place):
            try:
                answer = _client().get_object(Bucket=self.bucket, Key=self.key)
            except ClientError as error:
                if _code(error) not in {"NoSuchKey", "AccessDenied"}:
                    raise
                return None
            check_size(self.place, answer["ContentLength"], most)
            return answer["Body"].read()

    def create(self, content: bytes) -> bool:
        """See `StoredObject.create`. A service without conditional writes is refused by the controller's doctor."""
        with _translated(self.place):
            try:
                self._put(content, IfNoneMatch="*")
            except ClientError as error:
                if _status(error) != 412:
                    raise
                return False
        return True

    def replace(self, content: bytes) -> None:
        """See `StoredObject.replace`."""
        with _translated(self.place):
            self._put(content)

    def remove(self) -> None:
        """See `StoredObject.remove`."""
        with _translated(self.place):
            _client().delete_object(Bucket=self.bucket, Key=self.key)

    def alone(self, stop: Callable[[], bool]) -> AbstractContextManager[object]:  # noqa: ARG002
        """S3 has no locks: several attempts may run at once, and the first result stands."""
        return nullcontext()

    def _put(self, content: bytes, **condition: str) -> None:
        arguments = {**_settings().put_arguments, **condition}
        _client().put_object(Bucket=self.bucket, Key=self.key, Body=content, **arguments)


class Listed(NamedTuple):
    """An object below a prefix: its name without the prefix, its size in bytes, and what changes with its content."""

    name: str
    size: int
    etag: str


def listing(location: S3Location) -> Iterator[Listed]:
    """What lies below a prefix, by name; without the empty objects ending with '/' that some tools make as folders.

    Raises:
        Unavailable: trying again later may help.
        Refused: it cannot.
    """
    with _translated(location.url("")):
        pages = _client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=location.bucket, Prefix=location.prefix):
            for found in page.get("Contents", []):
                if not found["Key"].endswith("/"):
                    yield Listed(found["Key"].removeprefix(location.prefix), found["Size"], found["ETag"])


def chunks(location: S3Location, listed: Listed) -> Iterator[bytes]:
    """The content of one listed object, in parts of at most 1 MiB.

    Raises:
        Unavailable, Refused: as `listing`.
        Changed: it is another object by now, or gone.
    """
    key = f"{location.prefix}{listed.name}"
    with _translated(location.url(listed.name)):
        try:
            body = _client().get_object(Bucket=location.bucket, Key=key, IfMatch=listed.etag)["Body"]
        except ClientError as error:
            if _status(error) == 412 or _code(error) == "NoSuchKey":
                raise Changed(f"{location.url(listed.name)} has changed since it was listed") from error
            raise
        yield from body.iter_chunks(_CHUNK_BYTES)


@cache
def _settings() -> S3Settings:
    return S3Settings.of(os.environ)


@cache
def _client() -> Any:
    # Straight from botocore: boto3 would import another tenth of a second's worth on top and add nothing used here.
    # No retries of botocore's, since nothing can interrupt its waits: `patiently` has the patience.
    config = Config(
        connect_timeout=_CONNECT_S,
        read_timeout=_ANSWER_S,
        retries={"mode": "standard", "total_max_attempts": 1},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": _settings().addressing_style},
    )
    # boto3 knows AWS_DEFAULT_REGION only; AWS_REGION is what every other SDK and EKS set.
    region = os.environ.get("AWS_REGION") or None
    try:
        return botocore.session.get_session().create_client("s3", region_name=region, config=config)
    except ValueError as error:
        raise Refused(f"S3 cannot be asked: {first_line(error)}") from error


@contextmanager
def _translated(url: str) -> Generator[None]:
    try:
        yield
    except (BotoCoreError, ClientError, ResponseParserError) as error:
        raise translation(error, url) from error


def translation(error: Exception, url: str) -> Unavailable | Refused:
    """What botocore's error about the object or prefix at `url` means to the caller."""
    if isinstance(error, ClientError):
        status, code = _status(error), _code(error)
        line = f"{code} ({status}), {error.response.get('Error', {}).get('Message') or 'without a word'}"
        # A 404 without a code of S3's own comes from a proxy before it that has lost it.
        busy = status in _BUSY_STATUS or code in _BUSY_CODES or code == "404"
        if busy or (status >= 500 and status not in _FOREVER_STATUS):
            return Unavailable(f"{url}: S3 does not answer: {line}")
        rights = "; needs s3:GetObject, PutObject, DeleteObject and ListBucket" if code == "AccessDenied" else ""
        return Refused(f"{url}: S3 refuses: {line}{rights}")
    line = first_line(error)
    if isinstance(error, exceptions.SSLError) and not any(words in line for words in _BROKEN_OFF):
        hint = "" if "version" in line else "; AWS_CA_BUNDLE names the file of an own authority"
        return Refused(f"{url}: {line}{hint}")
    if isinstance(error, exceptions.NoCredentialsError):
        return Refused(f"{url}: no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give a role")
    if isinstance(error, _NO_ANSWER):
        return Unavailable(f"{url}: S3 does not answer: {line}")
    return Refused(f"{url}: {line}")


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
