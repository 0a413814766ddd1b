"""The status of a Search: what it says, and that its size does not depend on what the search has done."""

from __future__ import annotations

import json

from controller.harness import ScriptedCluster, a_spec, open_controller, run_to_end
from controller.memory_store import MemoryStore
from rcas.budget import Budget
from rcas.controller.status import Report, status_of
from rcas.resource import StateRef, Status
from rcas.search import Search
from rcas.space import Space

STATE = StateRef(url="s3://bucket/prefix", name="ns/tiny/uid")


def conditions(status: Status) -> dict[str, str]:
    return {condition.type: condition.status for condition in status.conditions}


def test_a_finished_search_says_what_it_found():
    store = MemoryStore()
    controller = open_controller(store, ScriptedCluster(store), a_spec())
    run_to_end(controller)
    status = status_of(Report("Complete", "Complete", "", controller.search), Status(), STATE, 3, 0.0)
    best = controller.search.result.best
    assert best
    assert status.network == str(best.network)
    assert status.best == f"{float(best.accuracy):.2%}"
    assert (status.params, status.madds, status.latency_ns) == best.cost
    assert status.evaluations == len(controller.search.known)
    assert status.accepted == max(len(rule.path) - 1 for rule in controller.search.result.rules.values())
    assert status.observedGeneration == 3
    assert status.stateRef == STATE
    assert conditions(status) == {
        "Ready": "True",
        "Progressing": "False",
        "Complete": "True",
        "Failed": "False",
        "StoreUnavailable": "False",
        "BudgetExceeded": "False",
    }


def test_a_condition_keeps_its_time_until_it_changes():
    first = status_of(Report("Running", "Running"), Status(), STATE, 1, 1000.0)
    second = status_of(Report("Running", "Running"), first, STATE, 1, 2000.0)
    assert second == first
    third = status_of(
        Report("LimitReached", "LimitReached", "limits.hours: 2 hours are over"), second, STATE, 1, 3000.0
    )
    moved = {c.type for c in third.conditions if c.lastTransitionTime == "1970-01-01T00:50:00Z"}
    assert moved == {"Progressing", "BudgetExceeded"}


def test_an_outage_leaves_the_phase_and_says_so():
    running = status_of(Report("Running", "Running", running=2), Status(), STATE, 1, 0.0)
    out = status_of(
        Report(None, "StoreUnavailable", "no answer", running=2, store_unavailable=True), running, STATE, 1, 1.0
    )
    assert out.phase == "Running"
    assert conditions(out)["StoreUnavailable"] == "True"
    assert conditions(out)["Ready"] == "False"
    assert next(c.message for c in out.conditions if c.type == "Ready") == "no answer"


def test_the_longest_message_and_the_largest_network_fit_16_kib():
    space = Space.imagenet(1000)
    search = Search(space, Budget(params=10**12))
    status = status_of(Report("Failed", "SearchFailed", "words " * 10_000, search), Status(), STATE, 1, 0.0)
    status.network = "6," * 1000
    assert len(json.dumps(status.model_dump())) < 16 * 1024
