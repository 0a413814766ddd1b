"""What runs for a search now, and what it prints: its Jobs and their pods as a user looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from rcas.errors import InvalidSpec
from rcas.messages import Event, parse_epoch_line
from rcas.resource import Resource
from rcas.runtimes.kubernetes.api import Api, ClusterUnavailable, NotFound, Refused, backoff_s
from rcas.runtimes.kubernetes.jobs import (
    ATTEMPT_ANNOTATION,
    CONTAINER,
    KEY_ANNOTATION,
    NETWORK_ANNOTATION,
    SELECTOR,
    UID_LABEL,
)
from rcas.runtimes.kubernetes.namespace import jobs_path, pods_path
from rcas.runtimes.kubernetes.observing import container_state, scheduled_s

Object = dict[str, Any]
DESCRIBE = "describe"
"""Stands for the Job that looks at the data."""
_JOB_NAME_LABEL = "batch.kubernetes.io/job-name"
_START_POLL_S = 1.0
_TAIL_LINES, _TAIL_BYTES = 20, 16_384
"""Of a log, to find the last epoch in: a trainer is another program, which may print anything."""


class Training(NamedTuple):
    """One attempt at an evaluation.

    Attributes:
        job: name of its Job.
        key: of the evaluation; `describe` for the look at the data.
        network: as text; empty for the look at the data.
        attempt: number of the attempt, from 1.
        state: queued, waiting and why, running, ended.
        pod: its newest pod, None if it has none.
    """

    job: str
    key: str
    network: str
    attempt: int
    state: str
    pod: Object | None


def trainings_of(api: Api, search: Resource) -> list[Training]:
    """The trainings of a search whose Jobs are there, the oldest first."""
    selector = f"{SELECTOR},{UID_LABEL}={search.uid}"
    jobs = api.items(jobs_path(search.namespace), labelSelector=selector)
    pods = api.items(pods_path(search.namespace), labelSelector=selector)
    jobs.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
    return [_training(job, pods) for job in jobs]


def last_epochs(api: Api, search: Resource, *, at_most: int) -> dict[str, Event]:
    """How far the running trainings of a search say they are: the last epoch that each printed, by its key.

    It is what the trainer says, a hint. A training whose log cannot be read now is left out.

    Args:
        api: of the cluster.
        search: that the trainings belong to.
        at_most: so many logs are read, of the oldest pods.

    Raises:
        Refused: these rights do not reach the pods or their logs.
    """
    pods = api.items(pods_path(search.namespace), labelSelector=f"{SELECTOR},{UID_LABEL}={search.uid}")
    running = [pod for pod in pods if "running" in container_state(pod) and KEY_ANNOTATION in _annotations(pod)]
    running.sort(key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))
    found = dict[str, Event]()
    for pod in running[:at_most]:
        path = f"{pods_path(search.namespace)}/{pod['metadata']['name']}/log"
        try:
            tail = api.text(path, container=CONTAINER, tailLines=_TAIL_LINES, limitBytes=_TAIL_BYTES)
        except Refused:
            raise
        except (ClusterUnavailable, NotFound, InvalidSpec):
            continue
        events = filter(None, map(parse_epoch_line, reversed(tail.splitlines())))
        if event := next(events, None):
            found[_annotations(pod)[KEY_ANNOTATION]] = event
    return found


def find_training(trainings: list[Training], wanted: str) -> Training:
    """The newest attempt at the evaluation that `wanted` names: the beginning of its key, or its network.

    Raises:
        InvalidSpec: none, or more than one evaluation is meant.
    """
    network = _plain(wanted)
    found = [one for one in trainings if one.key.startswith(wanted.strip()) or _plain(one.network) == network]
    if not found:
        there = ", ".join(dict.fromkeys(one.key[:16] for one in trainings)) or "nothing now"
        raise InvalidSpec(
            "evaluation",
            got=wanted,
            allowed=f"one that runs: {there} (the log of a training goes with its Job once its result is committed)",
        )
    if len({one.key for one in found}) > 1:
        allowed = "a longer beginning of a key: " + ", ".join(one.key[:16] for one in found)
        raise InvalidSpec("evaluation", got=wanted, allowed=allowed)
    return found[-1]


def log_lines(
    api: Api, search: Resource, training: Training, *, follow: bool, wait: Callable[[float], None]
) -> Iterator[str]:
    """Lines that the training has printed, and prints until it ends if `follow` is set.

    A connection that is lost is opened again. `wait`: sleeps for so many seconds.

    Raises:
        InvalidSpec: its pod has printed nothing, because it has not started or is gone.
    """
    pod = _started_pod(api, search, training, follow=follow, wait=wait)
    path = f"{pods_path(search.namespace)}/{pod['metadata']['name']}"
    shown, failures = 0, 0
    while True:
        try:
            lines = api.lines(f"{path}/log", None, container=CONTAINER, follow="true" if follow else None)
            for number, line in enumerate(lines):
                if number >= shown:
                    shown, failures = number + 1, 0
                    yield line.decode(errors="replace")
            if not follow or "running" not in container_state(api.get(path)):
                return
        except NotFound:
            if not shown:
                raise _gone(training) from None
            return
        except ClusterUnavailable:
            failures += 1
            if not follow or failures > 10:
                raise
        wait(backoff_s(failures))


def _started_pod(
    api: Api, search: Resource, training: Training, *, follow: bool, wait: Callable[[float], None]
) -> Object:
    while True:
        pod = training.pod
        if pod and not container_state(pod).keys() <= {"waiting"}:
            return pod
        if not follow:
            got = f"{training.network or DESCRIBE}, {training.state}"
            raise InvalidSpec("evaluation", got=got, allowed="one that has started; --follow waits for it")
        wait(_START_POLL_S)
        now = [one for one in trainings_of(api, search) if one.job == training.job]
        if not now:
            raise _gone(training)
        training = now[0]


def _gone(training: Training) -> InvalidSpec:
    return InvalidSpec(
        "evaluation",
        got=training.network or training.key,
        allowed="one that runs: the log of a training goes with its Job once its result is committed",
    )


def _training(job: Object, pods: list[Object]) -> Training:
    metadata = job["metadata"]
    annotations = _annotations(job)
    own = [pod for pod in pods if pod["metadata"]["labels"].get(_JOB_NAME_LABEL) == metadata["name"]]
    pod = max(own, key=lambda one: one["metadata"]["creationTimestamp"], default=None)
    attempt = annotations.get(ATTEMPT_ANNOTATION, "").rpartition("-")[2]
    return Training(
        job=metadata["name"],
        key=annotations.get(KEY_ANNOTATION, DESCRIBE),
        network=annotations.get(NETWORK_ANNOTATION, ""),
        attempt=int(attempt) if attempt.isdigit() else 1,
        state=_state(job, pod),
        pod=pod,
    )


def _state(job: Object, pod: Object | None) -> str:
    if pod is None:
        return "suspended" if job["spec"].get("suspend") else "queued"
    state = container_state(pod)
    if "running" in state:
        return "running"
    if "terminated" in state:
        return f"ended with code {state['terminated'].get('exitCode')}"
    reason = (state.get("waiting") or {}).get("reason")
    return f"waiting: {reason}" if reason else "starting" if scheduled_s(pod) else "waiting for a node"


def _annotations(body: Object) -> Object:
    return body["metadata"].get("annotations") or {}


def _plain(network: str) -> str:
    return "".join(network.split())
