"""The one translation of boto3's errors, over every answer that an S3 service may give."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import botocore.exceptions
import pytest

from contracts.faults import Answer, Fault, Proxy, error
from contracts.seaweed import environment
from rcas.errors import Conflict, Unavailable
from rcas.location import S3Location
from rcas.stores.s3 import Patience, S3Store
from rcas.stores.s3_failures import ERRORS, translate

OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "create": lambda store: store.put("a", b"1", expected=None),
    "replace": lambda store: store.put("a", b"1", expected='"1"'),
    "get": lambda store: store.get("a"),
    "delete": lambda store: store.delete("a"),
    "list": lambda store: store.names("a"),
}
RETRIED = "retried"
ANYTHING = tuple(OPERATIONS)
WRITES = ("create", "replace")

Case = tuple[int, str, tuple[str, ...], Any]
TABLE: list[Case] = [
    (412, "PreconditionFailed", WRITES, Conflict),
    (412, "", WRITES, Conflict),
    (404, "NoSuchKey", ("replace",), Conflict),
    (404, "NoSuchKey", ("get", "delete"), None),
    (404, "NoSuchKey", ("create", "list"), "cannot .*: 404 NoSuchKey"),
    (404, "NoSuchBucket", ANYTHING, "check the bucket in the store's URL"),
    (404, "", ANYTHING, "no S3 service answers there: check AWS_ENDPOINT_URL_S3"),
    (405, "MethodNotAllowed", ANYTHING, "no S3 service answers there"),
    (409, "ConditionalRequestConflict", WRITES, RETRIED),
    (409, "OperationAborted", ANYTHING, RETRIED),
    (429, "TooManyRequests", ANYTHING, RETRIED),
    (408, "", ANYTHING, RETRIED),
    (400, "RequestTimeout", ANYTHING, RETRIED),
    (400, "BadDigest", WRITES, RETRIED),
    (400, "IncompleteBody", WRITES, RETRIED),
    (400, "XAmzContentSHA256Mismatch", WRITES, RETRIED),
    (400, "ThrottlingException", ANYTHING, RETRIED),
    (500, "InternalError", ANYTHING, RETRIED),
    (500, "", ANYTHING, RETRIED),
    (502, "", ANYTHING, RETRIED),
    (503, "SlowDown", ANYTHING, RETRIED),
    (503, "ServiceUnavailable", ANYTHING, RETRIED),
    (504, "", ANYTHING, RETRIED),
    (507, "XMinioStorageFull", ANYTHING, RETRIED),
    (501, "NotImplemented", WRITES, "the service lacks something that rcas needs, such as conditional writes"),
    (403, "AccessDenied", ANYTHING, "grant s3:GetObject"),
    (403, "", ANYTHING, "grant s3:GetObject"),
    (403, "InvalidAccessKeyId", ANYTHING, "check AWS_ACCESS_KEY_ID"),
    (403, "SignatureDoesNotMatch", ANYTHING, "check AWS_ACCESS_KEY_ID"),
    (400, "ExpiredToken", ANYTHING, "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"),
    (400, "InvalidToken", ANYTHING, "AWS_SESSION_TOKEN"),
    (401, "", ANYTHING, "check AWS_ACCESS_KEY_ID"),
    (403, "RequestTimeTooSkewed", ANYTHING, "check this machine's clock"),
    (400, "AuthorizationHeaderMalformed", ("create", "get"), "check AWS_REGION"),
    (400, "InvalidRequest", ANYTHING, "cannot .*: 400 InvalidRequest said the test$"),
    (400, "InvalidBucketName", ANYTHING, "check the bucket in the store's URL"),
    (400, "KMS.NotFoundException", WRITES, "check RCAS_S3_SSE and RCAS_S3_SSE_KMS_KEY_ID"),
    (400, "EntityTooLarge", WRITES, "400 EntityTooLarge"),
]
CASES = [
    pytest.param(status, code, operation, outcome, id=f"{status}-{code}-{operation}")
    for status, code, operations, outcome in TABLE
    for operation in operations
]


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def store(proxy: Proxy) -> S3Store:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(proxy.endpoint).items():
            patch.setenv(name, value)
        brisk = Patience(connect_s=2, read_s=2, attempts=2, first_wait_s=0)
        return S3Store(S3Location.parse("s3://rcas-test/x"), patience=brisk)


@pytest.mark.parametrize(("status", "code", "operation", "outcome"), CASES)
def test_an_answer_means_what_a_caller_must_do(
    store: S3Store, proxy: Proxy, status: int, code: str, operation: str, outcome: Any
) -> None:
    proxy.expect(*[Fault(False, error(status, code))] * 3)
    ask = OPERATIONS[operation]
    if outcome is None:
        assert ask(store) is None
    elif outcome is Conflict:
        with pytest.raises(Conflict, match=r"^s3://rcas-test/x/a was written by somebody else$"):
            ask(store)
    else:
        with pytest.raises(Unavailable, match=r"\(2 attempts\)$" if outcome is RETRIED else outcome) as caught:
            ask(store)
        assert "\n" not in str(caught.value)
    # A write that may have been carried out is read back once after its last attempt.
    read_back = outcome is RETRIED and operation in WRITES and status != 409
    assert len(proxy.asked()) == (2 if outcome is RETRIED else 1) + read_back


@pytest.mark.parametrize("operation", ANYTHING)
def test_an_answer_that_is_not_of_s3_is_unavailable(store: S3Store, proxy: Proxy, operation: str) -> None:
    page = b"<html><body>Log in to\n the wireless network</body>"
    for status in (200, 302, 404, 403, 500):
        proxy.expect(*[Fault(False, lambda _, status=status: Answer(status, body=page))] * 3)
        if (status, operation) == (200, "delete"):
            continue  # Nothing tells it from the service's own answer.
        with pytest.raises(Unavailable) as caught:
            OPERATIONS[operation](store)
        assert "\n" not in str(caught.value)


def test_every_error_of_boto3_is_translated() -> None:
    kinds = {
        found: translate(found.__new__(found)).kind
        for found in vars(botocore.exceptions).values()
        if isinstance(found, type) and issubclass(found, botocore.exceptions.BotoCoreError)
    }
    assert len(kinds) > 50
    assert all(issubclass(found, ERRORS) for found in kinds)
    passing = {found.__name__ for found, kind in kinds.items() if kind == "passing"}
    assert passing >= {"EndpointConnectionError", "ReadTimeoutError", "ConnectTimeoutError", "ConnectionClosedError"}
    assert passing >= {"ResponseStreamingError", "IncompleteReadError", "ProxyConnectionError", "SSLError"}
    assert not passing & {"NoCredentialsError", "ParamValidationError", "NoRegionError", "CredentialRetrievalError"}


def test_a_role_that_cannot_be_taken_is_a_matter_of_credentials() -> None:
    answer = {"Error": {"Code": "AccessDenied", "Message": "no"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
    failure = translate(botocore.exceptions.ClientError(answer, "AssumeRoleWithWebIdentity"))
    assert failure.words.endswith("or the service account's role")
