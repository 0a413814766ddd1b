"""Proves a store before it is trusted: tries each promise that a search relies on, and says which is broken."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import NamedTuple, Protocol, TypeVar, runtime_checkable

from rcas.errors import Conflict, Unavailable
from rcas.stores.base import Store

CLOCK_LIMIT_S = 300
T = TypeVar("T")


class Finding(NamedTuple):
    """What came of one promise.

    Attributes:
        promise: in words.
        held: it was kept whenever it was tried.
        detail: how it was tried, or how it was broken.
        seconds: that it took to find out.
    """

    promise: str
    held: bool
    detail: str
    seconds: float


@runtime_checkable
class HasClock(Protocol):
    """A store on another machine, which has a clock of its own."""

    def clock_offset_s(self) -> float:
        """How many seconds that clock is ahead of this machine's."""
        ...


def examine(
    store: Store, *, racers: int = 32, rounds: int = 20, report: Callable[[Finding], None] | None = None
) -> list[Finding]:
    """Try every promise of `Store` on objects below a private prefix, which are removed at the end.

    Args:
        store: to try. One that cannot be used at all is only tried for its clock and for access.
        racers: threads that ask at the same moment.
        rounds: of each race.
        report: called with each finding as soon as it is there.

    Returns:
        One finding for each promise. The store can be trusted if all held.
    """
    examination = _Examination(store, racers, rounds)
    findings = list[Finding]()
    try:
        for promise, check in examination.checks():
            findings.append(_try(promise, check))
            if report:
                report(findings[-1])
            if check == examination.access and not findings[-1].held:
                break
    finally:
        examination.clean_up()
    return findings


def examine_briefly(store: Store) -> list[Finding]:
    """A short `examine` for the start of a controller: enough to see a store that does not heed conditions."""
    return examine(store, racers=8, rounds=2)


class _Broken(Exception):
    """A promise was not kept; says how."""


def _try(promise: str, check: Callable[[], str]) -> Finding:
    began = time.monotonic()
    try:
        held, detail = True, check()
    except (_Broken, Conflict, Unavailable) as error:
        # Conflict: refused although the condition held.
        held, detail = False, str(error)
    return Finding(promise, held, detail, time.monotonic() - began)


class _Examination:
    def __init__(self, store: Store, racers: int, rounds: int) -> None:
        self._store, self._racers, self._rounds = store, racers, rounds
        self._folder = f"doctor/{os.urandom(8).hex()}"
        self._used = list[str]()

    def checks(self) -> list[tuple[str, Callable[[], str]]]:
        """Every promise with what tries it, in the order in which to try them."""
        clock = [("its clock agrees with this machine's", self.clock)] if isinstance(self._store, HasClock) else []
        return [
            *clock,
            ("objects can be written, read, listed and deleted", self.access),
            ("a write is read at once, by everybody", self.read_after_write),
            ("a create refuses what exists", self.create_refuses),
            ("a replace refuses a stale version", self.replace_refuses),
            ("a listing shows every write and delete at once", self.list_after_write),
            ("of racing creates exactly one wins", self.racing_creates),
            ("of racing replaces exactly one wins", self.racing_replaces),
        ]

    def clean_up(self) -> None:
        with suppress(Unavailable):
            for name in {*self._used, *self._store.names(f"{self._folder}/")}:
                self._store.delete(name)

    def clock(self) -> str:
        assert isinstance(self._store, HasClock)
        offset_s = self._store.clock_offset_s()
        _require(
            abs(offset_s) <= CLOCK_LIMIT_S, f"it is {offset_s:+.0f} s ahead; at most {CLOCK_LIMIT_S} s are allowed"
        )
        return f"it is {offset_s:+.0f} s ahead"

    def access(self) -> str:
        name = self._name("access")
        _require(self._store.get(name) is None, f"{name} was there before it was written")
        self._store.put(name, b"doctor", expected=None)
        self._expect(name, b"doctor")
        self._store.names(f"{self._folder}/")
        self._store.delete(name)
        return f"below {self._folder}/"

    def read_after_write(self) -> str:
        name, version = self._name("read"), None
        for number in range(self._rounds):
            data = b"%d" % number
            version = written = self._store.put(name, data, expected=version)
            found = _together(self._racers, lambda _racer: self._store.get(name))
            stale = sum(one is None or one.data != data for one in found)
            _require(not stale, f"round {number + 1}: {stale} of {self._racers} readers did not see the write")
            other = sum(one is not None and one.version != written for one in found)
            _require(not other, f"round {number + 1}: {other} readers got another version than the writer")
        self._store.delete(name)
        found = _together(self._racers, lambda _racer: self._store.get(name))
        alive = sum(one is not None for one in found)
        _require(not alive, f"{alive} of {self._racers} readers still saw a deleted object")
        return self._extent("readers")

    def create_refuses(self) -> str:
        name = self._name("create")
        self._store.put(name, b"first", expected=None)
        for data in (b"second", b"first"):
            _require_conflict(lambda data=data: self._store.put(name, data, expected=None), "created what exists")
            self._expect(name, b"first")
        return "other bytes and the same"

    def replace_refuses(self) -> str:
        name = self._name("replace")
        first = self._store.put(name, b"first", expected=None)
        second = self._store.put(name, b"second", expected=first)
        _require(first != second, "two contents have one version")
        _require_conflict(lambda: self._store.put(name, b"third", expected=first), "replaced a stale version")
        self._expect(name, b"second")
        self._store.delete(name)
        _require_conflict(lambda: self._store.put(name, b"third", expected=second), "replaced what was deleted")
        _require(self._store.get(name) is None, "what was deleted is back")
        return "of an object, and of one that was deleted"

    def list_after_write(self) -> str:
        names = [self._name(f"list/{number}") for number in range(self._rounds)]
        for count, name in enumerate(names, start=1):
            self._store.put(name, b"", expected=None)
            self._expect_listed(names[:count])
        for count, name in enumerate(names, start=1):
            self._store.delete(name)
            self._expect_listed(names[count:])
        return f"{self._rounds} writes, {self._rounds} deletes"

    def racing_creates(self) -> str:
        for number in range(self._rounds):
            self._race(self._name(f"race/{number}"), None, number)
        return self._extent("racers")

    def racing_replaces(self) -> str:
        name = self._name("race/replaced")
        version = self._store.put(name, b"", expected=None)
        for number in range(self._rounds):
            version = self._race(name, version, number)
        return self._extent("racers")

    def _race(self, name: str, expected: str | None, number: int) -> str:
        """Let all racers write on one condition; the winner's version."""

        def write(racer: int) -> str | None:
            with suppress(Conflict):
                return self._store.put(name, b"%d by %d" % (number, racer), expected=expected)
            return None

        versions = _together(self._racers, write)
        won = [racer for racer, version in enumerate(versions) if version is not None]
        _require(len(won) == 1, f"round {number + 1}: {len(won)} of {self._racers} racers won")
        self._expect(name, b"%d by %d" % (number, won[0]))
        version = versions[won[0]]
        assert version is not None
        return version

    def _name(self, name: str) -> str:
        self._used.append(f"{self._folder}/{name}")
        return self._used[-1]

    def _extent(self, who: str) -> str:
        return f"{self._racers} {who}, {self._rounds} rounds"

    def _expect(self, name: str, data: bytes) -> None:
        found = self._store.get(name)
        _require(found is not None, f"{name} was written and is not there")
        _require(found is not None and found.data == data, f"{name} does not hold what its only writer wrote")

    def _expect_listed(self, names: list[str]) -> None:
        listed, expected = set(self._store.names(f"{self._folder}/list/")), set(names)
        _require(expected <= listed, f"{len(expected - listed)} of {len(expected)} objects are missing in a listing")
        _require(listed <= expected, f"{len(listed - expected)} deleted objects are in a listing")


def _require(kept: bool, otherwise: str) -> None:
    if not kept:
        raise _Broken(otherwise)


def _require_conflict(write: Callable[[], str], otherwise: str) -> None:
    with suppress(Conflict):
        write()
        raise _Broken(otherwise)


def _together(count: int, ask: Callable[[int], T]) -> list[T]:
    """Call `ask(0)` to `ask(count - 1)` in threads that begin at the same moment."""
    barrier = Barrier(count)

    def one(number: int) -> T:
        barrier.wait()
        return ask(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count)))
