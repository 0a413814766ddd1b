"""Commands that look, over S3; and the doctor."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from cli.conftest import Finished, rcasctl, refused
from rcas.stores.opening import open_store

IN_A_CLUSTER = "research/tiny/0a1b2c3d-0000-4000-8000-000000000000"


@pytest.fixture
def on_s3(finished: Finished, bucket_url: str) -> str:
    """A store with the finished search, and the same search as a cluster's controller names it."""
    store, folder = open_store(bucket_url), finished.folder / "rcas-store"
    for path in folder.rglob("*.json"):
        store.put(path.relative_to(folder).as_posix(), path.read_bytes(), expected=None)
    head = json.loads((folder / "searches/tiny/state.json").read_bytes())
    head["name"] = IN_A_CLUSTER
    store.put(f"searches/{IN_A_CLUSTER}/state.json", json.dumps(head).encode(), expected=None)
    store.put(f"searches/{IN_A_CLUSTER}/description.json", b"{}", expected=None)
    return bucket_url


def over_s3() -> dict[str, str]:
    return {"RCAS_S3_ADDRESSING_STYLE": os.environ["RCAS_S3_ADDRESSING_STYLE"]}


def said(*arguments: object, cwd: Path, **changes: str) -> str:
    done = rcasctl(*arguments, cwd=cwd, **changes)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def test_commands_that_look_say_the_same_over_s3(finished: Finished, on_s3: str) -> None:
    for command in (["status"], ["result"], ["explain", "--all"], ["status", "--json"], ["result", "--json"]):
        here = said(command[0], "tiny", *command[1:], cwd=finished.folder)
        for name in ("tiny", IN_A_CLUSTER):
            there = said(command[0], name, *command[1:], "--store", on_s3, cwd=finished.folder, **over_s3())
            assert there.replace(IN_A_CLUSTER, "tiny") == here


def test_list_shows_the_searches_of_every_namespace(on_s3: str, tmp_path: Path) -> None:
    rows = json.loads(said("list", "--json", cwd=tmp_path, RCAS_STORE=on_s3, **over_s3()))
    assert [row["search"] for row in rows] == [IN_A_CLUSTER, "tiny"]
    assert IN_A_CLUSTER in said("list", "--store", on_s3, cwd=tmp_path, **over_s3())
    assert list(tmp_path.iterdir()) == []


def test_a_search_that_is_not_on_s3_is_one_line(on_s3: str, tmp_path: Path) -> None:
    line = refused("status", "other", "--store", on_s3, cwd=tmp_path, **over_s3())
    assert line == f"search: got 'other', allowed: a search in {on_s3}: {IN_A_CLUSTER}, tiny"


def test_an_s3_that_does_not_answer_is_one_line(bucket_url: str, tmp_path: Path) -> None:
    line = refused("list", "--store", bucket_url, cwd=tmp_path, code=1, AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert line.startswith(f"cannot list {bucket_url}/searches/: Could not connect")


@pytest.mark.parametrize("command", [["run", "tiny.yaml"], ["run", "tiny.yaml", "--json"]])
def test_a_search_on_this_machine_needs_a_folder(folder: Path, command: list[str]) -> None:
    line = refused(*command, "--store", "s3://bucket/x", cwd=folder)
    assert line == "store: got 's3://bucket/x', allowed: a folder, which the processes of this machine can lock"
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]


def test_the_doctor_passes_a_folder_and_says_so_line_by_line(tmp_path: Path) -> None:
    lines = said("doctor", "--store", "store", "--racers", "4", "--rounds", "2", cwd=tmp_path).splitlines()
    assert len(lines) == 8
    assert all(line.startswith("ok      ") for line in lines[:-1])
    assert "of racing creates exactly one wins: 4 racers, 2 rounds" in lines[5]
    assert lines[-1] == "Every promise held."
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file() and path.name != "write.lock"]


def test_the_doctor_passes_s3_as_json(bucket_url: str, tmp_path: Path) -> None:
    few = ["--racers", "3", "--rounds", "1"]
    found = json.loads(said("doctor", "--store", bucket_url, *few, "--json", cwd=tmp_path, **over_s3()))
    assert (found["store"], found["held"]) == (bucket_url, True)
    assert [sorted(one) for one in found["findings"]] == [["detail", "held", "promise", "seconds"]] * 8
    assert open_store(bucket_url).names("") == []


def test_the_doctor_says_which_promise_is_broken_and_exits_with_1(bucket_url: str, tmp_path: Path) -> None:
    changes = {**over_s3(), "AWS_SECRET_ACCESS_KEY": "wrong"}
    done = rcasctl("doctor", "--store", bucket_url, cwd=tmp_path, **changes)
    assert (done.returncode, done.stderr) == (1, "")
    clock, access, verdict = done.stdout.splitlines()
    assert clock.startswith("ok      its clock agrees")
    assert access.startswith("BROKEN  objects can be written, read, listed and deleted: ")
    assert "403 SignatureDoesNotMatch" in access
    assert verdict == "Do not run a search here."
    done = rcasctl("doctor", "--store", bucket_url, "--json", cwd=tmp_path, **changes)
    assert done.returncode == 1
    assert json.loads(done.stdout)["held"] is False
