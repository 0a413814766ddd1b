"""A bucket of an S3 service with conditional writes as an object store. An object's version is its ETag."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple, TypeVar

from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, CredentialRetrievalError
from botocore.parsers import ResponseParserError

from rcas.clock import Clock, SystemClock
from rcas.errors import Conflict, InvalidSpec, Unavailable
from rcas.location import S3Location, S3Settings
from rcas.stores.base import Stored, check_name, check_size
from rcas.stores.s3_failures import ERRORS, Failure, translate

Operation = Literal["get", "put", "delete", "list"]
Outcome = Literal["ok", "missing", "conflict", "retried", "unavailable"]
"""How a request ended: retried, it failed and the same request follows; unavailable, it failed for good."""
Observe = Callable[[str, str], None]
T = TypeVar("T")

_OUTCOMES: dict[str, Outcome] = {
    "missing": "missing",
    "conflict": "conflict",
    "passing": "unavailable",
    "lasting": "unavailable",
}


class Patience(NamedTuple):
    """How long to try.

    Attributes:
        connect_s: until a connection stands. read_s: until the next bytes of an answer.
        attempts: requests at most.
        first_wait_s: before the second; each further wait is twice as long, at most longest_wait_s.
        total_s: no request begins later than this after the first.
    """

    connect_s: float = 5
    read_s: float = 20
    attempts: int = 6
    first_wait_s: float = 0.25
    longest_wait_s: float = 4
    total_s: float = 25

    def wait_s(self, attempt: int, draw: float) -> float:
        """The wait after the `attempt`-th request; `draw` in [0, 1) keeps many clients from asking in step."""
        return min(self.first_wait_s * 2 ** (attempt - 1), self.longest_wait_s) * (0.5 + draw / 2)


class S3Store:
    """Objects below a prefix of a bucket.

    Credentials, endpoint, region and authorities come from boto3's own variables. Requests that fail in passing
    are sent again with the same bytes and condition, by this class alone: boto3 would take the refusal of a
    repeated write that had succeeded for a conflict. Where an answer was lost, the object is read back.

    Args:
        location: bucket and prefix.
        settings: None: those of the process's environment.
        observe: called once per HTTP request with its operation (get, put, delete, list) and its outcome
            (ok, missing, conflict, retried, unavailable).
        patience: time-outs and retries.
        clock: for how long it has tried, and for `clock_offset_s`.
        sleep: waits that many seconds.
        draw: a number in [0, 1).
        client: of boto3, to send requests with. None: one is made.

    Raises:
        InvalidSpec: an environment that boto3 refuses.
        Unavailable: what gives the credentials does not answer.
    """

    def __init__(
        self,
        location: S3Location,
        *,
        settings: S3Settings | None = None,
        observe: Observe | None = None,
        patience: Patience | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], None] = time.sleep,
        draw: Callable[[], float] = random.random,
        client: Any = None,
    ) -> None:
        self.location = location
        self._settings = settings or S3Settings.of(os.environ)
        self._patience = patience or Patience()
        self._client = client or _open_client(self._settings, self._patience)
        self._observe: Observe = observe or (lambda _operation, _outcome: None)
        self._clock, self._sleep, self._draw = clock or SystemClock(), sleep, draw

    def get(self, name: str) -> Stored | None:
        """See `Store.get`."""
        return self._get(name, self._patience.attempts)

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        """See `Store.put`."""
        condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}
        arguments = {"Body": data, **condition, **self._settings.put_arguments}
        try:
            return self._try(
                "put",
                lambda: _etag(self._client.put_object(**self._address(name), **arguments)),
                self._patience.attempts,
                replacing=expected is not None,
            )
        except _Failed as failed:
            conflict = failed.failure.kind == "conflict"
            if failed.uncertain and (version := self._version_of(name, data, insist=conflict)):
                return version
            if conflict:
                raise Conflict(f"{self.location.url(name)} was written by somebody else") from failed.cause
            raise self._unavailable("write", name, failed) from failed.cause

    def delete(self, name: str) -> None:
        """See `Store.delete`."""
        try:
            self._try("delete", lambda: self._client.delete_object(**self._address(name)), self._patience.attempts)
        except _Failed as failed:
            if failed.failure.kind != "missing":
                raise self._unavailable("delete", name, failed) from failed.cause

    def names(self, prefix: str) -> list[str]:
        """See `Store.names`."""
        if folder := prefix.rpartition("/")[0]:
            check_name(folder)
        names, more = list[str](), dict[str, str]()
        while True:
            page = self._page(prefix, more)
            names += [item["Key"].removeprefix(self.location.prefix) for item in page.get("Contents", [])]
            if not page.get("IsTruncated"):
                # Consoles mark folders by objects that end in '/': those are none of ours.
                return sorted(name for name in names if _is_name(name))
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def clock_offset_s(self) -> float:
        """How many seconds the service's clock is ahead of this machine's. It tells whole seconds.

        Raises:
            Unavailable: the service does not answer, or without the time.
        """
        before = self._clock.now()
        try:
            answer = self._page("", {"MaxKeys": 1})
        except Unavailable as error:
            # A request that is refused for its time, or for lack of rights, is told the time too.
            answer = getattr(error.__cause__, "response", None)
            if not isinstance(answer, dict):
                raise
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            raise Unavailable(f"{self.location.url('')} answers without a Date")
        middle = (before + self._clock.now()) / 2
        return parsedate_to_datetime(date).timestamp() + 0.5 - middle

    def _get(self, name: str, attempts: int) -> Stored | None:
        def read() -> Stored:
            answer = self._client.get_object(**self._address(name))
            # The answer's head is here, its body is not read yet.
            check_size(name, answer.get("ContentLength", 0))
            return Stored(answer["Body"].read(), _etag(answer))

        try:
            return self._try("get", read, attempts)
        except _Failed as failed:
            if failed.failure.kind == "missing":
                return None
            raise self._unavailable("read", name, failed) from failed.cause

    def _version_of(self, name: str, data: bytes, *, insist: bool) -> str | None:
        """The object's version if it holds `data`: a write whose answer was lost had succeeded.

        With `insist`, what cannot be read is Unavailable, not None.
        """
        try:
            found = self._get(name, self._patience.attempts if insist else 1)
        except Unavailable:
            if insist:
                raise
            return None
        return found.version if found and found.data == data else None

    def _page(self, prefix: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        arguments = {"Bucket": self.location.bucket, "Prefix": self.location.prefix + prefix, **arguments}
        try:
            return self._try("list", lambda: self._client.list_objects_v2(**arguments), self._patience.attempts)
        except _Failed as failed:
            raise self._unavailable("list", prefix, failed) from failed.cause

    def _try(self, operation: Operation, send: Callable[[], T], attempts: int, *, replacing: bool = False) -> T:
        """Send the request until it succeeds or there is no use.

        Raises:
            _Failed: it did not succeed.
        """
        began, attempt, uncertain = self._clock.now(), 1, False
        while True:
            try:
                answer = send()
            except ERRORS as error:
                failure, cause = translate(error, replacing=replacing), error
            else:
                self._observe(operation, "ok")
                return answer
            uncertain = uncertain or failure.uncertain
            wait_s = self._patience.wait_s(attempt, self._draw())
            too_late = self._clock.now() + wait_s - began > self._patience.total_s
            if failure.kind != "passing" or attempt >= attempts or too_late:
                self._observe(operation, _OUTCOMES[failure.kind])
                raise _Failed(failure, cause, uncertain, attempt)
            self._observe(operation, "retried")
            self._sleep(wait_s)
            attempt += 1

    def _address(self, name: str) -> dict[str, str]:
        return {"Bucket": self.location.bucket, "Key": self.location.prefix + check_name(name)}

    def _unavailable(self, verb: str, name: str, failed: _Failed) -> Unavailable:
        tries = f" ({failed.attempts} attempts)" if failed.attempts > 1 else ""
        return Unavailable(f"cannot {verb} {self.location.url(name)}: {failed.failure.words}{tries}")


class _Failed(Exception):
    """A request that did not succeed; `uncertain`: one of its attempts may have been carried out."""

    def __init__(self, failure: Failure, cause: Exception, uncertain: bool, attempts: int) -> None:
        super().__init__(failure.words)
        self.failure, self.cause, self.uncertain, self.attempts = failure, cause, uncertain, attempts


def _open_client(settings: S3Settings, patience: Patience) -> Any:
    config = Config(
        connect_timeout=patience.connect_s,
        read_timeout=patience.read_s,
        retries={"total_max_attempts": 1, "mode": "standard"},
        max_pool_connections=64,
        s3={"addressing_style": settings.addressing_style},
        # The checksums that boto3 adds by itself since 1.36 are refused by some services. TLS, and without
        # it the signature of the payload, protect the bytes as well.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        # Kubernetes services and most tools set AWS_REGION, which boto3 does not read.
        return Session(region_name=os.environ.get("AWS_REGION") or None).client("s3", config=config)
    except CredentialRetrievalError as error:
        raise Unavailable(translate(error).words) from error
    except (BotoCoreError, ValueError) as error:
        raise InvalidSpec("the environment of boto3", got=str(error), allowed="what boto3 accepts") from None


def _etag(answer: Mapping[str, Any]) -> str:
    if "ETag" not in answer:
        raise ResponseParserError("the answer has no ETag")
    return str(answer["ETag"])


def _is_name(name: str) -> bool:
    try:
        return bool(check_name(name))
    except InvalidSpec:
        return False
