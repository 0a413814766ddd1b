"""What a user switches: limits, pause, cancel, delete."""

from __future__ import annotations

import time

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation, is_running
from cluster.waiting import until

NAME = "switched"
OTHER_PROTOCOL = {"training": {"seed": 1}}
"""Its results are no others', so that it has to train."""


def test_limits_and_pauses_change_no_decision(install: Install, reference: Outcome):
    installation = install()
    installation.submit(NAME, {"limits": {"evaluations": 5}})
    status = installation.wait_for_phase(NAME, "LimitReached", within_s=SEARCH_S)
    assert installation.condition(NAME, "BudgetExceeded")["status"] == "True"
    assert status["evaluations"] == 5
    assert_rests(installation)

    installation.rcasctl("set", NAME, "--max-evaluations", 1000)
    installation.wait_for_evaluations(NAME, 7)
    installation.a_trainer()
    installation.rcasctl("pause", NAME)
    installation.wait_for_phase(NAME, "Paused", within_s=30)
    assert_rests(installation)

    installation.rcasctl("resume", NAME)
    installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
    outcome = outcome_of(installation, NAME)
    assert_same_decisions(outcome, reference)
    assert_counted_once(outcome)
    assert_nothing_left(installation)


def test_cancelled_and_deleted_searches_leave_nothing_behind(install: Install):
    installation = install()
    installation.submit("cancelled", OTHER_PROTOCOL)
    known = len(installation.wait_for_evaluations("cancelled", 1).state.search.results)
    installation.a_trainer()
    installation.rcasctl("cancel", "cancelled")
    installation.wait_for_phase("cancelled", "Cancelled", within_s=30)
    assert_nothing_left(installation)
    head = installation.head("cancelled")
    assert head
    assert len(head.state.search.results) >= known, "what was found stays"

    installation.submit("deleted", OTHER_PROTOCOL)
    installation.a_trainer(within_s=120)
    installation.rcasctl("delete", "deleted", "--yes")
    until("no search", lambda: installation.kubectl.get("searches.rcas.dev", "deleted") is None)
    until("no Jobs and pods", lambda: not of_trainings(installation))
    assert installation.names("results/"), "results stay: other searches use them"


def assert_rests(installation: Installation) -> None:
    """No training runs, and none starts."""
    until("the trainings to end", lambda: not of_trainings(installation), within_s=30)
    head = installation.head(NAME)
    time.sleep(4)
    assert not of_trainings(installation)
    assert installation.head(NAME) == head


def of_trainings(installation: Installation) -> list[str]:
    left = [found for found in installation.left_over() if found.startswith(("Job", "Pod"))]
    return left or [pod["metadata"]["name"] for pod in installation.trainers(running=False) if is_running(pod)]
