"""The S3 store where the network or the service fails: a real service behind a proxy that breaks requests."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from email.utils import formatdate
from itertools import pairwise
from pathlib import Path
from time import time

import pytest

from contracts.faults import CUT, DROP, STALL, Answer, Fault, Proxy, error
from contracts.seaweed import BUCKET, READER_KEY, READER_SECRET, client
from contracts.test_ledger import counted
from rcas.errors import Conflict, Fenced, InvalidSpec, Unavailable
from rcas.location import S3Location
from rcas.state import Ledger
from rcas.stores.opening import open_store
from rcas.stores.s3 import Patience, S3Store

BRISK = Patience(connect_s=2, read_s=2, attempts=4, first_wait_s=0.01, longest_wait_s=0.02)
SLOW_DOWN = error(503, "SlowDown")
INTERNAL = error(500, "InternalError")

own_service = pytest.mark.skipif("RCAS_TEST_S3" in os.environ, reason="needs settings of the service it starts")

LOST = [
    pytest.param(Fault(True, INTERNAL), id="500"),
    pytest.param(Fault(True, error(503, "SlowDown")), id="503"),
    pytest.param(Fault(True, error(502)), id="502-without-body"),
    pytest.param(Fault(True, DROP), id="dropped"),
    pytest.param(Fault(True, STALL), id="stalled"),
    pytest.param(Fault(True, lambda _: Answer(200)), id="200-without-etag"),
]
NOT_DONE = [
    pytest.param(Fault(False, INTERNAL), id="500"),
    pytest.param(Fault(False, SLOW_DOWN), id="SlowDown"),
    pytest.param(Fault(False, error(429, "TooManyRequests")), id="429"),
    pytest.param(Fault(False, error(409, "ConditionalRequestConflict")), id="409"),
    pytest.param(Fault(False, error(400, "RequestTimeout")), id="RequestTimeout"),
    pytest.param(Fault(False, DROP), id="dropped"),
    pytest.param(Fault(False, STALL), id="stalled"),
]


@pytest.fixture
def proxy(s3_endpoint: str) -> Iterator[Proxy]:
    with Proxy(s3_endpoint) as proxy:
        yield proxy


@pytest.fixture
def rival(bucket_url: str) -> S3Store:
    """Another client of the same store, whose network is sound."""
    return a_store(bucket_url)


@pytest.fixture
def seen() -> list[tuple[str, str]]:
    """Operation and outcome of every request of `store`."""
    return []


@pytest.fixture
def store(rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]], monkeypatch: pytest.MonkeyPatch) -> S3Store:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    return S3Store(rival.location, patience=BRISK, observe=lambda *request: seen.append(request))


def a_store(url: str) -> S3Store:
    return S3Store(S3Location.parse(url), patience=BRISK)


def held(store: S3Store, name: str) -> tuple[bytes, str]:
    found = store.get(name)
    assert found
    return found


@pytest.mark.parametrize("fault", LOST)
@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
def test_a_write_whose_answer_was_lost_is_success(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]], fault: Fault, there: bool
) -> None:
    expected = rival.put("head", b"old", expected=None) if there else None
    proxy.expect(fault)
    version = store.put("head", b"new", expected=expected)
    assert held(rival, "head") == (b"new", version)
    assert seen == [("put", "retried"), ("put", "conflict"), ("get", "ok")]
    assert proxy.asked() == ["PUT", "PUT", "GET"]


@pytest.mark.parametrize("fault", NOT_DONE)
@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
def test_a_write_that_failed_in_passing_is_sent_again_with_the_same_bytes_and_condition(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]], fault: Fault, there: bool
) -> None:
    expected = rival.put("head", b"old", expected=None) if there else None
    proxy.expect(fault, fault._replace(answer=SLOW_DOWN))
    version = store.put("head", b"new", expected=expected)
    assert held(rival, "head") == (b"new", version)
    assert seen == [("put", "retried"), ("put", "retried"), ("put", "ok")]
    sent = [(request.body, condition_of(request.headers)) for request in proxy.requests]
    assert sent == [(b"new", (expected, None) if there else (None, "*"))] * 3


def condition_of(headers) -> tuple[str | None, str | None]:
    return headers.get("If-Match"), headers.get("If-None-Match")


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("there", [False, True], ids=["create", "replace"])
def test_a_write_whose_answer_was_lost_and_that_another_came_before_is_a_conflict(
    store: S3Store, rival: S3Store, proxy: Proxy, there: bool, carried_out: bool
) -> None:
    expected = rival.put("head", b"old", expected=None) if there else None
    proxy.expect(Fault(carried_out, DROP, before=lambda: rival.put("head", b"rival's", expected=expected)))
    with pytest.raises(Conflict, match=r"/head was written by somebody else"):
        store.put("head", b"new", expected=expected)
    assert held(rival, "head")[0] == b"rival's"


def test_a_write_whose_answer_was_lost_and_that_another_replaced_is_a_conflict(
    store: S3Store, rival: S3Store, proxy: Proxy
) -> None:
    def replace() -> None:
        rival.put("head", b"rival's", expected=held(rival, "head")[1])

    proxy.expect(Fault(True, DROP), Fault(True, lambda given: given or Answer(500), before=replace))
    with pytest.raises(Conflict):
        store.put("head", b"new", expected=None)
    assert held(rival, "head")[0] == b"rival's"


def test_a_plain_refusal_is_a_conflict_even_if_the_bytes_are_the_same(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]
) -> None:
    rival.put("head", b"same", expected=None)
    proxy.expect()
    with pytest.raises(Conflict):
        store.put("head", b"same", expected=None)
    proxy.expect(Fault(False, error(409, "ConditionalRequestConflict")))
    with pytest.raises(Conflict):
        store.put("head", b"same", expected=None)
    assert seen == [("put", "conflict"), ("put", "retried"), ("put", "conflict")]


def test_a_version_of_what_is_gone_is_a_conflict(store: S3Store, rival: S3Store, seen: list[tuple[str, str]]) -> None:
    version = rival.put("head", b"old", expected=None)
    rival.delete("head")
    with pytest.raises(Conflict):
        store.put("head", b"new", expected=version)
    assert seen == [("put", "conflict")]


def test_a_write_that_was_done_is_found_though_every_further_attempt_failed(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]
) -> None:
    proxy.expect(Fault(True, STALL), *[Fault(False, INTERNAL)] * 3)
    version = store.put("head", b"new", expected=None)
    assert held(rival, "head") == (b"new", version)
    assert seen == [*[("put", "retried")] * 3, ("put", "unavailable"), ("get", "ok")]


def test_a_write_that_was_not_done_is_unavailable_in_the_end(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]
) -> None:
    proxy.expect(*[Fault(False, SLOW_DOWN)] * 4)
    with pytest.raises(Unavailable, match=r"^cannot write s3://.*/head: 503 SlowDown said the test \(4 attempts\)$"):
        store.put("head", b"new", expected=None)
    assert seen == [*[("put", "retried")] * 3, ("put", "unavailable"), ("get", "missing")]
    assert rival.get("head") is None


def test_when_nothing_answers_a_write_is_unavailable_whether_it_was_done_or_not(
    store: S3Store, rival: S3Store, proxy: Proxy
) -> None:
    for carried_out in (False, True):
        proxy.expect(Fault(carried_out, DROP), *[Fault(False, DROP)] * 4)
        with pytest.raises(Unavailable, match="cannot write"):
            store.put("head", b"new", expected=None)
        assert (rival.get("head") is not None) == carried_out
        assert proxy.asked() == ["PUT"] * 4 + ["GET"]


def test_a_refused_write_that_cannot_be_read_back_is_unavailable_not_a_conflict(store: S3Store, proxy: Proxy) -> None:
    proxy.expect(Fault(True, DROP), Fault(True, lambda given: given or Answer(500)), *[Fault(False, DROP)] * 4)
    with pytest.raises(Unavailable, match="cannot read"):
        store.put("head", b"new", expected=None)
    assert proxy.asked() == ["PUT", "PUT", "GET", "GET", "GET", "GET"]


def test_a_ledger_goes_on_where_answers_are_lost_and_is_fenced_where_another_took_over(
    store: S3Store, rival: S3Store, proxy: Proxy
) -> None:
    ledger = Ledger(store, "tiny", "a")
    ledger.create(counted(0))
    for number, fault in enumerate((Fault(True, DROP), Fault(True, INTERNAL), Fault(False, SLOW_DOWN)), start=1):
        proxy.expect(fault)
        ledger.commit(counted(number))
    successor = Ledger(rival, "tiny", "b")
    assert successor.take_over() == counted(3)
    for fault in (Fault(False, DROP), Fault(True, STALL)):
        proxy.expect(fault)
        with pytest.raises(Fenced):
            ledger.commit(counted(9))
    successor.commit(counted(4))


def test_an_answer_that_breaks_off_is_read_again(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]
) -> None:
    data = bytes(range(256)) * 4096
    rival.put("large", data, expected=None)
    proxy.expect(Fault(True, CUT), Fault(False, DROP), Fault(False, SLOW_DOWN))
    assert held(store, "large")[0] == data
    assert seen == [*[("get", "retried")] * 3, ("get", "ok")]
    proxy.expect(*[Fault(True, CUT)] * 4)
    with pytest.raises(Unavailable, match=r"^cannot read s3://.*/large: .*\(4 attempts\)$"):
        store.get("large")


def test_a_deletion_is_sent_again(store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]) -> None:
    rival.put("a", b"", expected=None)
    proxy.expect(Fault(True, DROP), Fault(False, INTERNAL))
    store.delete("a")
    assert rival.get("a") is None
    assert seen == [("delete", "retried"), ("delete", "retried"), ("delete", "ok")]
    proxy.expect(*[Fault(False, INTERNAL)] * 4)
    with pytest.raises(Unavailable, match="cannot delete"):
        store.delete("a")


def test_a_listing_of_several_pages_is_whole_and_each_page_is_asked_for_again(
    store: S3Store, rival: S3Store, proxy: Proxy, seen: list[tuple[str, str]]
) -> None:
    names = sorted(f"results/{number}.json" for number in range(1_003))
    for name in names:
        rival.put(name, b"", expected=None)
    rival.put("other/1", b"", expected=None)
    served = Fault(True, lambda given: given or Answer(500))
    proxy.expect(Fault(False, DROP), served, Fault(True, CUT), Fault(False, SLOW_DOWN), served)
    assert store.names("results/") == names
    outcomes = ["retried", "ok", "retried", "retried", "ok"]
    assert seen == [("list", outcome) for outcome in outcomes]


def test_names_in_utf_8_and_with_reserved_characters_are_kept(store: S3Store) -> None:
    names = sorted(["a b", "a+b", "a%20b", "a&b=c?d#e", "ä/ö", "a'b\"c<d>"])
    for name in names:
        store.put(name, name.encode(), expected=None)
    assert store.names("") == names
    assert [held(store, name)[0].decode() for name in names] == names


def test_what_a_console_puts_there_as_a_folder_is_no_object_of_ours(store: S3Store, s3_endpoint: str) -> None:
    store.put("results/1", b"", expected=None)
    client(s3_endpoint).put_object(Bucket=BUCKET, Key=f"{store.location.prefix}folder/", Body=b"")
    assert store.names("") == ["results/1"]


def test_waits_grow_with_jitter_and_end(bucket_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
    waits = list[float]()
    for draw in (0.0, 1.0):
        waits.clear()
        store = S3Store(S3Location.parse(bucket_url), sleep=waits.append, draw=lambda draw=draw: draw)
        proxy.expect(*[Fault(False, SLOW_DOWN)] * 6)
        with pytest.raises(Unavailable, match="6 attempts"):
            store.get("a")
        assert len(waits) == 5
        assert sum(waits) < 8
        assert all(earlier < later for earlier, later in pairwise(waits))
    assert waits == [0.25, 0.5, 1, 2, 4]


def test_no_attempt_begins_after_the_total_time(
    bucket_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)

    class Slow:
        seconds = 0.0

        def now(self) -> float:
            self.seconds += 6  # Asked when it begins, and after each attempt.
            return self.seconds

    waits = list[float]()
    store = S3Store(S3Location.parse(bucket_url), clock=Slow(), sleep=waits.append)
    proxy.expect(*[Fault(False, SLOW_DOWN)] * 6)
    with pytest.raises(Unavailable, match="4 attempts"):
        store.get("a")
    assert len(waits) == 3


def refused_by(store: S3Store, what: Callable[[S3Store], object]) -> str:
    with pytest.raises(Unavailable) as caught:
        what(store)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def write(store: S3Store) -> object:
    return store.put("a", b"1", expected=None)


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


def test_the_services_clock_is_read_from_any_answer(store: S3Store, proxy: Proxy) -> None:
    assert abs(store.clock_offset_s()) < 2
    ahead = formatdate(time() + 3600, usegmt=True)
    behind = formatdate(time() - 3600, usegmt=True)
    proxy.expect(Fault(True, lambda given: given._replace(headers={**given.headers, "Date": behind})))
    assert abs(store.clock_offset_s() + 3600) < 2
    proxy.expect(Fault(False, error(403, "RequestTimeTooSkewed", Date=ahead)))
    assert abs(store.clock_offset_s() - 3600) < 2


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
