"""A simulated S3 service with one bucket: what it keeps, and a client that speaks as boto3's does."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from threading import Lock
from typing import Any, NamedTuple, NoReturn

from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    IncompleteReadError,
    ReadTimeoutError,
)

NAME = "bucket"
ENDPOINT = "http://s3.simulated"
PAGE = 1000
Answer = dict[str, Any]
Send = Callable[[str, str, Callable[[], Any]], Any]
"""(operation, key, what the service does) -> its answer: the network between client and service."""


class Bucket:
    """Keeps objects; reads and lists see the last write. Conditions and their refusals are S3's."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.wrote: Callable[[str, bytes | None, bytes | None], None] = lambda _key, _before, _now: None
        self._lock = Lock()

    def put(self, key: str, data: bytes, *, none_match: bool = False, match: str | None = None) -> str:
        """Write an object; its ETag. Refused if it exists and must not, or has not the ETag that it must match."""
        with self._lock:
            before = self.objects.get(key)
            if none_match and before is not None:
                refuse("PutObject", 412, "PreconditionFailed")
            if match is not None:
                if before is None:
                    refuse("PutObject", 404, "NoSuchKey")
                if etag(before) != match:
                    refuse("PutObject", 412, "PreconditionFailed")
            self.objects[key] = data
        self.wrote(key, before, data)
        return etag(data)

    def delete(self, key: str) -> None:
        """Remove an object, if it is there."""
        before = self.objects.pop(key, None)
        if before is not None:
            self.wrote(key, before, None)

    def get(self, key: str) -> bytes:
        """An object's content."""
        if key not in self.objects:
            refuse("GetObject", 404, "NoSuchKey")
        return self.objects[key]


class _Body(NamedTuple):
    data: bytes

    def read(self) -> bytes:
        return self.data


class Client:
    """The methods of boto3's S3 client that rcas uses."""

    def __init__(self, bucket: Bucket, send: Send) -> None:
        self._bucket, self._send = bucket, send

    def get_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803
        _check_bucket("GetObject", Bucket)

        def read() -> Answer:
            data = self._bucket.get(Key)
            return {"Body": _Body(data), "ETag": etag(data)}

        return self._send("get", Key, read)

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
    ) -> Answer:
        _check_bucket("PutObject", Bucket)
        return self._send(
            "put",
            Key,
            lambda: {"ETag": self._bucket.put(Key, Body, none_match=IfNoneMatch == "*", match=IfMatch)},
        )

    def delete_object(self, *, Bucket: str, Key: str) -> Answer:  # noqa: N803
        _check_bucket("DeleteObject", Bucket)
        return self._send("delete", Key, lambda: self._bucket.delete(Key) or {})

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str = "",  # noqa: N803
        ContinuationToken: str = "",  # noqa: N803
        MaxKeys: int = PAGE,  # noqa: N803
    ) -> Answer:
        _check_bucket("ListObjectsV2", Bucket)

        def page() -> Answer:
            keys = sorted(k for k in self._bucket.objects if k.startswith(Prefix) and k > ContinuationToken)
            more = {"NextContinuationToken": keys[MaxKeys - 1]} if len(keys) > MaxKeys else {}
            return {"Contents": [{"Key": k} for k in keys[:MaxKeys]], "IsTruncated": bool(more), **more}

        return self._send("list", Prefix, page)


def etag(data: bytes) -> str:
    """As S3 makes it of an object that was put in one part."""
    return f'"{hashlib.md5(data).hexdigest()}"'


def client_error(operation: str, status: int, code: str) -> ClientError:
    """What boto3 makes of an answer that is not 2xx."""
    answer = {"Error": {"Code": code, "Message": "simulated"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, operation)


def refuse(operation: str, status: int, code: str) -> NoReturn:
    raise client_error(operation, status, code)


def _check_bucket(operation: str, name: str) -> None:
    if name != NAME:
        refuse(operation, 404, "NoSuchBucket")


def not_done(verb: str) -> list[tuple[str, Callable[[], Exception]]]:
    """How a request may fail that the service has not carried out."""
    kinds: list[tuple[str, Callable[[], Exception]]] = [
        ("503", lambda: client_error(verb, 503, "SlowDown")),
        ("500", lambda: client_error(verb, 500, "InternalError")),
        ("429", lambda: client_error(verb, 429, "TooManyRequests")),
        ("502", lambda: client_error(verb, 502, "502")),
        ("403", lambda: client_error(verb, 403, "ExpiredToken")),
        ("refused", lambda: EndpointConnectionError(endpoint_url=ENDPOINT)),
        ("no connection", lambda: ConnectTimeoutError(endpoint_url=ENDPOINT)),
        ("time-out", lambda: ReadTimeoutError(endpoint_url=ENDPOINT)),
        ("closed", lambda: ConnectionClosedError(endpoint_url=ENDPOINT)),
    ]
    if verb == "put":
        kinds.append(("409", lambda: client_error(verb, 409, "ConditionalRequestConflict")))
    return kinds


def answer_lost(verb: str) -> list[tuple[str, Callable[[], Exception]]]:
    """How a request may fail that the service has carried out."""
    kinds: list[tuple[str, Callable[[], Exception]]] = [
        ("time-out", lambda: ReadTimeoutError(endpoint_url=ENDPOINT)),
        ("closed", lambda: ConnectionClosedError(endpoint_url=ENDPOINT)),
        ("500", lambda: client_error(verb, 500, "InternalError")),
        ("504", lambda: client_error(verb, 504, "GatewayTimeout")),
    ]
    if verb == "get":
        kinds.append(("torn", lambda: IncompleteReadError(actual_bytes=1, expected_bytes=2)))
    return kinds
