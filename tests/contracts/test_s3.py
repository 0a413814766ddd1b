"""The S3 store where the network or the service fails: a real service behind a proxy that breaks requests."""

from __future__ import annotations

from email.utils import formatdate
from itertools import pairwise
from time import time

import pytest

from contracts.faults import CUT, DROP, STALL, Answer, Fault, Proxy, error
from contracts.s3_words import held
from contracts.seaweed import BUCKET, client
from contracts.test_ledger import counted
from rcas.errors import Conflict, Fenced, Unavailable
from rcas.location import S3Location
from rcas.state import Ledger
from rcas.stores.s3 import S3Store

SLOW_DOWN = error(503, "SlowDown")
INTERNAL = error(500, "InternalError")

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


def test_the_services_clock_is_read_from_any_answer(store: S3Store, proxy: Proxy) -> None:
    assert abs(store.clock_offset_s()) < 2
    ahead = formatdate(time() + 3600, usegmt=True)
    behind = formatdate(time() - 3600, usegmt=True)
    proxy.expect(Fault(True, lambda given: given._replace(headers={**given.headers, "Date": behind})))
    assert abs(store.clock_offset_s() + 3600) < 2
    proxy.expect(Fault(False, error(403, "RequestTimeTooSkewed", Date=ahead)))
    assert abs(store.clock_offset_s() - 3600) < 2
