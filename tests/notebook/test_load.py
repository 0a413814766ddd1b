"""`rcas.load`: what a store holds of a search as tables and figures, checked against the search itself."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas
import pytest

import rcas
from controller.harness import ScriptedCluster, a_spec, open_controller, run_to_end
from rcas.controller.step import Controller
from rcas.errors import InvalidSpec
from rcas.notebook import LoadedSearch
from rcas.report.figures import FIGURES
from rcas.state import head_name, parse_head, result_name
from rcas.stores.base import Store
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store
from rcas.trace import trace

OF_A_CLUSTER = "research/{name}/0a1b2c3d-0000-4000-8000-000000000000"


def searched(store: Store, **changes: Any) -> Controller:
    """A whole search in `store`, with trainings on a guess."""
    controller = open_controller(store, ScriptedCluster(store, seed=3), a_spec(**changes), slots=3)
    run_to_end(controller)
    return controller


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    searched(FileStore(folder))
    return folder


@pytest.fixture
def loaded(folder: Path) -> LoadedSearch:
    return rcas.load(folder, "tiny")


def moved(store: Store, name: str) -> None:
    """The search `tiny` under another name too."""
    stored = store.get(head_name("tiny"))
    assert stored
    head = parse_head(stored.data, "tiny").model_copy(update={"name": name})
    store.put(head_name(name), head.model_dump_json().encode(), expected=None)


def test_the_path_is_that_of_the_search(loaded: LoadedSearch) -> None:
    points = [(rule, point) for rule, path in loaded.result.rules.items() for point in path.path]
    assert len(points) == len(loaded.path) > 8
    for row, (rule, point) in zip(loaded.path, points, strict=True):
        assert (row["rule"], row["network"], row["accuracy"]) == (rule, str(point.network), float(point.accuracy))
        assert (row["params"], row["madds"]) == (point.cost.params, point.cost.madds)
        element = point.element
        assert (row["position"], row["type"]) == ((element.position, element.block) if element else (None, None))
    before = {(row["rule"], row["block_number"]): row["accuracy"] for row in loaded.path}
    for row in loaded.path:
        number = row["block_number"]
        gain = row["accuracy"] - before[row["rule"], number - 1] if number else None
        assert row["gain"] == pytest.approx(gain)


def test_every_evaluation_is_a_row_with_what_its_result_says(folder: Path, loaded: LoadedSearch) -> None:
    rows = {row["network"]: row for row in loaded.evaluations}
    assert rows.keys() == loaded.head.state.search.results.keys()
    for network, counts in loaded.head.state.search.results.items():
        row = rows[network]
        assert (row["correct"], row["total"]) == counts
        assert row["accuracy"] == counts[0] / counts[1]
        assert (folder / result_name(row["key"])).exists()
        assert (row["replicate"], row["training"], row["resumed"], row["device"]) == (0, 1.0, 0, "scripted")
    assert sum(row["read"] for row in rows.values()) == loaded.result.demanded < len(rows)


def test_an_evaluation_whose_result_is_gone_keeps_what_the_state_knows(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    searched(store)
    gone, *_ = rcas.load(tmp_path).evaluations
    store.delete(result_name(gone["key"]))
    (row,) = [row for row in rcas.load(tmp_path).evaluations if row["key"] == gone["key"]]
    assert (row["accuracy"], row["params"]) == (gone["accuracy"], gone["params"])
    assert (row["training"], row["device"]) == (None, None)


def test_the_candidates_are_those_that_each_decision_weighed(loaded: LoadedSearch) -> None:
    search = loaded.search
    for state in search.states:
        decisions = list(trace(search.problem, state.rule, search.known))
        assert decisions
        for number, decision in enumerate(decisions, start=1):
            rows = [r for r in loaded.candidates if (r["rule"], r["block_number"]) == (state.rule, number)]
            assert [row["network"] for row in rows] == [str(one.candidate.network) for one in decision.weighed]
            assert [row["accepted"] for row in rows] == [True] + [False] * (len(rows) - 1)
            keys = [row["key"] for row in rows]
            assert keys == sorted(keys, reverse=True)
            assert [row["fresh"] for row in rows] == [one.fresh for one in decision.weighed]
    again = [row for row in loaded.candidates if row["stale"] is not None]
    assert again
    assert all(row["fresh"] and row["measured_at"] == row["block_number"] - 1 for row in again)


def test_every_table_is_a_data_frame_with_the_same_values(loaded: LoadedSearch) -> None:
    for name, table in loaded.tables.items():
        frame = loaded.tables.frame(name)
        assert list(frame.columns) == list(table.columns)
        assert len(frame) == len(table)
        for row, cells in zip(table, frame.to_dict("records"), strict=True):
            for column, value in row.items():
                assert pandas.isna(cells[column]) if value is None else cells[column] == value
    assert str(loaded.path.to_pandas()["position"].dtype) == "Int64"


def test_a_table_is_a_sequence_of_dicts(loaded: LoadedSearch) -> None:
    assert loaded.path[0]["block_number"] == 0
    assert [row["network"] for row in loaded.path[:2]] == loaded.path.column("network")[:2]
    assert "block_number" in repr(loaded.path)


def test_what_a_trainer_says_is_no_markup(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    searched(store)
    for name in store.names("results/"):
        stored = store.get(name)
        assert stored
        hostile = stored.data.replace(b'"device":"scripted"', b'"device":"<script>alert(1)</script>"')
        store.put(name, hostile, expected=stored.version)
    loaded = rcas.load(tmp_path)
    html = loaded.evaluations._repr_html_() + loaded._repr_html_()
    assert "&lt;script&gt;" in html
    assert "<script" not in html


def test_a_notebook_shows_the_answer_and_the_reports_figure(loaded: LoadedSearch) -> None:
    best = loaded.result.best
    assert best
    assert f"best {best.network}, " in repr(loaded)
    html = loaded._repr_html_()
    assert str(best.network) in html
    assert 'src="data:image/svg+xml;base64,' in html


def test_figures_show_what_the_tables_say(loaded: LoadedSearch) -> None:
    path = loaded.figure("path")
    drawn = {line.get_label(): line.get_xydata() for line in path.axes[0].get_lines()}
    for rule in loaded.result.rules:
        rows = [row for row in loaded.path if row["rule"] == rule]
        assert [tuple(point) for point in drawn[rule]] == [(row["params"], 100 * row["accuracy"]) for row in rows]
    assert drawn["budget"][0][0] == loaded.search.problem.budget.params
    gains = loaded.figure("gains")
    dots = {line.get_label(): len(line.get_xydata()) for line in gains.axes[0].get_lines()}
    again = loaded.tables["gains"].column("rule")
    assert {rule: dots[rule] for rule in set(again)} == {rule: again.count(rule) for rule in set(again)}
    assert len(loaded.figure("durations").axes[0].get_lines()[0].get_xydata()) == len(loaded.evaluations)


def test_each_figure_can_be_shown_and_saved(loaded: LoadedSearch, tmp_path: Path) -> None:
    for name in figure_names(loaded):
        figure: Any = loaded.figure(name)
        assert figure._repr_png_().startswith(b"\x89PNG")
        figure.savefig(tmp_path / f"{name}.pdf")


def test_the_figures_are_those_of_a_report(loaded: LoadedSearch) -> None:
    assert figure_names(loaded) == list(FIGURES)


def figure_names(loaded: LoadedSearch) -> list[str]:
    with pytest.raises(InvalidSpec) as refused:
        loaded.figure("nothing")
    return str(refused.value).partition("allowed: ")[2].split(", ")


def test_a_search_that_has_just_begun_has_tables_and_figures_too(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    open_controller(store, ScriptedCluster(store), a_spec())
    loaded = rcas.load(tmp_path)
    assert "nothing is decided yet" in repr(loaded)
    assert all(len(loaded.tables[name]) == 0 for name in ("path", "evaluations", "candidates"))
    assert loaded.tables.frame("evaluations").empty
    for name in figure_names(loaded):
        loaded.figure(name)


def test_the_search_is_found_by_its_name_alone_and_by_that_of_its_resource(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    searched(store)
    assert rcas.load(str(tmp_path)).name == "tiny"
    moved(store, OF_A_CLUSTER.format(name="other"))
    assert rcas.load(tmp_path, "tiny").name == "tiny"
    assert rcas.load(tmp_path, "other").name == OF_A_CLUSTER.format(name="other")
    for wanted in (None, "third"):
        with pytest.raises(InvalidSpec, match=r"search: .*: research/other/0a1b2c3d-.*, tiny"):
            rcas.load(tmp_path, wanted)
    with pytest.raises(InvalidSpec, match="store: "):
        rcas.load(tmp_path / "nowhere")


def test_over_s3_it_is_the_same(folder: Path, loaded: LoadedSearch, bucket_url: str) -> None:
    store = open_store(bucket_url)
    for path in folder.rglob("*.json"):
        store.put(path.relative_to(folder).as_posix(), path.read_bytes(), expected=None)
    there = rcas.load(bucket_url)
    for name in loaded.tables:
        assert list(there.tables[name]) == list(loaded.tables[name])


@pytest.mark.parametrize("missing", ["pandas", "matplotlib"])
def test_without_an_extra_library_one_line_says_what_to_install(
    loaded: LoadedSearch, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    for name in [name for name in sys.modules if re.match(rf"{missing}(\.|$)", name)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    assert len(loaded.path) > 0
    use = loaded.path.to_pandas if missing == "pandas" else loaded.figure
    with pytest.raises(InvalidSpec, match=rf"{missing}: got 'not installed', allowed: .*rcas\[notebook\]"):
        use()


def test_loading_imports_no_large_library(folder: Path) -> None:
    code = (
        "import sys, rcas\n"
        f"loaded = rcas.load({str(folder)!r})\n"
        "assert len(loaded.path) and len(loaded.evaluations) and loaded._repr_html_()\n"
        "print([name for name in ('pandas', 'matplotlib', 'numpy', 'torch', 'boto3') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
