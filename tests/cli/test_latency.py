"""A latency on the command line: measured, put into a spec, searched under, and said wherever a cost is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import SPEC, rcasctl, refused
from controller.harness import a_protocol
from rcas.cli.options import read_spec
from rcas.cli.submit import with_flags
from rcas.controller.step import new_state
from rcas.latency import LatencyTable, latency_of_network, parts_of
from rcas.resource import resource_of
from rcas.search import Search
from rcas.spec import SearchSpec, build_spec, parse_spec
from rcas.state import Ledger
from rcas.stores.file import FileStore

SPACE = parse_spec(SPEC).space.build()
TABLE = LatencyTable.of(dict.fromkeys(parts_of(SPACE), 100_000), machine="a phone", batch=4)
TIMED = SPEC.replace("madds: 300k}", "latency: 0.6 ms}\nlatency: {table: times.json}")


@pytest.fixture
def timed(tmp_path: Path) -> Path:
    """A folder with `timed.yaml`, under a budget that two more blocks fit, and the table that it names."""
    (tmp_path / "timed.yaml").write_text(TIMED)
    (tmp_path / "times.json").write_text(TABLE.model_dump_json())
    return tmp_path


def decided(folder: Path) -> SearchSpec:
    """Put the finished search of `timed.yaml` into a store beside it: more blocks are always better."""
    spec = read_spec(folder / "timed.yaml")
    state = new_state(spec, a_protocol(spec), 1.7e9)
    search = Search.from_snapshot(state.search)
    while not search.done:
        for evaluation in search.ask(4):
            search.tell(evaluation.key, correct=500 + 10 * evaluation.network.block_count, total=1000)
    done = state.model_copy(update={"search": search.snapshot(), "phase": "Complete"})
    Ledger(FileStore(folder / "rcas-store"), "tiny", "test").create(done)
    return spec


def test_a_table_is_measured_checked_and_searched_under(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    done = rcasctl("latency", "table", "--space", "tiny.yaml", "-o", "times.json", "--runs", "3", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Wrote times.json: 7 parts, the start network takes ")
    table = LatencyTable.model_validate_json((tmp_path / "times.json").read_bytes())
    assert tuple(table.ns) == parts_of(SPACE)
    assert (table.threads, table.batch, table.runs, table.activation) == (1, 1, 3, "relu6")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["times.json", "tiny.yaml"]
    networks = ("--network", "1 / 1", "--network", "1,5 / 1,5")
    check = ("latency", "check", "--space", "tiny.yaml", "--table", "times.json", "--runs", "3", *networks, "--json")
    rows = json.loads(rcasctl(*check, cwd=tmp_path).stdout)
    assert [row["network"] for row in rows] == ["1 / 1", "1,5 / 1,5"]
    assert [row["given_ns"] for row in rows] == [
        latency_of_network(table, SPACE, SPACE.network(row["network"])) for row in rows
    ]
    assert all(0 < row["fastest_whole_ns"] <= row["whole_ns"] and row["sum_ns"] > 0 for row in rows)
    limit = ("--budget-latency", f"{latency_of_network(table, SPACE, SPACE.start) / 1e6:.6f} ms")
    run = rcasctl("run", "tiny.yaml", *limit, "--latency-table", "times.json", "--json", cwd=tmp_path)
    result = json.loads(run.stdout.splitlines()[-1])
    assert (result["best"]["network"], result["evaluations"]) == ("1 / 1", 1)
    assert result["best"]["latency_ns"] == latency_of_network(table, SPACE, SPACE.start)


def test_the_commands_that_look_say_the_latency(timed: Path) -> None:
    decided(timed)
    used = "600 us (100% of 600 us)"
    status, result = (rcasctl(name, "tiny", cwd=timed).stdout for name in ("status", "result"))
    assert used in status
    assert used in result
    assert "600 us" in rcasctl("list", cwd=timed).stdout
    assert "latency" in rcasctl("list", cwd=timed).stdout.splitlines()[0]
    compared = rcasctl("compare", "tiny", "--network", "1 / 1", "--format", "md", cwd=timed).stdout.splitlines()
    assert "| params | MAdds | latency | budget used |" in compared[0]
    assert "| 600 us | 22% / 100% |" in compared[2]
    assert " / 67% |" in compared[3]
    assert "+0.100 ms" in rcasctl("explain", "tiny", cwd=timed).stdout
    row = json.loads(rcasctl("status", "tiny", "--json", cwd=timed).stdout)
    explained = json.loads(rcasctl("explain", "tiny", "--json", cwd=timed).stdout)
    assert row["best"]["latency_ns"] == 600_000
    assert explained["UC"][0]["candidates"][0]["latency_ns"] == 100_000


def test_validate_and_cost_say_the_latency(timed: Path) -> None:
    said = rcasctl("validate", "timed.yaml", cwd=timed).stdout
    assert "400 us" in said
    assert "budget  600 us of latency, of which the start uses 67%" in said
    cost = rcasctl("cost", "1,5 / 1", "--spec", "timed.yaml", cwd=timed).stdout
    assert "latency 500,000 ns  (500 us by the table: 1 thread, 4 images, a phone)" in cost
    given = ("--spec", "timed.yaml", "--latency-table", "times.json")
    assert json.loads(rcasctl("cost", "1 / 1", *given, "--json", cwd=timed).stdout)["latency_ns"] == 400_000


def test_submit_puts_the_table_itself_into_the_resource(timed: Path) -> None:
    flags = {"budget_latency": "0.5ms", "latency_table": str(timed / "times.json")}
    spec = build_spec(with_flags({**parse_yaml(SPEC), "name": "a"}, flags))
    made = resource_of(spec, "lab")["spec"]
    assert made["budget"]["latency"] == 500_000
    assert LatencyTable.model_validate(made["latency"]["table"]) == TABLE
    assert resource_of(read_spec(timed / "timed.yaml"), "lab")["spec"]["latency"] == made["latency"]


def parse_yaml(text: str) -> dict[str, Any]:
    return parse_spec(text).model_dump(mode="json", exclude_unset=True)


def test_another_table_is_another_search(timed: Path) -> None:
    decided(timed)
    (timed / "times.json").write_text(TABLE.model_copy(update={"batch": 5}).model_dump_json())
    line = refused("run", "timed.yaml", cwd=timed)
    assert line.startswith("latency: got 'the table ")
    assert line.endswith("as when the search tiny began; give a changed search another name")
    assert len(line) < 250


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("latency: 0.6 ms", "latency: 0.6", "budget.latency: got '0.6', allowed: a time such as 12ms"),
        ("latency: 0.6 ms", "latency: 1us", "budget.latency: got '1000 ns', allowed: at least 400,000 ns"),
        ("latency: {table: times.json}", "", "budget.latency: got '600 us', allowed: a latency only together with"),
        ("{table: times.json}", "{}", "latency.table: got 'nothing', allowed: a value: the field is required"),
        ("times.json", "gone.json", "latency.table: got 'gone.json', allowed: a readable file"),
        ("times.json", "timed.yaml", "latency.table: got 'timed.yaml', allowed: what `rcasctl latency table` writes"),
        ("rules: [UC, APR]", "rules: [ALR, BLR]", "rules[1]: got 'BLR'"),
        ("positions: 2, start", "positions: 9, start", ""),
        (
            "block_types: [1, 5]",
            "block_types: [1, 6]",
            "latency.table: got 'no entry', allowed: an entry for a block ",
        ),
    ],
)
def test_a_mistake_is_one_line(timed: Path, old: str, new: str, expected: str) -> None:
    assert old in TIMED
    (timed / "timed.yaml").write_text(TIMED.replace(old, new))
    if expected:
        assert refused("validate", "timed.yaml", cwd=timed).startswith(expected)
    else:
        assert rcasctl("validate", "timed.yaml", cwd=timed).returncode == 0


def test_a_mistake_in_the_table_names_its_place(timed: Path) -> None:
    bad = TABLE.model_dump(mode="json")
    bad["blocks"][1]["ns"] = "soon"
    (timed / "times.json").write_text(json.dumps(bad))
    assert refused("validate", "timed.yaml", cwd=timed).startswith(
        "latency.table.blocks[1].ns: got 'soon', allowed: "
    )
    bad["blocks"][1]["ns"] = True
    (timed / "times.json").write_text(json.dumps(bad))
    assert refused("validate", "timed.yaml", cwd=timed).startswith("latency.table.blocks[1].ns: got 'True'")


@pytest.mark.parametrize("place", [".", "gone/times.json"])
def test_where_no_table_can_be_written_none_is_measured(timed: Path, place: str) -> None:
    line = refused("latency", "table", "--space", "timed.yaml", "-o", place, cwd=timed)
    assert line == f"output: got {place!r}, allowed: a file in a folder that is there"


def test_a_space_of_too_many_parts_is_not_measured(tmp_path: Path) -> None:
    stages = [{"channels": channels, "positions": 1} for channels in range(8, 88, 2)]
    space = {"skeleton": "custom", "classes": 4, "input": [1, 8, 8], "stages": stages, "block_types": [1, 2]}
    spec = {"space": space, "budget": {"params": "10M"}, "data": {"dataset": "digits"}}
    (tmp_path / "large.yaml").write_text(json.dumps(spec))
    line = refused("latency", "table", "--space", "large.yaml", "-o", "times.json", cwd=tmp_path)
    assert line == "space: got '1,611 parts to measure', allowed: at most 1,000"
