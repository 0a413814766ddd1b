"""`rcasctl forecast`: what a search will cost, and what is left of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cli.conftest import SPEC, Finished, rcasctl, refused

LAB = SPEC.replace("parallelism: 1", "parallelism: 2\npod: {resources: {limits: {'nvidia.com/gpu': 2}}}")


def as_json(*arguments: object, cwd: Path) -> Any:
    done = rcasctl("forecast", *arguments, "--json", cwd=cwd)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_hours_are_trainings_times_seconds_times_gpus(folder: Path) -> None:
    (folder / "lab.yaml").write_text(LAB)
    found = as_json("-f", "lab.yaml", "--seconds", "90", "--startup", "10", "--parallelism", "1", cwd=folder)
    assert (found["unit"], found["places"], found["startup_s"]) == ("GPU", 2, 10)
    assert found["cases"]
    for case in found["cases"]:
        assert case["wall_s"] == pytest.approx(case["evaluations"] * 100)
        assert case["hours"] == pytest.approx(case["evaluations"] * 100 * 2 / 3600)


def test_it_is_near_what_the_search_really_took(finished: Finished) -> None:
    """The same search: its own results say how long its trainings take."""
    found = as_json("-f", "tiny.yaml", cwd=finished.folder)
    real = json.loads(rcasctl("status", "tiny", "--json", cwd=finished.folder).stdout)
    assert found["durations"]["source"].endswith("results of the search tiny in rcas-store")
    assert {case["parallelism"] for case in found["cases"]} == {1}
    for case in found["cases"]:
        assert case["evaluations"] == pytest.approx(real["evaluations"], rel=0.5)
        assert case["wall_s"] == pytest.approx(real["counters"]["busy_seconds"], rel=0.8)
    text = rcasctl("forecast", "-f", "tiny.yaml", cwd=finished.folder).stdout
    assert "CPU-hours" in text
    assert "its start not counted" in text


def test_another_training_is_not_measured_by_that_store(finished: Finished, folder: Path) -> None:
    (folder / "tiny.yaml").write_text(SPEC.replace("epochs: 2", "epochs: 3"))
    found = as_json("-f", "tiny.yaml", "--store", finished.folder / "rcas-store", cwd=folder)
    assert found["durations"] is None
    assert {(case["hours"], case["wall_s"]) for case in found["cases"]} == {(None, None)}
    text = rcasctl("forecast", "-f", "tiny.yaml", cwd=folder).stdout
    assert "How long a training takes is not known" in text
    assert "hours" not in text


def test_several_numbers_of_workers_are_compared(folder: Path) -> None:
    found = as_json("-f", "tiny.yaml", "--seconds", "10", "--parallelism", "1,2,8", cwd=folder)
    longest = [max(c["wall_s"] for c in found["cases"] if c["parallelism"] == p) for p in (1, 2, 8)]
    assert longest == sorted(longest, reverse=True)
    assert longest[0] > longest[2]


def test_a_larger_budget_takes_more_trainings(folder: Path) -> None:
    few, many = (
        max(case["evaluations"] for case in as_json("-f", "tiny.yaml", "--budget-params", count, cwd=folder)["cases"])
        for count in ("1300", "10k")
    )
    assert few < many


def test_it_says_which_limit_will_stop_the_search(folder: Path) -> None:
    (folder / "lab.yaml").write_text(LAB + "limits: {evaluations: 3, gpu_hours: 0.1, hours: 100}\n")
    text = rcasctl("forecast", "-f", "lab.yaml", "--seconds", "900", cwd=folder).stdout
    assert "limits.evaluations (3) may stop it" in text
    assert "limits.gpu_hours (0.1) may stop it" in text
    assert "limits.hours" not in text


def test_nothing_is_left_of_a_search_that_is_done(finished: Finished) -> None:
    found = as_json("tiny", cwd=finished.folder)
    assert (found["phase"], found["left"], found["hours"]) == ("Complete", 0, 0)
    assert found["at_least"] == [{"parallelism": 1, "wall_s": 0}]
    assert "0 left" in rcasctl("forecast", "tiny", cwd=finished.folder).stdout


def test_what_is_left_of_a_search_is_counted_in_its_own_time(folder: Path) -> None:
    (folder / "tiny.yaml").write_text(SPEC + "limits: {evaluations: 1}\n")
    assert rcasctl("run", "tiny.yaml", cwd=folder).returncode == 0
    found = as_json("tiny", "--parallelism", "1,2", "--startup", "1", cwd=folder)
    assert found["phase"] == "LimitReached"
    assert found["evaluations"] == 1
    assert found["left"] >= 1
    fixed_s = found["durations"]["fixed_s"]
    assert fixed_s > 0
    assert found["hours"] == pytest.approx(found["left"] * (fixed_s + 1) / 3600)
    one, two = found["at_least"]
    assert one["wall_s"] == pytest.approx(2 * two["wall_s"])


def test_what_cannot_be_forecast_is_one_line(finished: Finished, folder: Path) -> None:
    assert "one of them" in refused("forecast", "tiny", "-f", "tiny.yaml", cwd=finished.folder)
    assert refused("forecast", cwd=folder).startswith(
        "spec: got 'nothing', allowed: -f SPEC; for a cluster's defaults "
    )
    assert refused("forecast", "-f", "tiny.yaml", "--budget-params", "1", cwd=folder).startswith("budget.params: ")
    (folder / "part.yaml").write_text("budget: {params: 10k}\n")
    assert refused("forecast", "-f", "part.yaml", cwd=folder).startswith("space: got 'nothing'")
    assert "0 is not in the range" in refused("forecast", "--parallelism", "2,0", cwd=folder, usage=True)
    assert refused("forecast", "nosuch", cwd=finished.folder).startswith("search: got 'nosuch'")
