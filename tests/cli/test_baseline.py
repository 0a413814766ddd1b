"""`rcasctl baseline` and `rcasctl compare` with real trainings on digits."""

from __future__ import annotations

import csv
import io
import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import RCASCTL, Finished, environment, rcasctl, refused
from rcas.state import read_baselines
from rcas.stores.file import FileStore

OUTSIDE = ("seconds", "images_per_second", "resumed", "worker_seconds", "launched")
"""What depends on the machine's speed and on interruptions."""


def said(*arguments: object, cwd: Path) -> str:
    done = rcasctl(*arguments, cwd=cwd)
    assert done.returncode == 0, done
    return done.stdout


@pytest.fixture(scope="module")
def compared(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with the search and all its baselines, and what the command said."""
    folder = finished.copy(tmp_path_factory.mktemp("baselines"))
    return folder, said("baseline", "tiny", "--seeds", "2", cwd=folder)


def test_every_method_has_a_record_and_a_line(compared):
    folder, output = compared
    records = read_baselines(FileStore(folder / "rcas-store"), "tiny")
    assert [(record.method, record.seed) for record in records] == [
        ("random", 0),
        ("random", 1),
        ("evolution", 0),
        ("evolution", 1),
        ("greedy", 0),
        ("mobilenetv2", 0),
    ]
    for record in records:
        assert any(record.method in line and str(record.answer) in line for line in output.splitlines())
    assert "(known already)" in output, "the search's own trainings"
    assert "rcasctl compare tiny tiny:all --replicates 5 --store rcas-store" in output


def test_asked_again_it_trains_nothing(compared):
    folder, output = compared
    again = said("baseline", "tiny", "--seeds", "2", cwd=folder)
    assert again.splitlines() == output.splitlines()[-len(again.splitlines()) :]
    fields = json.loads(said("baseline", "tiny", "--method", "greedy", "--json", cwd=folder).splitlines()[-1])
    (record,) = fields["records"]
    assert (record["method"], record["trained"] + record["reused"]) == ("greedy", record["asked"])


def test_killed_by_9_it_goes_on_to_the_same_record(compared, finished, tmp_path):
    folder = finished.copy(tmp_path / "killed")
    # Without the search's results there is something to train.
    shutil.rmtree(folder / "rcas-store/results")
    command = [str(RCASCTL), "baseline", "tiny", "--method", "evolution"]
    results = folder / "rcas-store/results"
    for least in (0, 1, 3):
        running = subprocess.Popen(command, cwd=folder, env=environment(), stdout=subprocess.DEVNULL)
        while running.poll() is None and len(list(results.glob("*.json"))) <= least:
            time.sleep(0.02)
        running.kill()
        assert running.wait() == -9, "it ended before it was killed"
    assert read_baselines(FileStore(folder / "rcas-store"), "tiny") == []
    said(*command[1:], cwd=folder)
    (killed,) = read_baselines(FileStore(folder / "rcas-store"), "tiny")
    undisturbed = read_baselines(FileStore(compared[0] / "rcas-store"), "tiny")[2]
    assert without(killed.model_dump()) == without(undisturbed.model_dump())
    assert killed.trained == len(killed.results), "what was trained before the kills is its own too"


def without(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in OUTSIDE}


def test_compare_ranks_only_when_every_answer_has_other_seeds(compared):
    folder, _ = compared
    output = said("compare", "tiny", "tiny:greedy", cwd=folder)
    assert "Not ranked. tiny, tiny:greedy: not measured from other seeds." in output
    found = json.loads(said("compare", "tiny", "tiny:random", "--replicates", "2", "--json", cwd=folder))
    assert found["ranked"]
    assert {row["name"] for row in found["rows"]} == {"tiny", "tiny:random-0", "tiny:random-1"}
    for row in found["rows"]:
        assert row["others_seeds"] == 2
        assert row["params"] <= row["budget_params"]
    assert [group["name"] for group in found["groups"]] == ["tiny:random"]
    stored = json.loads(said("compare", "tiny", "tiny:random", "--json", cwd=folder))
    assert stored == found, "what is in the store need not be trained again"


def test_compare_writes_tables_for_papers_and_for_programs(compared):
    folder, _ = compared
    names = ["tiny", "tiny:all", "--network", "1,5 / 5"]
    rows = list(csv.DictReader(io.StringIO(said("compare", *names, "--format", "csv", cwd=folder))))
    assert [row["name"] for row in rows][-1] == "1,5 / 5"
    assert len(rows) == 8
    assert rows[-1]["measured"] == ""
    lines = said("compare", *names, "--format", "md", cwd=folder).splitlines()
    assert lines[0].startswith("| answer | chosen by | from other seeds |")
    assert len([line for line in lines if line.startswith("|")]) == 10


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["baseline", "other"], "search: got 'other', allowed: a search in rcas-store: tiny"),
        (
            ["baseline", "tiny", "--store", "s3://bucket/x"],
            "store: got 's3://bucket/x', allowed: a folder, which the processes of this machine can lock",
        ),
        (
            ["compare", "tiny:brute"],
            "baseline: got 'tiny:brute', allowed: random, evolution, greedy, mobilenetv2 or all",
        ),
        (
            ["compare", "tiny:greedy"],
            "baseline: got 'tiny:greedy', allowed: a baseline that has ended; first: rcasctl baseline tiny",
        ),
        (["compare", "tiny", "--network", "5"], "network: got '5', allowed: 2 stages such as 5,1 / 5,1"),
    ],
)
def test_bad_input_is_one_line(finished, arguments, line):
    assert refused(*arguments, cwd=finished.folder) == line


def test_a_search_that_has_not_ended_needs_a_number_of_trainings(finished, tmp_path):
    folder = finished.copy(tmp_path)
    head = folder / "rcas-store/searches/tiny/state.json"
    head.write_text(head.read_text().replace('"phase":"Complete"', '"phase":"Paused"'))
    line = refused("baseline", "tiny", cwd=folder)
    assert line == "search: got 'tiny, which is Paused', allowed: a search that is complete; or say --trainings"
    assert not (folder / "rcas-store/searches/tiny/baselines").exists()
