"""What a Job and its pods say about an attempt, in the forms in which the API server says it."""

from __future__ import annotations

from typing import Any

import pytest

from rcas.runtimes.kubernetes.observing import attempt_of, disruption_of

NOW_S = 1_700_000_600.0
KEY = "a" * 64


def stamp(ago_s: float) -> str:
    from datetime import UTC, datetime

    return datetime.fromtimestamp(NOW_S - ago_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def a_job(*conditions: dict[str, Any]) -> dict[str, Any]:
    annotations = {"rcas.dev/attempt": "aaaaaaaaaaaaaaaa-3", "rcas.dev/key": KEY}
    metadata = {"name": "j", "creationTimestamp": stamp(500), "annotations": annotations}
    return {"metadata": metadata, "status": {"conditions": list(conditions)}}


def failed(reason: str = "BackoffLimitExceeded") -> dict[str, Any]:
    return {"type": "Failed", "status": "True", "reason": reason, "message": "Job has failed"}


def a_pod(state: dict[str, Any] | None = None, *, phase: str = "Running", **metadata: Any) -> dict[str, Any]:
    statuses = [{"name": "trainer", "state": state}] if state else []
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": stamp(400)}
    return {
        "metadata": {"name": "p", "creationTimestamp": stamp(500), **metadata},
        "spec": {"nodeName": "node-2"},
        "status": {"phase": phase, "containerStatuses": statuses, "conditions": [scheduled]},
    }


def ended(code: int, message: str = "", reason: str = "Error") -> dict[str, Any]:
    times = {"startedAt": stamp(390), "finishedAt": stamp(90)}
    return {"terminated": {"exitCode": code, "reason": reason, "message": message, **times}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


def observe(job: dict[str, Any], *pods: dict[str, Any], gpus: int = 0) -> Any:
    return attempt_of(job, pods, NOW_S, 30.0, gpus)


def test_a_job_under_way_is_running_and_knows_its_evaluation():
    attempt = observe(a_job(), a_pod({"running": {"startedAt": stamp(390)}}), gpus=2)
    assert (attempt.name, attempt.key, attempt.outcome) == ("aaaaaaaaaaaaaaaa-3", KEY, None)
    assert (attempt.timing.queued_s, attempt.timing.startup_s, attempt.timing.run_s) == (100, 10, None)
    assert attempt.gpu_seconds == 2 * 400


def test_a_suspended_job_without_pods_is_under_way():
    assert observe(a_job({"type": "Suspended", "status": "True"})).outcome is None


def test_a_complete_job_has_finished_with_its_times():
    attempt = observe(a_job({"type": "Complete", "status": "True"}), a_pod(ended(0), phase="Succeeded"), gpus=1)
    assert attempt.outcome == "finished"
    assert attempt.timing.run_s == 300
    assert attempt.gpu_seconds == 310


@pytest.mark.parametrize(
    ("state", "outcome", "message"),
    [
        (ended(2, "x\nrcas-trainer: source.path: got 'a'\n"), "invalid", "source.path: got 'a'"),
        (ended(3, "rcas-trainer: out of memory: 2 GiB"), "out-of-memory", "out of memory: 2 GiB"),
        (ended(137, reason="OOMKilled"), "out-of-memory", "the container was killed for its memory (OOMKilled)"),
        (ended(137), "error", "exit code 137"),
        (ended(1, "Traceback\nValueError: no"), "error", "exit code 1: ValueError: no"),
        (ended(75, "stopped"), "interrupted", "exit code 75: stopped"),
    ],
)
def test_how_the_container_ended_says_what_to_do(state, outcome, message):
    attempt = observe(a_job(failed()), a_pod(state, phase="Failed"))
    assert (attempt.outcome, attempt.message) == (outcome, message)


def test_a_failed_job_without_pods_says_what_its_condition_says():
    assert observe(a_job(failed())).message == "BackoffLimitExceeded: Job has failed"


def test_of_several_pods_the_last_to_end_is_believed():
    first = a_pod(ended(75), phase="Failed")
    second = a_pod({"terminated": {**ended(2, "bad")["terminated"], "finishedAt": stamp(10)}}, phase="Failed")
    assert observe(a_job(failed()), second, first).outcome == "invalid"


def test_a_pod_that_should_have_ended_is_lost_after_its_grace_period_and_a_while():
    running = {"running": {"startedAt": stamp(390)}}
    assert observe(a_job(), a_pod(running, deletionTimestamp=stamp(29))).outcome is None
    lost = observe(a_job(), a_pod(running, deletionTimestamp=stamp(31)))
    assert lost.outcome == "lost"
    assert "node-2" in lost.message


def test_a_replacement_beside_the_lost_pod_is_waited_for():
    lost, fresh = a_pod(deletionTimestamp=stamp(900)), a_pod({"running": {"startedAt": stamp(5)}})
    assert observe(a_job(), lost, fresh).outcome is None


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("InvalidImageName", "invalid"),
        ("ErrImageNeverPull", "invalid"),
        ("CreateContainerConfigError", "invalid"),
        ("ImagePullBackOff", "error"),
        ("ContainerCreating", None),
    ],
)
def test_a_container_that_cannot_start_ends_the_attempt(reason, outcome):
    attempt = observe(a_job(), a_pod(waiting(reason, "no\nsuch image"), phase="Pending"))
    assert attempt.outcome == outcome
    if outcome:
        assert attempt.message == f"{reason}: no such image"


def test_a_container_that_could_not_start_a_moment_ago_is_waited_for():
    pod = a_pod(waiting("ImagePullBackOff"), phase="Pending")
    pod["status"]["conditions"][0]["lastTransitionTime"] = stamp(15)
    assert observe(a_job(), pod).outcome is None
    pod["status"]["containerStatuses"] = [{"name": "trainer", "state": waiting("CreateContainerConfigError")}]
    assert observe(a_job(), pod).outcome is None


def test_what_waits_for_long_says_for_what():
    pod = a_pod(phase="Pending")
    message = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
    pod["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", "message": message}]
    attempt = observe(a_job(), pod)
    assert (attempt.outcome, attempt.message) == (None, f"pod p has no node: {message}")
    assert observe(a_job()).message.startswith("Job j has no pod")
    job = a_job()
    job["metadata"]["creationTimestamp"] = stamp(20)
    assert observe(job, pod).message == ""


def test_a_disruption_has_its_reason():
    pod = a_pod()
    assert disruption_of(pod) is None
    pod["status"]["conditions"].append(
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}
    )
    assert disruption_of(pod) == "EvictionByEvictionAPI"
