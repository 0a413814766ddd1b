"""spec.retrain of a Search resource: Jobs once it is complete, the status, failures, what it may not do."""

from __future__ import annotations

from typing import Any

import pytest

from rcas.cli.retrain_remotely import merge_patch
from rcas.evaluation import Training
from rcas.messages import FinalAssignment, Inquiry
from rcas.resource import Resource
from rcas.retraining import Retraining
from rcas.runtimes.kubernetes.namespace import searches_path
from rcas.state import read_final, read_finals
from security.lab import NAMESPACE, Lab, a_search_spec, honest, parsed


def ask(lab: Lab, wish: dict[str, Any] | None) -> None:
    """Change spec.retrain of the search `a`, as the API server does: with a new generation."""
    found = lab.search("a")
    found["spec"]["retrain"] = wish
    found["metadata"]["generation"] = found["metadata"].get("generation", 1) + 1
    lab.server.touch(searches_path(NAMESPACE), found)
    lab.operator.searches_changed.set()


def finals(lab: Lab) -> dict[str, Any]:
    return lab.status("a").get("finals") or {}


def until(lab: Lab, phase: str) -> dict[str, Any]:
    for _ in range(30):
        lab.turn()
        if finals(lab).get("phase") == phase:
            return finals(lab)
    raise AssertionError(lab.status("a"))


def final_jobs(lab: Lab) -> list[FinalAssignment]:
    return [order for job in lab.manifests if isinstance(order := parsed(job), FinalAssignment)]


@pytest.fixture
def lab() -> Lab:
    made = Lab()
    made.submit("a", a_search_spec())
    made.run("a")
    return made


def test_a_wish_waits_for_the_end_of_the_search_and_is_then_fulfilled():
    lab = Lab()
    lab.submit("a", a_search_spec() | {"retrain": {"seeds": 2, "training": {"epochs": 7}}})
    lab.turn(2)
    assert not final_jobs(lab)
    told = until(lab, "Complete")
    assert lab.phase("a") == "Complete"
    search = Resource(lab.search("a"))
    index = read_finals(lab.store, search.id)
    assert index is not None
    (final,) = index.finals
    assert (final.of, final.seeds, final.network) == ("best", 2, lab.status("a")["network"])
    assert (final.protocol.training.epochs, final.protocol.training.milestones) == (7, (2, 4, 6))
    assert [order.task.key for order in final_jobs(lab)] == list(final.keys)
    results = [read_final(lab.store, key) for key in final.keys]
    assert [one["key"] for one in told["results"]] == [result.key for result in results if result]
    mean = sum(result.correct / result.total for result in results if result) / 2
    assert told["top1"] == f"{mean:.2%}"
    assert told["running"] == 0
    assert lab.jobs() == []


def test_it_is_settled_until_the_spec_changes(lab):
    ask(lab, {"seeds": 1, "training": {"epochs": 2}})
    until(lab, "Complete")
    count = len(lab.manifests)
    lab.turn(5)
    assert len(lab.manifests) == count
    ask(lab, {"seeds": 3, "training": {"epochs": 2}})
    lab.turn()
    told = until(lab, "Complete")
    assert [one["seed"] for one in told["results"]] == [0, 1, 2]
    assert [order.task.replicate for order in final_jobs(lab)] == [0, 1, 2], "what was trained is not trained again"


def test_another_controller_goes_on_where_the_first_was_killed(lab):
    ask(lab, {"seeds": 2, "training": {"epochs": 2}})
    lab.turn(2)
    lab.operator._reconcilers.clear()
    until(lab, "Complete")
    assert len({order.task.key for order in final_jobs(lab)}) == 2
    assert len(final_jobs(lab)) == 2


def test_failures_are_counted_and_told_and_tried_again_when_the_spec_changes():
    lab = Lab()
    lab.submit("a", a_search_spec(max_attempts=2))
    lab.run("a")
    lab.trainer = lambda order: None if isinstance(order, FinalAssignment) else honest(order)
    ask(lab, {"seeds": 1, "training": {"epochs": 2}})
    told = until(lab, "Failed")
    assert "failed 2 times: it said that it finished, but there is no result" in told["message"]
    assert len(final_jobs(lab)) == 2
    assert lab.phase("a") == "Complete", "the search itself has not failed"
    assert lab.jobs() == []
    lab.turn(3)
    assert len(final_jobs(lab)) == 2
    lab.trainer = honest
    ask(lab, {"seeds": 1, "training": {"epochs": 3}})
    until(lab, "Complete")


def test_what_cannot_be_trained_is_told_and_stops_nothing_else(lab):
    lab.submit("b", a_search_spec())
    ask(lab, {"network": "9 / 9"})
    told = until(lab, "Failed")
    assert told["message"].startswith("network: got '9 / 9'")
    ask(lab, {"sedes": 2})
    lab.turn()
    assert "retrain.sedes" in until(lab, "Failed")["message"]
    lab.run("b")


def test_weights_that_are_not_those_of_the_result_are_no_success(lab):
    lab.trainer = lambda order: (
        honest(order).replace(b'"weights_sha256":"', b'"weights_sha256":"0')[:-1] + b"}"
        if isinstance(order, FinalAssignment)
        else honest(order)
    )
    ask(lab, {"seeds": 1, "training": {"epochs": 2}})
    assert "is not a result of a final training" in until(lab, "Failed")["message"]


def test_the_pod_is_the_searchs_and_may_run_longer(lab):
    ask(lab, {"seeds": 1, "training": {"epochs": 2}})
    until(lab, "Complete")
    pods = {type(parsed(job)): job["spec"]["template"]["spec"] for job in lab.manifests}
    final = pods[FinalAssignment]
    assert final["activeDeadlineSeconds"] == 14 * 86_400
    assert final["containers"][0]["image"] == pods[Inquiry]["containers"][0]["image"]


def test_a_patch_takes_away_what_an_earlier_wish_had():
    patch = merge_patch(Retraining(training=Training(epochs=5)))
    assert patch["training"]["epochs"] == 5
    assert patch["training"]["lr"] is None
    assert (patch["data"], patch["onto"]) == (None, None)
    assert merge_patch(Retraining())["training"] is None
