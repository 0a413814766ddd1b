"""`rcasctl report` over a search that was really run."""

from __future__ import annotations

import json
from pathlib import Path

from cli.conftest import Finished, rcasctl, refused


def test_it_writes_one_file_that_says_what_result_says(finished: Finished, tmp_path: Path) -> None:
    store = finished.folder / "rcas-store"
    done = rcasctl("report", "tiny", "--store", store, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "Wrote tiny.html\n")
    best = json.loads(rcasctl("result", "tiny", "--store", store, "--json", cwd=tmp_path).stdout)["best"]
    text = (tmp_path / "tiny.html").read_text()
    assert f"{best['accuracy']:.2%}" in text
    assert best["network"] in text
    told = json.loads(rcasctl("report", "tiny", "--store", store, "-o", "-", "--format", "json", cwd=tmp_path).stdout)
    times = [one["trained"] for one in told["evaluations"]]
    assert all(told["created"] - 1 < one["began"] < one["ended"] < told["made"] for one in times)
    assert all(one["ended"] - one["began"] >= one["training"] - 0.01 for one in times)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.html"]


def test_a_part_of_it_goes_where_it_is_asked_to(finished: Finished, tmp_path: Path) -> None:
    (tmp_path / "x.svg").write_text("old")
    (tmp_path / "x.svg").chmod(0o640)
    for arguments in (["-o", "x.svg", "--figure", "network"], ["-o", "x.csv", "--table", "rules"], ["-o", "x.md"]):
        done = rcasctl("report", "tiny", "--store", finished.folder / "rcas-store", *arguments, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "x.svg").read_text().startswith("<?xml")
    assert (tmp_path / "x.svg").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "x.csv").read_text().startswith("rule,blocks,")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["x.csv", "x.md", "x.svg"]


def test_what_cannot_be_written_is_one_line_and_leaves_nothing(finished: Finished, tmp_path: Path) -> None:
    ask = ("report", "tiny", "--store", finished.folder / "rcas-store")
    assert "no such file or directory" in refused(*ask, "-o", "missing/x.html", cwd=tmp_path)
    assert "ends in html, svg" in refused(*ask, "-o", "x.txt", cwd=tmp_path)
    assert "only with the format csv" in refused(*ask, "-o", "x.html", "--table", "path", cwd=tmp_path)
    assert "only with the formats svg and png" in refused(*ask, "-o", "x.csv", "--figure", "path", cwd=tmp_path)
    (tmp_path / "folder.html").mkdir()
    assert "--output" in refused(*ask, "-o", "folder.html", cwd=tmp_path)
    assert "a search in" in refused("report", "other", *ask[2:], cwd=tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.html"]
