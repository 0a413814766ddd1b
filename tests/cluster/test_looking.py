"""What rcasctl shows of searches that a controller works on: over a kubeconfig alone, the same as from the store."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome
from cluster.installation import BUDGET, DEFAULTS, RCASCTL, Installation
from cluster.machine import call, environment
from cluster.waiting import until
from rcas.evaluation import Result

EPOCHS = 20
LONGER = {"training": {"epochs": EPOCHS}, "max_blocks": 1}
"""Trainings long enough to look at one while it runs, and few of them."""


def told(installation: Installation, *arguments: object) -> Any:
    return json.loads(installation.rcasctl(*arguments, "--json"))


@pytest.mark.parametrize("command", ["status", "result", "explain"])
def test_the_controller_tells_what_the_store_holds(first: Installation, reference: Outcome, command: str) -> None:
    name = reference.name
    in_store = f"{first.namespace}/{name}/{first.uid(name)}"
    stored = json.loads(call(RCASCTL, command, in_store, "--store", first.url, "--json"))
    assert told(first, command, name) == ({**stored, "search": name} if "search" in stored else stored)
    text = call(RCASCTL, command, in_store, "--store", first.url)
    assert first.rcasctl(command, name) == text.replace(in_store, name)


def test_the_list_agrees_with_the_states(first: Installation, reference: Outcome) -> None:
    row = next(row for row in told(first, "list") if row["search"] == reference.name)
    state = told(first, "status", reference.name)
    assert row["best"]["accuracy"] == pytest.approx(state["best"]["accuracy"], abs=1e-4)
    assert row["best"]["network"] == state["best"]["network"]
    for field in ("phase", "message", "blocks", "evaluations"):
        assert row[field] == state[field]


def test_a_forecast_knows_the_controllers_defaults_and_earlier_searches(
    first: Installation, reference: Outcome, tmp_path: Path
) -> None:
    assert told(first, "forecast", reference.name)["left"] == 0
    found = told(first, "forecast", "--budget-params", BUDGET)
    assert found["durations"]["source"] == f"the mean of the search {reference.name}"
    counters = reference.head.state.counters
    assert found["durations"]["fixed_s"] == pytest.approx(counters.busy_seconds / counters.trained)
    whole = tmp_path / "search.json"
    whole.write_text(json.dumps({**DEFAULTS, "budget": {**DEFAULTS["budget"], "params": BUDGET}, "parallelism": 3}))
    local = json.loads(call(RCASCTL, "forecast", "-f", whole, "--json"))
    assert [(case["parallelism"], case["evaluations"]) for case in found["cases"]] == [
        (3, case["evaluations"]) for case in local["cases"]
    ]


def test_logs_and_watch_follow_a_search_to_its_end(install: Install) -> None:
    installation = install()
    installation.submit("followed", LONGER)
    watching = subprocess.Popen(
        [RCASCTL, "watch", "followed", "-n", installation.namespace, "--json"],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    installation.wait_for_evaluations("followed", 1)
    pod = installation.a_trainer()
    key = pod["metadata"]["labels"]["rcas.dev/key"]
    network = pod["metadata"]["annotations"]["rcas.dev/network"]
    assert key in installation.rcasctl("logs", "followed")
    log = installation.rcasctl("logs", "followed", network, "--follow", within_s=120)
    assert f"epoch {EPOCHS} of {EPOCHS}" in log
    (full_name,) = until("its result", lambda: installation.names(f"results/{key}"))
    result = Result.model_validate_json(installation.object(full_name) or b"")
    assert log.splitlines()[-1].endswith(f"{result.correct} of {result.total} validation images right")
    out, _ = watching.communicate(timeout=SEARCH_S)
    assert watching.returncode == 0
    *events, last = [json.loads(line) for line in out.splitlines()]
    measured = [event["result"] for event in events if event["event"] == "evaluation"]
    head = installation.head("followed")
    assert head
    results = {found["network"]: (found["correct"], found["total"]) for found in measured}
    assert results == head.state.search.results
    assert len(measured) == len(results), "every evaluation is told once"
    assert last == told(installation, "result", "followed")
    epochs = [event for event in events if event["event"] == "epoch"]
    assert epochs, "the logs of the trainings are read"
    assert all(1 <= event["epoch"] <= event["epochs"] == EPOCHS for event in epochs)
