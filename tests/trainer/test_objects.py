"""One contract over a file and an object in S3, and what S3's errors mean."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from botocore import exceptions
from botocore.parsers import ResponseParserError

from rcas.errors import InvalidSpec, Unavailable
from rcas_trainer.errors import Refused
from rcas_trainer.objects import LocalFile, StoredObject, stored_object
from rcas_trainer.s3 import S3Object, translation

Place = Callable[[str], StoredObject]


class StoredObjectContract:
    def test_nothing_there_is_none_and_may_be_removed(self, place: Place) -> None:
        assert place("new/a").read() is None
        place("new/a").remove()

    def test_what_is_created_stands(self, place: Place) -> None:
        stored = place("new/a")
        assert stored.create(b"first")
        assert not stored.create(b"second")
        assert stored.read() == b"first"

    def test_of_many_creators_one_wins(self, place: Place) -> None:
        contents = [str(number).encode() for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(lambda content: place("a").create(content), contents))
        assert won.count(True) == 1
        assert place("a").read() == contents[won.index(True)]

    def test_what_is_replaced_is_whole_and_can_be_removed(self, place: Place) -> None:
        stored, large = place("a b/ü+%.pt"), bytes(range(256)) * (40 << 10)
        for content in (b"small", large, b""):
            stored.replace(content)
            assert stored.read() == content
        stored.remove()
        stored.remove()
        assert stored.read() is None
        assert stored.create(b"again")


class TestLocalFile(StoredObjectContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return lambda name: stored_object(f"{tmp_path}/{name}", "result")


class TestS3(StoredObjectContract):
    @pytest.fixture
    def place(self, bucket_url: str) -> Place:
        return lambda name: stored_object(f"{bucket_url}/{name}", "result")


def test_a_place_is_a_path_or_an_s3_url() -> None:
    assert stored_object("a/b", "result") == LocalFile(Path("a/b"))
    assert stored_object("s3://bucket/a/b.json", "result") == S3Object("bucket", "a/b.json")
    assert stored_object("s3://bucket/a/b.json", "result").place == "s3://bucket/a/b.json"


@pytest.mark.parametrize(
    "url", ["s3://", "s3://bucket", "s3://bucket/", "s3://bucket/a/", "s3://B/a", "s3://bucket/../a"]
)
def test_another_form_of_url_is_refused_with_the_fields_name(url: str) -> None:
    with pytest.raises(InvalidSpec, match=r"checkpoint: got 's3://.*allowed: s3://bucket/key"):
        stored_object(url, "checkpoint")


def answered(status: int, code: str) -> exceptions.ClientError:
    response: Any = {"Error": {"Code": code, "Message": "m"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(response, "PutObject")


@pytest.mark.parametrize(
    "error",
    [
        *(answered(status, "x") for status in (408, 409, 429, 500, 502, 503, 504)),
        answered(400, "RequestTimeout"),
        answered(404, "404"),
        exceptions.EndpointConnectionError(endpoint_url="u"),
        exceptions.ConnectTimeoutError(endpoint_url="u"),
        exceptions.ReadTimeoutError(endpoint_url="u"),
        exceptions.ConnectionClosedError(endpoint_url="u"),
        exceptions.SSLError(endpoint_url="u", error="UNEXPECTED_EOF_WHILE_READING"),
        exceptions.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        exceptions.ResponseStreamingError(error="Connection broken"),
        exceptions.CredentialRetrievalError(provider="p", error_msg="m"),
        ResponseParserError("<html>"),
    ],
    ids=repr,
)
def test_an_outage_is_worth_another_try(error: Exception) -> None:
    assert isinstance(translation(error, "s3://b/k"), Unavailable)


@pytest.mark.parametrize(
    "error",
    [
        *(answered(status, "x") for status in (301, 400, 401, 403, 405, 501)),
        answered(404, "NoSuchBucket"),
        answered(400, "ExpiredToken"),
        exceptions.NoCredentialsError(),
        exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        exceptions.NoRegionError(),
        exceptions.SSLError(endpoint_url="u", error="certificate verify failed"),
    ],
    ids=repr,
)
def test_a_refusal_is_one_line_with_the_url(error: Exception) -> None:
    found = translation(error, "s3://b/k")
    assert isinstance(found, Refused)
    assert str(found).startswith("s3://b/k: ")
    assert len(str(found).splitlines()) == 1


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ENDPOINT_URL_S3": "nonsense"}, "Invalid endpoint"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "unknown"}, "InvalidAccessKeyId"),
    ],
)
def test_wrong_settings_are_refusals(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Refused, match=words):
        stored_object(f"{bucket_url}/a", "result").read()


def test_a_missing_bundle_of_authorities_is_a_refusal(bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"https://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("AWS_CA_BUNDLE", "/no/such.pem")
        with pytest.raises(Refused, match=r"No such file .*AWS_CA_BUNDLE"):
            stored_object(f"{bucket_url}/a", "result").read()


def test_an_unknown_bucket_is_a_refusal_whatever_is_asked(bucket_url: str) -> None:
    assert bucket_url
    stored = stored_object("s3://no-such-bucket-here/a", "result")
    for ask in (stored.read, lambda: stored.create(b"x"), lambda: stored.replace(b"x")):
        with pytest.raises(Refused, match=r"no-such-bucket-here/a: .*NoSuchBucket"):
            ask()
