"""What a soak does to the cluster: each kind strikes at once, and says when and how to undo it."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from cluster import machine
from cluster.installation import CONTROLLER, OURS, Installation, is_running
from cluster.machine import Object, ask
from rcas.runtimes.kubernetes.namespace import jobs_path, pods_path

MARGIN_BYTES = 64 * 1024
"""What a full disk has left: less than one checkpoint."""


class Missed(Exception):
    """There was nothing to strike or to see, or no way to it: something else is broken just now."""


class Undo(NamedTuple):
    """What gives back what a strike took away, and after how many seconds. `name`: of what is away until then."""

    name: str
    after_s: float
    act: Callable[[], None]


class Strikes:
    """All kinds, over one installation. Each takes a random generator and raises Missed."""

    def __init__(self, installation: Installation, s3_folder: Path) -> None:
        assert s3_folder.is_mount(), f"{s3_folder} is no disk of its own, so it must not be filled: end the bed first"
        self._jobs, self._pods = jobs_path(installation.namespace), pods_path(installation.namespace)
        self._namespace, self._ballast = installation.namespace, s3_folder / "ballast"

    @property
    def kinds(self) -> dict[str, tuple[int, Callable[[random.Random], Undo | None]]]:
        """(weight, strike) by name."""
        return {
            "controller kill -9": (10, self._controller_killed),
            "controller stopped": (4, self._controller_stopped),
            "controller pod deleted": (3, self._controller_deleted),
            "training kill -9": (6, self._training_killed),
            "training evicted": (4, self._training_evicted),
            "training pod deleted": (4, self._training_deleted),
            "Job deleted": (4, self._job_deleted),
            "kubelet killed": (3, lambda draw: self._killed(f"kubelet-{draw.randint(1, machine.NODES)}", draw)),
            "containerd killed": (1, lambda draw: self._killed(f"containerd-{draw.randint(1, machine.NODES)}", draw)),
            "apiserver killed": (3, lambda draw: self._killed("apiserver", draw)),
            "apiserver stopped": (1, lambda draw: self._stopped("apiserver", draw)),
            "etcd killed": (3, lambda draw: self._killed("etcd", draw)),
            "etcd stopped": (1, lambda draw: self._stopped("etcd", draw)),
            "controller-manager killed": (1, lambda draw: self._killed("controller-manager", draw)),
            "scheduler killed": (1, lambda draw: self._killed("scheduler", draw)),
            "S3 killed": (3, lambda draw: self._killed("s3", draw)),
            "S3 stopped": (2, lambda draw: self._stopped("s3", draw)),
            "S3 disk full": (2, self._disk_full),
        }

    # The controller.

    def _controller_killed(self, draw: random.Random) -> None:
        pod = self._pod(CONTROLLER, draw)
        restarts = sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
        _signal(pod, signal.SIGKILL)
        if restarts:
            # Its next start would be delayed more each time (CrashLoopBackOff), which no preemption is.
            self._delete_pod(pod, grace_s=0)

    def _controller_stopped(self, draw: random.Random) -> Undo:
        pid = _signal(self._pod(CONTROLLER, draw), signal.SIGSTOP)
        return Undo("controller", draw.uniform(2, 30), lambda: _continue(pid))

    def _controller_deleted(self, draw: random.Random) -> None:
        self._delete_pod(self._pod(CONTROLLER, draw))

    # Trainings.

    def _training_killed(self, draw: random.Random) -> None:
        _signal(self._pod(OURS, draw), signal.SIGKILL)

    def _training_evicted(self, draw: random.Random) -> None:
        name = self._pod(OURS, draw)["metadata"]["name"]
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": name, "namespace": self._namespace},
        }
        asked("POST", f"{self._pods}/{name}/eviction", body)

    def _training_deleted(self, draw: random.Random) -> None:
        self._delete_pod(self._pod(OURS, draw))

    def _job_deleted(self, draw: random.Random) -> None:
        jobs = asked("GET", f"{self._jobs}?labelSelector={quote(OURS)}")["items"]
        if not jobs:
            raise Missed("no Job")
        policy = draw.choice(("Background", "Foreground"))
        path = f"{self._jobs}/{draw.choice(jobs)['metadata']['name']}"
        asked("DELETE", path, {"propagationPolicy": policy})

    # Parts of the cluster, and the store.

    def _killed(self, part: str, draw: random.Random) -> Undo:
        machine.service("kill", part)
        return Undo(part, draw.uniform(0, 8), lambda: machine.service("start", part))

    def _stopped(self, part: str, draw: random.Random) -> Undo:
        machine.service("pause", part)
        return Undo(part, draw.uniform(2, 20), lambda: machine.service("continue", part))

    def _disk_full(self, draw: random.Random) -> Undo:
        disk = os.statvfs(self._ballast.parent)
        try:
            with self._ballast.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, max(1, disk.f_bavail * disk.f_frsize - MARGIN_BYTES))
        except OSError as error:
            self._ballast.unlink()
            raise Missed("somebody else took the room") from error
        return Undo("s3 disk", draw.uniform(3, 25), self._room_again)

    def _room_again(self) -> None:
        # SeaweedFS may go on refusing every write until it is started again: docs/reliability.md.
        with machine.killed("s3"):
            self._ballast.unlink()

    # How.

    def _pod(self, selector: str, draw: random.Random) -> Object:
        found = asked("GET", f"{self._pods}?labelSelector={quote(selector)}")["items"]
        running = [pod for pod in found if is_running(pod)]
        if not running:
            raise Missed("no pod")
        return draw.choice(running)

    def _delete_pod(self, pod: Object, grace_s: int | None = None) -> None:
        body = {} if grace_s is None else {"gracePeriodSeconds": grace_s}
        asked("DELETE", f"{self._pods}/{pod['metadata']['name']}", body)


def asked(method: str, path: str, body: Object | None = None) -> Object:
    """What the API server answers. Raises Missed if it refuses, OSError or HTTPException if it does not answer."""
    answer = ask(method, path, body, within_s=3)
    if answer.status >= 300:
        raise Missed(f"the API server says {answer.status}")
    return answer.body


def _signal(pod: Object, number: signal.Signals) -> int:
    try:
        pid = machine.signal_container(pod, number)
    except AssertionError as error:
        raise Missed("its node does not answer") from error
    if pid is None:
        raise Missed("its process is gone")
    return pid


def _continue(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGCONT)
    except ProcessLookupError:
        # Its liveness probe ended it meanwhile, or something else did.
        return
