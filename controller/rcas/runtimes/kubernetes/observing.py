"""What a Job and its pods say about an attempt. Hints only: the result object alone counts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rcas.errors import one_line
from rcas.messages import EXIT_INTERRUPTED, EXIT_INVALID, EXIT_OUT_OF_MEMORY
from rcas.runtimes.base import Attempt, Outcome, Timing
from rcas.runtimes.kubernetes.jobs import ATTEMPT_ANNOTATION, CONTAINER, KEY_ANNOTATION

Object = dict[str, Any]

_NEVER_STARTS = {"InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError", "CreateContainerError"}
_MAY_NOT_START = {"ImagePullBackOff", "ErrImagePull", "RunContainerError"}
IMAGE_PATIENCE_S = 120.0
"""How long an image may fail to be pulled: registries have hiccups."""
QUIET_S = 30.0
"""How long an attempt may wait for its pod and its node before that is worth a word."""
CONFIG_PATIENCE_S = 20.0
"""How long a container may lack its Secret or ConfigMap: they may be created a moment later."""


def attempt_of(job: Object, pods: Sequence[Object], now_s: float, stall_s: float, gpus: int) -> Attempt:
    """The attempt that `job` is, from its status and that of its pods.

    Args:
        job: as the API server gave it.
        pods: of this Job.
        now_s: seconds since 1970.
        stall_s: seconds beyond its grace period after which a pod that should have ended counts as lost.
        gpus: that one of its pods holds.
    """
    annotations = job["metadata"].get("annotations") or {}
    attempt = Attempt(annotations.get(ATTEMPT_ANNOTATION, ""), annotations.get(KEY_ANNOTATION, ""))
    newest = max(pods, key=lambda pod: pod["metadata"]["creationTimestamp"], default=None)
    timing = timing_of(job, newest, now_s)
    attempt = attempt._replace(timing=timing, gpu_seconds=gpus * (timing.held_s or 0.0))
    outcome, message = _outcome(job, pods, now_s, stall_s)
    return attempt._replace(outcome=outcome, message=one_line(message, 600))


def _outcome(job: Object, pods: Sequence[Object], now_s: float, stall_s: float) -> tuple[Outcome | None, str]:
    for condition in (job.get("status") or {}).get("conditions") or ():
        if condition["status"] == "True" and condition["type"] == "Complete":
            return "finished", ""
        if condition["status"] == "True" and condition["type"] == "Failed":
            return _failure(pods, condition)
    living = [pod for pod in pods if (pod.get("status") or {}).get("phase") not in {"Succeeded", "Failed"}]
    if living and all(_is_lost(pod, now_s, stall_s) for pod in living):
        name, node = living[0]["metadata"]["name"], living[0]["spec"].get("nodeName")
        return "lost", f"pod {name} does not end on node {node}, which seems to be gone"
    for pod in living:
        if found := _stuck_container(pod, now_s):
            return found
    return None, _waits_for(job, living, now_s)


def _waits_for(job: Object, living: Sequence[Object], now_s: float) -> str:
    """Why an attempt does not run yet, if it has waited for a while."""
    if now_s - seconds(job["metadata"]["creationTimestamp"]) < QUIET_S:
        return ""
    if not living:
        suspended = (job.get("spec") or {}).get("suspend")
        return "" if suspended else f"Job {job['metadata']['name']} has no pod: kubectl describe it to see why"
    for condition in (living[0].get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return f"pod {living[0]['metadata']['name']} has no node: {condition.get('message', '')}"
    return ""


def _failure(pods: Sequence[Object], condition: Object) -> tuple[Outcome, str]:
    ended = [(pod, state) for pod in pods if (state := container_state(pod).get("terminated"))]
    if not ended:
        status = next((pod["status"] for pod in pods if (pod.get("status") or {}).get("message")), None)
        return "error", status["message"] if status else f"{condition.get('reason')}: {condition.get('message', '')}"
    pod, state = max(ended, key=lambda found: found[1].get("finishedAt") or "")
    code = state.get("exitCode")
    words = last_words(state.get("message") or "")
    if code == EXIT_INVALID:
        return "invalid", words or f"exit code {code}"
    if code == EXIT_OUT_OF_MEMORY or state.get("reason") == "OOMKilled":
        return "out-of-memory", words or "the container was killed for its memory (OOMKilled)"
    if pod["status"].get("reason") == "DeadlineExceeded":
        return "error", pod["status"].get("message") or "activeDeadlineSeconds is over"
    how = f"exit code {code}" + (f" ({state['reason']})" if state.get("reason") not in {None, "Error"} else "")
    outcome: Outcome = "interrupted" if code == EXIT_INTERRUPTED else "error"
    return outcome, f"{how}: {words}" if words else how


def _is_lost(pod: Object, now_s: float, stall_s: float) -> bool:
    # A deletionTimestamp already includes the grace period.
    due = pod["metadata"].get("deletionTimestamp")
    return bool(due) and now_s > seconds(due) + stall_s


def _stuck_container(pod: Object, now_s: float) -> tuple[Outcome, str] | None:
    waiting = container_state(pod).get("waiting") or {}
    reason, since = waiting.get("reason"), scheduled_s(pod)
    waited_s = now_s - since if since else 0.0
    words = f"{reason}: {' '.join((waiting.get('message') or '').split())}"[:500]
    if reason in _NEVER_STARTS and waited_s > CONFIG_PATIENCE_S:
        return "invalid", words
    if reason in _MAY_NOT_START and waited_s > IMAGE_PATIENCE_S:
        return "error", words
    return None


def container_state(pod: Object) -> Object:
    """The state of the trainer's container: waiting, running or terminated."""
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    return next((status.get("state") or {} for status in statuses if status["name"] == CONTAINER), {})


def last_words(text: str) -> str:
    """The last line that says something, as far as a condition has room for it."""
    lines = text.strip().splitlines()
    return one_line(lines[-1].strip().removeprefix("rcas-trainer: "), 500) if lines else ""


def timing_of(job: Object, pod: Object | None, now_s: float) -> Timing:
    """When the attempt waited, started and ran, as far as that is known."""
    created = seconds(job["metadata"]["creationTimestamp"])
    scheduled = scheduled_s(pod) if pod else None
    state = container_state(pod) if pod else {}
    inner = state.get("terminated") or state.get("running") or {}
    started = seconds(inner["startedAt"]) if inner.get("startedAt") else None
    ended = seconds(inner["finishedAt"]) if inner.get("finishedAt") else None
    return Timing(
        queued_s=scheduled - created if scheduled else None,
        startup_s=started - scheduled if scheduled and started else None,
        run_s=ended - started if started and ended else None,
        held_s=(ended or now_s) - scheduled if scheduled else None,
    )


def scheduled_s(pod: Object) -> float | None:
    """When the pod got its node; None while it has none."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "True":
            return seconds(condition["lastTransitionTime"])
    return None


def disruption_of(pod: Object) -> str | None:
    """Why Kubernetes takes the pod away, None if it does not."""
    for condition in (pod.get("status") or {}).get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return condition.get("reason") or "unknown"
    return None


def seconds(timestamp: str) -> float:
    """A timestamp of Kubernetes as seconds since 1970."""
    return datetime.fromisoformat(timestamp).timestamp()
