from pathlib import Path

import pytest

from rcas.cli.folders import filled_folder
from rcas.errors import InvalidSpec


def fill(folder: Path, *, replace: bool = False, **files: str) -> None:
    with filled_folder(folder, "output", replace=replace) as made:
        for name, text in files.items():
            (made / name).write_text(text)


def test_a_new_folder_appears_whole_and_others_can_read_it(tmp_path: Path) -> None:
    with filled_folder(tmp_path / "new", "output", replace=False) as made:
        (made / "a").write_text("1")
        assert not (tmp_path / "new").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
    assert (tmp_path / "new/a").read_text() == "1"
    (tmp_path / "usual").mkdir()
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_after_an_error_nothing_is_left(tmp_path: Path) -> None:
    def fail() -> None:
        with filled_folder(tmp_path / "new", "output", replace=False) as made:
            (made / "a").write_text("1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_files_is_only_touched_when_told_and_keeps_the_others(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    fill(tmp_path / "here", a="1", b="1")
    with pytest.raises(InvalidSpec, match=r"^output: got '.*here', allowed: a new or an empty folder; --force"):
        fill(tmp_path / "here", a="2")
    fill(tmp_path / "here", replace=True, a="2")
    assert {path.name: path.read_text() for path in (tmp_path / "here").iterdir()} == {"a": "2", "b": "1"}
    assert [path.name for path in tmp_path.iterdir()] == ["here"]


def test_a_place_that_cannot_be_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for bad in (tmp_path / "file", tmp_path / "no" / "parent"):
        with pytest.raises(InvalidSpec, match="a folder that can be written"):
            fill(bad, replace=True, a="1")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
