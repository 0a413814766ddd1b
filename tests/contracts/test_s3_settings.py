"""The S3 store's bucket, credentials, encryption and environment, and what it says when they do not fit."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from contracts.faults import Fault, Proxy, error
from contracts.s3_words import BRISK, a_store, held, refused_by, write
from contracts.seaweed import BUCKET, READER_KEY, READER_SECRET, client
from rcas.errors import InvalidSpec, Unavailable
from rcas.stores.opening import open_store
from rcas.stores.s3 import S3Store

own_service = pytest.mark.skipif("RCAS_TEST_S3" in os.environ, reason="needs settings of the service it starts")

EVERYTHING = (
    write,
    lambda store: store.put("a", b"1", expected='"x"'),
    lambda store: store.get("a"),
    lambda store: store.delete("a"),
    lambda store: store.names(""),
    S3Store.clock_offset_s,
)


def test_a_service_that_is_not_there_is_unavailable(bucket_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
    for what in EVERYTHING:
        assert "(4 attempts)" in refused_by(a_store(bucket_url), what)


@own_service
def test_a_bucket_that_is_not_there_is_unavailable_never_a_store_without_objects(
    rival: S3Store,  # noqa: ARG001  (its environment)
) -> None:
    store = a_store("s3://rcas-no-such-bucket/x")
    for what in (write, lambda store: store.get("a"), lambda store: store.names("")):
        assert "404 NoSuchBucket" in (line := refused_by(store, what))
        assert line.endswith("create the bucket if it is not there yet")


@own_service
def test_credentials_without_rights_are_told_which_they_need(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_store(bucket_url).put("a", b"1", expected=None)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", READER_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", READER_SECRET)
    reader = a_store(bucket_url)
    assert held(reader, "a")[0] == b"1"
    assert reader.names("") == ["a"]
    for what in (lambda store: store.put("b", b"1", expected=None), lambda store: store.delete("a")):
        assert "403 AccessDenied" in (line := refused_by(reader, what))
        assert "grant s3:GetObject, s3:PutObject and s3:DeleteObject" in line


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "403 SignatureDoesNotMatch"),
        ({"AWS_ACCESS_KEY_ID": "nobody"}, "403 InvalidAccessKeyId"),
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, "Unable to locate credentials"),
    ],
)
def test_wrong_credentials_are_told_where_to_look(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch, changes: dict[str, str | None], problem: str
) -> None:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name, value in changes.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    for what in EVERYTHING[:5]:
        line = refused_by(a_store(bucket_url), what)
        assert problem in line
        assert "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY" in line


@own_service
def test_encryption_is_asked_for(bucket_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCAS_S3_SSE", "AES256")
    store = a_store(bucket_url)
    version = store.put("a", b"secret", expected=None)
    assert held(store, "a") == (b"secret", version)
    head = client(s3_endpoint).head_object(Bucket=BUCKET, Key=f"{store.location.prefix}a")
    assert head["ServerSideEncryption"] == "AES256"
    version = store.put("a", b"next", expected=version)
    assert held(store, "a") == (b"next", version)


def test_a_key_for_encryption_is_named(store: S3Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RCAS_S3_SSE", "aws:kms")
    monkeypatch.setenv("RCAS_S3_SSE_KMS_KEY_ID", "alias/rcas")
    other = S3Store(store.location, patience=BRISK)
    proxy.expect(Fault(False, error(400, "KMS.DisabledException")))
    assert "check RCAS_S3_SSE and RCAS_S3_SSE_KMS_KEY_ID" in refused_by(other, write)
    sent = proxy.requests[0].headers
    assert sent["x-amz-server-side-encryption"] == "aws:kms"
    assert sent["x-amz-server-side-encryption-aws-kms-key-id"] == "alias/rcas"


def test_region_and_path_style_come_from_the_environment(
    store: S3Store, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    S3Store(store.location, patience=BRISK).get("a")
    assert "/eu-west-3/s3/aws4_request" in proxy.requests[-1].headers["Authorization"]
    assert proxy.requests[-1].path.split("?")[0] == f"/{BUCKET}/{store.location.prefix}a"


def test_credentials_that_cannot_be_fetched_now_are_unavailable(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:1/")
    monkeypatch.setenv("AWS_METADATA_SERVICE_NUM_ATTEMPTS", "1")
    with pytest.raises(Unavailable, match=r"check AWS_ACCESS_KEY_ID.* or the service account's role"):
        write(a_store(bucket_url))


@pytest.mark.parametrize(
    ("name", "value", "problem"),
    [
        ("AWS_ENDPOINT_URL_S3", "not a url", "Invalid endpoint"),
        ("AWS_SECRET_ACCESS_KEY", "", "Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY"),
        ("AWS_PROFILE", "nobody", "nobody"),
        ("RCAS_S3_ADDRESSING_STYLE", "long", "RCAS_S3_ADDRESSING_STYLE: got 'long', allowed: auto, path, virtual"),
    ],
)
def test_an_environment_that_cannot_be_used_is_invalid(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch, name: str, value: str, problem: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidSpec, match=problem):
        open_store(bucket_url)


def test_tls_with_an_authority_of_ones_own(
    bucket_url: str, s3_endpoint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    openssl = shutil.which("openssl")
    assert openssl
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-keyout", key, "-out", certificate]
    subprocess.run(made, check=True, capture_output=True)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate, key)
    with Proxy(s3_endpoint, tls) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        line = refused_by(a_store(bucket_url), write)
        assert "AWS_CA_BUNDLE names the authorities to trust" in line
        assert "attempts" not in line
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        trusting = a_store(bucket_url)
        version = trusting.put("a", b"1", expected=None)
        assert held(trusting, "a") == (b"1", version)
