"""The doctor: passes the stores that keep their promises, and names each promise that another breaks."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from contracts.faults import Fault, Proxy, error
from controller.memory_store import MemoryStore
from rcas.errors import Conflict, InvalidSpec, Unavailable
from rcas.location import S3Location
from rcas.stores.base import Store, Stored
from rcas.stores.doctor import Finding, examine, examine_briefly
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store
from rcas.stores.s3 import Patience, S3Store

CLOCK = "its clock agrees with this machine's"
ACCESS = "objects can be written, read, listed and deleted"
READ = "a write is read at once, by everybody"
CREATE = "a create refuses what exists"
REPLACE = "a replace refuses a stale version"
LIST = "a listing shows every write and delete at once"
RACING_CREATES = "of racing creates exactly one wins"
RACING_REPLACES = "of racing replaces exactly one wins"
PROMISES = [ACCESS, READ, CREATE, REPLACE, LIST, RACING_CREATES, RACING_REPLACES]


def broken(findings: list[Finding]) -> list[str]:
    return [finding.promise for finding in findings if not finding.held]


@pytest.mark.parametrize("kind", ["memory", "file", "s3"])
def test_a_store_that_keeps_its_promises_passes(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    makers: dict[str, Callable[[], Store]] = {
        "memory": MemoryStore,
        "file": lambda: FileStore(tmp_path),
        "s3": lambda: open_store(request.getfixturevalue("bucket_url")),
    }
    store = makers[kind]()
    store.put("searches/a/state.json", b"not the doctor's", expected=None)
    findings = examine_briefly(store)
    assert broken(findings) == []
    assert [finding.promise for finding in findings] == ([CLOCK] if kind == "s3" else []) + PROMISES
    assert all(finding.seconds >= 0 and finding.detail for finding in findings)
    assert store.names("") == ["searches/a/state.json"]


def test_the_whole_examination_races_32_for_20_rounds() -> None:
    findings = examine(MemoryStore())
    assert broken(findings) == []
    assert {finding.detail for finding in findings[-2:]} == {"32 racers, 20 rounds"}


class IgnoresConditions(MemoryStore):
    def put(self, name: str, data: bytes, *, expected: str | None) -> str:  # noqa: ARG002
        found = self.get(name)
        return super().put(name, data, expected=found and found.version)


class IgnoresVersions(IgnoresConditions):
    """Knows If-None-Match alone."""

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        if expected is None and self.get(name):
            raise Conflict(name)
        return super().put(name, data, expected=expected)


class OverwritesOnCreate(IgnoresConditions):
    """Knows If-Match alone."""

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        return (super() if expected is None else super(IgnoresConditions, self)).put(name, data, expected=expected)


class BringsBackWhatWasDeleted(MemoryStore):
    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        return super().put(name, data, expected=expected if name in self.objects else None)


class ChecksThenWrites(MemoryStore):
    """Two steps where one is promised."""

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        found = self.get(name)
        if (found.version if found else None) != expected:
            raise Conflict(name)
        time.sleep(0.02)
        self.objects[name] = data
        written = self.get(name)
        assert written
        return Stored(data, written.version).version


class WritesAndRefuses(MemoryStore):
    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        try:
            return super().put(name, data, expected=expected)
        except Conflict:
            self.objects[name] = data
            raise


class TakesEqualBytesForAnAnswer(MemoryStore):
    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        found = self.get(name)
        if expected is None and found and found.data == data:
            return found.version
        return super().put(name, data, expected=expected)


class RefusesEveryReplace(MemoryStore):
    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        if expected is not None:
            raise Conflict(f"{name} was written by somebody else")
        return super().put(name, data, expected=expected)


class ServesWhatWasDeleted(MemoryStore):
    def delete(self, name: str) -> None:
        if not name.endswith("/read"):
            super().delete(name)


class TellsTwoVersions(MemoryStore):
    def get(self, name: str) -> Stored | None:
        found = super().get(name)
        return found and found._replace(version=f"W/{found.version}")

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        return super().put(name, data, expected=expected and f"W/{expected}")


class ListsLate(MemoryStore):
    """A listing is that of a moment ago."""

    def __init__(self) -> None:
        super().__init__()
        self.last = list[str]()

    def names(self, prefix: str) -> list[str]:
        last, self.last = self.last, super().names("")
        return [name for name in last if name.startswith(prefix)]


class ListsDeletedOnes(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.ever = set[str]()

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        self.ever.add(name)
        return super().put(name, data, expected=expected)

    def names(self, prefix: str) -> list[str]:
        return sorted(name for name in self.ever if name.startswith(prefix))


@pytest.mark.parametrize(
    ("store", "expected"),
    [
        (IgnoresConditions(), [CREATE, REPLACE, RACING_CREATES, RACING_REPLACES]),
        (IgnoresVersions(), [REPLACE, RACING_REPLACES]),
        (OverwritesOnCreate(), [CREATE, RACING_CREATES]),
        (BringsBackWhatWasDeleted(), [REPLACE]),
        (ChecksThenWrites(), [RACING_CREATES, RACING_REPLACES]),
        (WritesAndRefuses(), [CREATE, REPLACE, RACING_CREATES, RACING_REPLACES]),
        (TakesEqualBytesForAnAnswer(), [CREATE]),
        (RefusesEveryReplace(), [READ, REPLACE, RACING_REPLACES]),
        (ServesWhatWasDeleted(), [READ]),
        (TellsTwoVersions(), [READ]),
        (ListsLate(), [LIST]),
        (ListsDeletedOnes(), [LIST]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MemoryStore) else "",
)
def test_each_broken_promise_is_named(store: MemoryStore, expected: list[str]) -> None:
    findings = examine(store, racers=8, rounds=3)
    assert broken(findings) == expected
    assert [finding.promise for finding in findings] == PROMISES
    if not isinstance(store, ServesWhatWasDeleted):
        assert store.objects == {}


class ReadsStale(MemoryStore):
    """Every second reader sees the write before."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.asked = dict[str, bytes](), itertools.count()

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        before = self.objects.get(name)
        version = super().put(name, data, expected=expected)
        if before is not None:
            self.before[name] = before
        return version

    def get(self, name: str) -> Stored | None:
        found = super().get(name)
        stale = found and not self.lock.locked() and name in self.before and next(self.asked) % 2
        return Stored(self.before[name], "") if stale else found


def test_a_store_that_reads_stale_objects_is_seen_by_one_of_many_readers() -> None:
    (finding,) = [one for one in examine(ReadsStale(), racers=8, rounds=3) if one.promise == READ]
    assert not finding.held
    assert "readers did not see the write" in finding.detail


def test_details_say_how_a_promise_was_broken() -> None:
    details = {finding.promise: finding.detail for finding in examine(IgnoresConditions(), racers=4, rounds=2)}
    assert details[CREATE] == "created what exists"
    assert details[REPLACE] == "replaced a stale version"
    assert details[RACING_CREATES] == "round 1: 4 of 4 racers won"


class Forbids(MemoryStore):
    def __init__(self, method: str) -> None:
        super().__init__()
        setattr(self, method, self.refuse)

    def refuse(self, name: str, *_: object, **__: object) -> None:
        raise Unavailable(f"cannot touch {name}: 403 AccessDenied")


@pytest.mark.parametrize("method", ["get", "put", "delete", "names"])
def test_a_store_without_rights_is_not_tried_any_further(method: str) -> None:
    (finding,) = examine_briefly(Forbids(method))
    assert (finding.promise, finding.held) == (ACCESS, False)
    assert "403 AccessDenied" in finding.detail


def test_a_failure_in_the_middle_breaks_that_promise_alone() -> None:
    class Stumbles(MemoryStore):
        def put(self, name: str, data: bytes, *, expected: str | None) -> str:
            if name.endswith("/replace"):
                raise Unavailable("503 SlowDown")
            return super().put(name, data, expected=expected)

    findings = examine_briefly(Stumbles())
    assert [(finding.promise, finding.detail) for finding in findings if not finding.held] == [
        (REPLACE, "503 SlowDown")
    ]


@pytest.mark.parametrize(("offset_s", "held"), [(0, True), (-299, True), (301, False), (-3600, False)])
def test_a_clock_far_off_is_named(offset_s: int, held: bool) -> None:
    class Elsewhere(MemoryStore):
        def clock_offset_s(self) -> float:
            return offset_s

    findings = examine_briefly(Elsewhere())
    assert broken(findings) == ([] if held else [CLOCK])
    assert f"{offset_s:+}" in findings[0].detail


def test_a_service_that_refuses_every_request_for_its_time_is_a_matter_of_the_clock(
    bucket_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Proxy() as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        ahead = formatdate(time.time() + 1800, usegmt=True)
        proxy.expect(*[Fault(False, error(403, "RequestTimeTooSkewed", Date=ahead))] * 100)
        findings = examine_briefly(S3Store(S3Location.parse(bucket_url), patience=Patience(attempts=1)))
    assert broken(findings) == [CLOCK, ACCESS]
    assert "ahead" in findings[0].detail
    assert findings[1].detail.endswith("check this machine's clock")


def test_findings_are_reported_as_they_come() -> None:
    reported = list[Finding]()
    assert examine(MemoryStore(), racers=2, rounds=1, report=reported.append) == reported


def test_only_folders_and_s3_are_stores(tmp_path: Path) -> None:
    for url in ("gs://bucket/x", "file:///x", "S3://bucket", "https://bucket.s3.amazonaws.com"):
        with pytest.raises(InvalidSpec, match="a folder, or s3://bucket/prefix"):
            open_store(url)
    with pytest.raises(InvalidSpec, match="s3://bucket or s3://bucket/prefix"):
        open_store("s3://")
    with pytest.raises(InvalidSpec, match="a folder that a search was run in"):
        open_store(str(tmp_path / "missing"), create=False)
    assert isinstance(open_store(str(tmp_path / "made")), FileStore)


def test_without_boto3_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rcas.stores.s3", raising=False)
    monkeypatch.setitem(sys.modules, "boto3.session", None)
    with pytest.raises(InvalidSpec, match=r"pip install 'rcas\[controller\]'"):
        open_store("s3://bucket/x")
    assert isinstance(open_store(str(tmp_path)), FileStore)
