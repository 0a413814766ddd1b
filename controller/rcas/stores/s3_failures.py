"""What a failed S3 request means: the one place that translates boto3's errors."""

from __future__ import annotations

from typing import Literal, NamedTuple

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    ConnectionError,  # noqa: A004
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoAuthTokenError,
    NoCredentialsError,
    PartialCredentialsError,
    SSLError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

ERRORS = (BotoCoreError, ClientError, ResponseParserError, HTTPError, OSError)
"""All that a request may raise. What reads a body lets a few errors of the libraries below boto3 through."""

Kind = Literal["missing", "conflict", "passing", "lasting"]


class Failure(NamedTuple):
    """Why a request failed.

    Attributes:
        kind: missing, there is no such object; conflict, the condition does not hold; passing, the same request
            may succeed soon; lasting, it will not until somebody changes something.
        words: for the message, in one line.
        uncertain: the request may have been carried out all the same.
    """

    kind: Kind
    words: str
    uncertain: bool = False


_CREDENTIALS = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or the service account's role"
_RIGHTS = "grant s3:GetObject, s3:PutObject and s3:DeleteObject on the objects, s3:ListBucket on the bucket"
_REGION = "check AWS_REGION and AWS_ENDPOINT_URL_S3"
_NO_SERVICE = "no S3 service answers there: check AWS_ENDPOINT_URL_S3"
_BUCKET = "check the bucket in the store's URL; create the bucket if it is not there yet"
_KEY = "check RCAS_S3_SSE and RCAS_S3_SSE_KMS_KEY_ID, and that the credentials may use the key"

_ADVICE = {
    "AccessDenied": _RIGHTS,
    "AllAccessDisabled": _RIGHTS,
    "AuthorizationHeaderMalformed": _REGION,
    "ExpiredToken": _CREDENTIALS,
    "InvalidAccessKeyId": _CREDENTIALS,
    "InvalidBucketName": _BUCKET,
    "InvalidEncryptionAlgorithmError": _KEY,
    "InvalidToken": _CREDENTIALS,
    "NoSuchBucket": _BUCKET,
    "PermanentRedirect": _REGION,
    "RequestExpired": "check this machine's clock",
    "RequestTimeTooSkewed": "check this machine's clock",
    "ServerSideEncryptionConfigurationNotFoundError": _KEY,
    "SignatureDoesNotMatch": _CREDENTIALS,
    "TokenRefreshRequired": _CREDENTIALS,
}
_ADVICE_BY_STATUS = {
    301: _REGION,
    401: _CREDENTIALS,
    403: _RIGHTS,
    404: _NO_SERVICE,
    405: _NO_SERVICE,
    501: "the service lacks something that rcas needs, such as conditional writes",
}

_PASSING_STATUS = {307, 408, 409, 429}
_PASSING_CODES = {
    "BadDigest",
    "IncompleteBody",
    "RequestTimeout",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequests",
    "XAmzContentSHA256Mismatch",
}
_NOT_STARTED = (EndpointConnectionError, ConnectTimeoutError)
_IN_TRANSIT = (
    ConnectionError,
    HTTPClientError,
    IncompleteReadError,
    ChecksumError,
    FlexibleChecksumError,
    ResponseParserError,
    HTTPError,
    OSError,
)
_NO_CREDENTIALS = (
    NoCredentialsError,
    PartialCredentialsError,
    CredentialRetrievalError,
    TokenRetrievalError,
    NoAuthTokenError,
)


def translate(error: Exception, *, replacing: bool = False) -> Failure:
    """What `error`, one of `ERRORS`, says of the request.

    Args:
        error: as raised by boto3.
        replacing: the request was a write that named the version to replace.
    """
    if isinstance(error, ClientError):
        return _of_answer(error, replacing)
    words = _one_line(str(error)) or type(error).__name__
    if isinstance(error, SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        return Failure("lasting", f"{words}; AWS_CA_BUNDLE names the authorities to trust")
    if isinstance(error, _NOT_STARTED):
        return Failure("passing", words)
    if isinstance(error, _IN_TRANSIT):
        return Failure("passing", words, uncertain=True)
    if isinstance(error, _NO_CREDENTIALS):
        return Failure("lasting", f"{words}; {_CREDENTIALS}")
    return Failure("lasting", words)


def _of_answer(error: ClientError, replacing: bool) -> Failure:
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    found = error.response.get("Error", {})
    code, message = str(found.get("Code", "")), str(found.get("Message", ""))
    words = _one_line(" ".join(dict.fromkeys((str(status), code, message))))
    if status == 404 and code == "NoSuchKey":
        return Failure("conflict" if replacing else "missing", words)
    if status == 412:
        return Failure("conflict", words)
    if (status >= 500 and status != 501) or status in _PASSING_STATUS or code in _PASSING_CODES:
        # 409 says that a write on the same condition is under way, so this one was not done.
        return Failure("passing", words, uncertain=status != 409)
    advice = _ADVICE.get(code) or _ADVICE_BY_STATUS.get(status)
    if code.startswith("KMS"):
        advice = _KEY
    if error.operation_name.startswith("AssumeRole"):
        advice = _CREDENTIALS
    return Failure("lasting", f"{words.rstrip('.')}; {advice}" if advice else words)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 300 else f"{line[:297]}..."
