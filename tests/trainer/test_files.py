import threading
from pathlib import Path

import pytest

from rcas_trainer.errors import Interrupted
from rcas_trainer.files import create_file, exclusive, remove, replace_file


def test_a_replaced_file_is_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "state"
    for content in (b"one", b"two"):
        replace_file(path, content)
        assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_a_created_file_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "result"
    create_file(path, b"first")
    with pytest.raises(FileExistsError):
        create_file(path, b"second")
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


def test_removing_takes_what_killed_writers_left(tmp_path: Path) -> None:
    path, other = tmp_path / "a.pt", tmp_path / ".b.pt.x.tmp"
    for leftover in (path, tmp_path / ".a.pt.x.tmp", other):
        leftover.touch()
    remove(path)
    remove(path)
    assert list(tmp_path.iterdir()) == [other]


def test_a_lock_is_held_by_one_and_leaves_no_file(tmp_path: Path) -> None:
    path, inside, most = tmp_path / "lock", 0, 0

    def enter() -> None:
        nonlocal inside, most
        for _ in range(5):
            with exclusive(path):
                inside += 1
                most = max(most, inside)
                inside -= 1

    threads = [threading.Thread(target=enter) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert most == 1
    assert not path.exists()


def test_who_waits_for_a_lock_can_be_stopped(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock"), pytest.raises(Interrupted), exclusive(tmp_path / "lock", stop=lambda: True):
        pass
