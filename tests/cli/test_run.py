"""`rcasctl run` and the commands that look at what it leaves: one real search on scikit-learn's digits."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import SPEC, Finished, environment, rcasctl, refused


def as_json(*arguments: object, cwd: Path) -> Any:
    done = rcasctl(*arguments, "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def result_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "rcas-store" / "results").iterdir()}


def test_run_says_what_it_measured_and_what_it_took(finished: Finished) -> None:
    result = as_json("result", "tiny", cwd=finished.folder)
    assert result["done"]
    lines = finished.output.splitlines()
    assert len(result_files(finished.folder)) == result["evaluations"]
    assert sum("evaluations done" in line for line in lines) >= 1
    for rule, found in result["rules"].items():
        accepted = [line for line in lines if f"] {rule} + type" in line]
        assert len(accepted) == len(found["path"]) - 1 > 0
    assert f"best network  {result['best']['network']}" in finished.output
    assert "\x1b" not in finished.output


def test_run_again_trains_nothing_and_prints_the_same_result(finished: Finished, tmp_path: Path) -> None:
    folder = finished.copy(tmp_path)
    before = result_files(folder)
    done = rcasctl("run", "tiny.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert finished.output.endswith(done.stdout)
    assert done.stdout.startswith("\nSearch tiny: done")
    assert result_files(folder) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ["--budget-params", "10k"],
        ["--budget-params", "10_000"],
        ["--budget-params", "10000"],
        ["--budget-params", "0.01M", "--budget-madds", "0.3M"],
        ["--parallelism", "2"],
    ],
)
def test_what_does_not_change_the_search_goes_on_with_it(
    finished: Finished, tmp_path: Path, arguments: list[str]
) -> None:
    done = rcasctl("run", "tiny.yaml", *arguments, cwd=finished.copy(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")
    assert finished.output.endswith(done.stdout)


@pytest.mark.parametrize(
    "budget", ["", "0", "-3", "3.4", "3.4Q", "many", "1e6", "3,400", "nan", "9999999999999999", "500"]
)
def test_a_budget_that_is_none_is_refused(folder: Path, budget: str) -> None:
    for name in ("params", "madds"):
        line = refused("run", "tiny.yaml", f"--budget-{name}", budget, cwd=folder)
        assert line.startswith(f"budget.{name}: got ")
    assert not (folder / "rcas-store").exists()


def test_a_budget_below_the_start_network_says_what_that_needs(folder: Path) -> None:
    start = as_json("cost", "--spec", "tiny.yaml", "1 / 1", cwd=folder)
    line = refused("run", "tiny.yaml", "--budget-params", "500", cwd=folder)
    assert f"at least {start['params']:,}, what the start network 1 / 1 needs" in line
    assert f"({start['params']:,} params, {start['madds']:,} MAdds)" in line


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ("params: 10k", "params: 11k", "budget"),
        ("epochs: 2", "epochs: 3", "training"),
        ("rules: [UC, APR]", "rules: [UC]", "rules"),
        ("validation_per_class: 20", "validation_per_class: 30", "data"),
        ("block_types: [1, 5]", "block_types: [1]", "space"),
        ("threads: 1", "max_blocks: 1", "max_blocks"),
        ("threads: 1", "threads: 1\nreplicates: 2", "replicates"),
        ("threads: 1", "threads: 1\nconfirm: {}", "confirm"),
    ],
)
def test_another_search_under_the_same_name_is_refused(
    finished: Finished, tmp_path: Path, old: str, new: str, field: str
) -> None:
    folder = finished.copy(tmp_path)
    (folder / "tiny.yaml").write_text(SPEC.replace(old, new))
    state = (folder / "rcas-store/searches/tiny/state.json").read_bytes()
    line = refused("run", "tiny.yaml", cwd=folder)
    assert line.startswith(f"{field}: got ")
    assert "give a changed search another name" in line
    assert (
        json.loads(state)["state"]
        == json.loads((folder / "rcas-store/searches/tiny/state.json").read_bytes())["state"]
    )


def test_run_as_json_is_json_on_every_line_and_uses_what_the_store_has(finished: Finished, tmp_path: Path) -> None:
    """Another search with the same protocol in the same store: nothing is trained twice."""
    folder = finished.copy(tmp_path)
    (folder / "other.yaml").write_text(SPEC.replace("name: tiny", "name: other"))
    before = result_files(folder)
    done = rcasctl("run", "other.yaml", "--json", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    events = [line for line in lines if "event" in line]
    assert lines[:-1] == events
    evaluations = [event for event in events if event["event"] == "evaluation"]
    assert evaluations
    assert all(event["reused"] for event in evaluations)
    assert result_files(folder) == before
    accepted = [(event["rule"], event["network"]) for event in events if event["event"] == "accepted"]
    rules = lines[-1]["rules"]
    assert sorted(accepted) == sorted((rule, point["network"]) for rule in rules for point in rules[rule]["path"][1:])
    assert lines[-1] == as_json("result", "other", cwd=folder)
    assert rules == as_json("result", "tiny", cwd=folder)["rules"]
    assert [row["search"] for row in as_json("list", cwd=folder)] == ["other", "tiny"]


def test_status_says_how_far_a_search_is(finished: Finished) -> None:
    found = as_json("status", "tiny", cwd=finished.folder)
    result = as_json("result", "tiny", cwd=finished.folder)
    assert (found["search"], found["phase"], found["message"], found["attempts"]) == ("tiny", "Complete", "", {})
    assert found["counters"]["trained"] == found["evaluations"] == result["evaluations"]
    assert found["best"] == result["best"]
    text = rcasctl("status", "tiny", cwd=finished.folder).stdout
    assert text.startswith("tiny: Complete, began ")
    for rule, found_by_rule in result["rules"].items():
        assert f"{rule} " in text
        assert found_by_rule["path"][-1]["network"] in text


def test_the_message_of_a_failed_search_is_shown_as_it_is(finished: Finished, tmp_path: Path) -> None:
    folder = finished.copy(tmp_path)
    state = folder / "rcas-store/searches/tiny/state.json"
    head = json.loads(state.read_bytes())
    head["state"] |= {"phase": "Failed", "message": "no file [/tmp/x] in [bold]"}
    state.write_text(json.dumps(head))
    text = rcasctl("status", "tiny", cwd=folder).stdout
    assert text.startswith("tiny: Failed: no file [/tmp/x] in [bold], began ")


def test_list_names_the_searches(finished: Finished) -> None:
    assert as_json("list", cwd=finished.folder) == [as_json("status", "tiny", cwd=finished.folder)]
    assert "tiny" in rcasctl("list", cwd=finished.folder).stdout


def test_result_prints_the_best_network_with_its_cost(finished: Finished) -> None:
    result = as_json("result", "tiny", cwd=finished.folder)
    best = result["best"]
    ends = [rule["path"][-1] for rule in result["rules"].values()]
    assert max(end["accuracy"] for end in ends) == best["accuracy"]
    cost = as_json("cost", "--spec", "tiny.yaml", best["network"], cwd=finished.folder)
    assert (best["params"], best["madds"]) == (cost["params"], cost["madds"])
    assert best["params"] <= 10_000
    assert best["madds"] <= 300_000
    text = rcasctl("result", "tiny", cwd=finished.folder).stdout
    assert finished.output.endswith(text)


def test_explain_starts_with_the_block_that_was_accepted(finished: Finished) -> None:
    explained = as_json("explain", "tiny", cwd=finished.folder)
    result = as_json("result", "tiny", cwd=finished.folder)
    assert list(explained) == ["UC", "APR"]
    for rule, decisions in explained.items():
        path = result["rules"][rule]["path"]
        assert [decision["network"] for decision in decisions] == [point["network"] for point in path[1:]]
        for number, (decision, before, after) in enumerate(zip(decisions, path, path[1:], strict=False), start=1):
            winner = decision["candidates"][0]
            assert decision["block"] == number
            assert (winner["position"], winner["block"]) == (after["position"], after["block"])
            assert winner["network"] == decision["network"]
            assert winner["fresh"]
            assert winner["gain"] == pytest.approx(after["accuracy"] - before["accuracy"])
            assert winner["params"] == after["params"] - before["params"]


def test_explain_shows_which_candidates_were_measured_again(finished: Finished) -> None:
    for first, *later in as_json("explain", "tiny", cwd=finished.folder).values():
        assert all(candidate["fresh"] and candidate["stale_gain"] is None for candidate in first["candidates"])
        assert later
        for decision in later:
            again = [c for c in decision["candidates"] if c["stale_gain"] is not None]
            assert decision["candidates"][0] in again
            assert all(candidate["fresh"] for candidate in again)


def test_explain_for_people_has_every_block_and_can_be_narrowed(finished: Finished) -> None:
    text = rcasctl("explain", "tiny", cwd=finished.folder).stdout
    for rule in ("UC", "APR"):
        assert f"{rule}, block 1: type " in text
    one = rcasctl("explain", "tiny", "--rule", "APR", "--block", "2", cwd=finished.folder).stdout
    assert one.count(", block ") == 1
    assert "APR, block 2: type " in one
    assert "No such block" in rcasctl("explain", "tiny", "--block", "99", cwd=finished.folder).stdout
    line = refused("explain", "tiny", "--rule", "JOINT", cwd=finished.folder)
    assert line == "--rule: got 'JOINT', allowed: a rule of this search: UC, APR"


@pytest.mark.parametrize("command", ["status", "result", "explain"])
def test_a_search_that_is_not_there_is_one_line(finished: Finished, tmp_path: Path, command: str) -> None:
    line = refused(command, "other", cwd=finished.folder)
    assert line.startswith("search: got 'other', allowed: a search in ")
    assert line.endswith(": tiny")
    assert refused(command, "../tiny", cwd=finished.folder).startswith("object name: got 'searches/../tiny")
    line = refused(command, "tiny", cwd=tmp_path)
    assert line.startswith("store: got 'rcas-store', allowed: a folder that a search was run in; for a cluster ")
    assert list(tmp_path.iterdir()) == []


def test_the_store_can_come_from_the_environment(finished: Finished, tmp_path: Path) -> None:
    done = rcasctl("status", "tiny", cwd=tmp_path, RCAS_STORE=str(finished.folder / "rcas-store"))
    assert done.stdout.startswith("tiny: Complete")


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff\xfe", b'{"format": 1'])
def test_a_corrupt_state_is_one_line_that_names_it(finished: Finished, tmp_path: Path, data: bytes) -> None:
    folder = finished.copy(tmp_path)
    state = folder / "rcas-store/searches/tiny/state.json"
    state.write_bytes(data)
    for command in (["status", "tiny"], ["result", "tiny"], ["explain", "tiny"], ["list"], ["run", "tiny.yaml"]):
        line = refused(*command, cwd=folder, code=1)
        assert line.startswith("searches/tiny/state.json is not a search: ")
    assert state.read_bytes() == data


def test_a_state_that_contradicts_itself_is_one_line(finished: Finished, tmp_path: Path) -> None:
    folder = finished.copy(tmp_path)
    state = folder / "rcas-store/searches/tiny/state.json"
    head = json.loads(state.read_bytes())
    head["state"]["search"]["results"] = {}
    state.write_text(json.dumps(head))
    for command in (["status", "tiny"], ["run", "tiny.yaml"]):
        assert refused(*command, cwd=folder, code=1)


def test_a_corrupt_result_is_one_line_that_names_it(finished: Finished, tmp_path: Path) -> None:
    folder = finished.copy(tmp_path)
    (folder / "tiny.yaml").write_text(SPEC.replace("name: tiny", "name: other"))
    start = next(
        path
        for path in (folder / "rcas-store/results").iterdir()
        if json.loads(path.read_bytes())["network"] == "1 / 1"
    )
    start.write_text('{"format": 1}')
    line = refused("run", "tiny.yaml", "--json", cwd=folder, code=1)
    assert line.startswith(f"results/{start.name} is not a result: ")
    assert start.read_text() == '{"format": 1}'


def test_data_that_is_not_there_is_one_line(folder: Path) -> None:
    (folder / "tiny.yaml").write_text(SPEC.replace("dataset: digits", "dataset: mnist, path: nowhere"))
    line = refused("run", "tiny.yaml", cwd=folder)
    assert line.startswith("data.path: got 'nowhere', allowed: an existing folder")
    assert not (folder / "rcas-store/searches/tiny/state.json").exists()


def test_a_store_that_cannot_be_made_is_one_line(folder: Path) -> None:
    line = refused("run", "tiny.yaml", "--store", "tiny.yaml", cwd=folder)
    assert line.startswith("store: got 'tiny.yaml', allowed: a folder (")


def test_without_torch_it_says_what_to_install(folder: Path) -> None:
    (folder / "torch").mkdir()
    (folder / "torch/__init__.py").write_text('raise ModuleNotFoundError("No module named \'torch\'", name="torch")')
    path = ":".join(filter(None, [str(folder), environment().get("PYTHONPATH")]))
    line = refused("run", "tiny.yaml", cwd=folder, PYTHONPATH=path)
    assert line == "torch is not installed; install the trainer with: pip install 'rcas[trainer]'"
    assert rcasctl("validate", "tiny.yaml", cwd=folder, PYTHONPATH=path).returncode == 0
