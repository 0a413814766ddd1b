"""Two controllers at once, and `helm upgrade` in the middle of a search."""

from __future__ import annotations

import time

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation
from cluster.resuming import assert_resumes
from cluster.waiting import until

NAME = "two"


def test_two_controllers_and_an_upgrade(install: Install, reference: Outcome):
    installation = install()
    installation.submit(NAME)
    known = len(installation.wait_for_evaluations(NAME, 2).state.search.results)

    installation.kubectl("scale", "deployment", "rcas", "--replicas=2")
    until("two controllers", lambda: len(running_controllers(installation)) == 2)
    until("one to be fenced", lambda: restarts(installation) > 0)
    installation.wait_for_evaluations(NAME, known + 3)

    before, upgraded_at = installation.head(NAME), time.time()
    installation.upgrade({"controller": {"parallelism": 2, "logFormat": "json"}})
    assert before
    assert_resumes(installation, NAME, before, upgraded_at)
    assert len(installation.controllers()) == 1

    installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
    outcome = outcome_of(installation, NAME)
    assert_same_decisions(outcome, reference)
    assert_counted_once(outcome)
    assert_nothing_left(installation)


def running_controllers(installation: Installation) -> list[str]:
    return [
        pod["metadata"]["name"]
        for pod in installation.controllers()
        if any("running" in status["state"] for status in pod["status"].get("containerStatuses", []))
    ]


def restarts(installation: Installation) -> int:
    return sum(
        status["restartCount"] for pod in installation.controllers() for status in pod["status"]["containerStatuses"]
    )
