"""What every object store owes, and what a folder owes beyond it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from controller.memory_store import MemoryStore
from rcas.errors import Conflict, Fenced, InvalidSpec, Unavailable
from rcas.stores.base import Store
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store

MEBIBYTE = 1 << 20


class StoreContract:
    """Derive from it with a fixture `store` that gives an empty store."""

    def test_what_was_written_is_read(self, store: Store) -> None:
        version = store.put("a/b.json", b"\x00\xff one", expected=None)
        assert store.get("a/b.json") == (b"\x00\xff one", version)

    def test_an_empty_object_is_an_object(self, store: Store) -> None:
        version = store.put("empty", b"", expected=None)
        assert store.get("empty") == (b"", version)
        assert store.names("") == ["empty"]

    def test_what_is_missing_is_none(self, store: Store) -> None:
        assert store.get("nothing") is None
        assert store.get("no/such/folder/nothing") is None
        assert store.names("no/such/") == []

    def test_create_refuses_what_exists(self, store: Store) -> None:
        store.put("head", b"first", expected=None)
        with pytest.raises(Conflict):
            store.put("head", b"second", expected=None)
        assert stored_bytes(store, "head") == b"first"

    def test_create_refuses_even_the_same_bytes(self, store: Store) -> None:
        store.put("head", b"same", expected=None)
        with pytest.raises(Conflict):
            store.put("head", b"same", expected=None)

    def test_replace_on_the_version_that_stands(self, store: Store) -> None:
        first = store.put("head", b"first", expected=None)
        second = store.put("head", b"second", expected=first)
        assert second != first
        assert store.get("head") == (b"second", second)

    def test_loser_of_a_race_gets_conflict_and_the_winner_stands(self, store: Store) -> None:
        first = store.put("head", b"first", expected=None)
        winner = store.put("head", b"winner", expected=first)
        with pytest.raises(Conflict):
            store.put("head", b"loser", expected=first)
        assert store.get("head") == (b"winner", winner)

    def test_a_version_of_what_is_gone_conflicts(self, store: Store) -> None:
        first = store.put("head", b"first", expected=None)
        store.delete("head")
        with pytest.raises(Conflict):
            store.put("head", b"second", expected=first)
        assert store.get("head") is None

    def test_the_version_read_is_one_to_write_on(self, store: Store) -> None:
        store.put("head", b"first", expected=None)
        found = store.get("head")
        assert found
        store.put("head", b"second", expected=found.version)
        assert stored_bytes(store, "head") == b"second"

    def test_of_racing_creators_one_wins(self, store: Store) -> None:
        for round_number in range(10):
            name = f"race/{round_number}"
            won = race(lambda racer, name=name: store.put(name, b"%d" % racer, expected=None))
            assert len(won) == 1
            assert stored_bytes(store, name) == b"%d" % won[0]

    def test_of_racing_replacers_one_wins(self, store: Store) -> None:
        version = store.put("head", b"start", expected=None)
        for round_number in range(10):
            data = [b"%d by %d" % (round_number, racer) for racer in range(8)]
            won = race(lambda racer, data=data, seen=version: store.put("head", data[racer], expected=seen))
            assert len(won) == 1
            found = store.get("head")
            assert found
            assert found.data == data[won[0]]
            version = found.version

    def test_listing_sees_every_write_and_delete_at_once(self, store: Store) -> None:
        for number in range(5):
            store.put(f"results/{number}.json", b"{}", expected=None)
            assert f"results/{number}.json" in store.names("results/")
        store.delete("results/2.json")
        assert store.names("results/") == [f"results/{number}.json" for number in (0, 1, 3, 4)]

    def test_names_are_those_with_the_prefix_in_order(self, store: Store) -> None:
        for name in ("b", "a/2", "a/10", "a/1/x", "ab", "a.json", ".hidden"):
            store.put(name, b"", expected=None)
        assert store.names("a/") == ["a/1/x", "a/10", "a/2"]
        assert store.names("a") == sorted(["a.json", "a/1/x", "a/10", "a/2", "ab"])
        assert store.names("a/1") == ["a/1/x", "a/10"]
        assert store.names("") == sorted(["b", "a/2", "a/10", "a/1/x", "ab", "a.json", ".hidden"])
        assert store.names("c") == []

    def test_deleting_what_is_missing_changes_nothing(self, store: Store) -> None:
        store.put("kept", b"", expected=None)
        store.delete("gone")
        store.delete("no/such/folder")
        assert store.names("") == ["kept"]

    def test_what_was_deleted_can_be_created_again(self, store: Store) -> None:
        store.put("a", b"1", expected=None)
        store.delete("a")
        assert store.get("a") is None
        store.put("a", b"2", expected=None)
        assert stored_bytes(store, "a") == b"2"

    def test_a_large_object_comes_back_whole(self, store: Store) -> None:
        data = os.urandom(20 * MEBIBYTE)
        store.put("large", data, expected=None)
        assert stored_bytes(store, "large") == data

    @pytest.mark.parametrize("name", ["../x", "a/../../x", "/etc/x", "a//b", "", "a/", ".", "a\0b", "a\nb"])
    def test_names_that_leave_the_store_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidSpec, match="object name"):
            store.put(name, b"", expected=None)
        with pytest.raises(InvalidSpec, match="object name"):
            store.get(name)
        with pytest.raises(InvalidSpec, match="object name"):
            store.delete(name)

    def test_a_prefix_that_leaves_the_store_is_refused(self, store: Store) -> None:
        with pytest.raises(InvalidSpec, match="object name"):
            store.names("../")


def stored_bytes(store: Store, name: str) -> bytes:
    found = store.get(name)
    assert found
    return found.data


def race(write, racers: int = 8) -> list[int]:
    """The racers that did not get Conflict."""

    def attempt(racer: int) -> bool:
        try:
            write(racer)
        except Conflict:
            return False
        return True

    with ThreadPoolExecutor(racers) as pool:
        outcomes = list(pool.map(attempt, range(racers)))
    return [racer for racer, won in enumerate(outcomes) if won]


class TestMemoryStore(StoreContract):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore()


class TestFileStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FileStore:
        return FileStore(tmp_path / "store")

    @pytest.mark.parametrize("name", ["head.lock", ".head.tmp", "a/b.tmp"])
    def test_names_of_its_own_files_are_refused(self, store: FileStore, name: str) -> None:
        with pytest.raises(InvalidSpec, match="object name"):
            store.put(name, b"", expected=None)


class TestS3Store(StoreContract):
    @pytest.fixture
    def store(self, bucket_url: str) -> Store:
        return open_store(bucket_url)


def python(script: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def said(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout
    return process.stdout.readline()


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


CREATOR = """
import sys
from rcas.errors import Conflict
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store
store, me = FileStore(sys.argv[1]), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
for number in range(50):
    try:
        store.put(f"race/{number}", me.encode(), expected=None)
        print(number, flush=True)
    except Conflict:
        pass
"""


def test_of_racing_processes_one_creates_each_object(tmp_path: Path) -> None:
    racers = [python(CREATOR, tmp_path, me) for me in range(3)]
    assert [said(racer) for racer in racers] == [b"ready\n"] * 3
    won = {me: racer.communicate(b"go\n")[0].split() for me, racer in enumerate(racers)}
    assert sorted(map(int, itertools.chain(*won.values()))) == list(range(50))
    store = FileStore(tmp_path)
    for me, numbers in won.items():
        assert all(stored_bytes(store, f"race/{int(number)}") == b"%d" % me for number in numbers)


WRITER = """
import sys
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store
store = FileStore(sys.argv[1])
found = store.get("head")
version = found and found.version
for number in range(1_000_000):
    version = store.put("head", b"%d" % (number % 10) * 4_000_000, expected=version)
    print(number, flush=True)
"""


def test_kill_9_while_writing_leaves_an_object_whole(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    for kill in range(5):
        writer = python(WRITER, tmp_path)
        for _ in range(kill % 4 + 1):
            assert said(writer)
        end(writer)
        data = stored_bytes(store, "head")
        assert len(data) == 4_000_000
        assert len(set(data)) == 1
        assert store.names("") == ["head"]
    version = store.get("head").version  # type: ignore[union-attr]
    store.put("head", b"goes on", expected=version)
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".tmp")] == []


def put_and_die(store: FileStore, data: bytes, line: int) -> bool:
    """Replace the head in a process that kills itself before the given line of Python; False if it had fewer."""
    child = os.fork()
    if child == 0:
        left = line

        def count_down(*_event: object) -> Any:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return count_down

        found = store.get("head")
        sys.settrace(count_down)
        store.put("head", data, expected=found and found.version)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def test_kill_9_at_any_line_of_a_write_leaves_the_old_or_the_new_object(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    old, new = b"old" * 100_000, b"new" * 100_000
    store.put("head", old, expected=None)
    found = list[bytes]()
    while put_and_die(store, new, line=len(found) + 1):
        found.append(stored_bytes(store, "head"))
        assert found[-1] in {old, new}
        assert store.names("") == ["head"]
        if found[-1] == new:
            store.put("head", old, expected=store.get("head").version)  # type: ignore[union-attr]
    assert found.count(old) > 20
    assert found.count(new) > 2
    assert stored_bytes(store, "head") == new
    assert not list(tmp_path.glob(".*.tmp"))


HOLDER = """
import sys
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store
with FileStore(sys.argv[1]).alone("searches/a/controller"):
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_alone_refuses_a_second_process_until_the_first_dies(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    holder = python(HOLDER, tmp_path)
    try:
        assert said(holder) == b"held\n"
        with pytest.raises(Fenced, match=r"another process works on .*searches/a/controller"):
            enter_and_leave(store, "searches/a/controller")
        enter_and_leave(store, "searches/b/controller")
    finally:
        end(holder)
    enter_and_leave(store, "searches/a/controller")


def test_alone_passes_on_what_is_raised_inside(tmp_path: Path) -> None:
    with pytest.raises(BlockingIOError, match="from inside"), FileStore(tmp_path).alone("a"):
        raise BlockingIOError("from inside")
    enter_and_leave(FileStore(tmp_path), "a")


def enter_and_leave(store: FileStore, name: str) -> None:
    with store.alone(name):
        pass


def test_a_folder_that_cannot_be_made_is_invalid(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for root in (tmp_path / "file", tmp_path / "file" / "store", Path("/proc/rcas-store"), "~nobody-here/x"):
        with pytest.raises(InvalidSpec, match=r"store: got .*allowed: a folder \(") as caught:
            FileStore(root)
        assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_not_made_by_a_reader(tmp_path: Path) -> None:
    with pytest.raises(InvalidSpec, match="a folder that a search was run in"):
        FileStore(tmp_path / "missing", create=False)
    assert not (tmp_path / "missing").exists()


def test_what_the_system_refuses_is_unavailable(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    (tmp_path / "searches").write_text("a file where a folder belongs")
    for refused in (
        lambda: store.put("searches/a", b"", expected=None),
        lambda: store.get("searches/a"),
        lambda: enter_and_leave(store, "searches/a/controller"),
        lambda: store.put("x" * 300, b"", expected=None),
    ):
        with pytest.raises(Unavailable, match="cannot ") as caught:
            refused()
        assert "\n" not in str(caught.value)


def test_objects_can_be_read_by_others(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        FileStore(tmp_path).put("head", b"", expected=None)
    finally:
        os.umask(before)
    assert (tmp_path / "head").stat().st_mode & 0o777 == 0o644
