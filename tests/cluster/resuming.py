"""Whether a controller that comes back takes its work up in time."""

from __future__ import annotations

import time
from datetime import datetime

from cluster.installation import Installation
from cluster.machine import Object
from cluster.waiting import until
from rcas.state import Head

RESUME_S = 30


def assert_resumes(
    installation: Installation, name: str, before: Head, gone_at: float, *, absent_s: float = 90
) -> float:
    """The search is taken over, and brought forward if it has not ended, at most 30 s after the controller's return.

    Args:
        before: its state before the controller went away.
        gone_at: when that was, in seconds since 1970.
        absent_s: how long the controller may be away.

    Returns:
        The seconds that it took.
    """
    back_at = until(
        "the controller's return", lambda: started_at(installation.controllers(), gone_at), within_s=absent_s
    )

    def taken_over() -> Head | None:
        head = installation.head(name)
        return head if head and head.epoch > before.epoch else None

    until(f"{name} to be taken over", taken_over, within_s=back_at + RESUME_S - time.time(), every_s=0.2)
    took_s = time.time() - back_at
    print(f"{name} was taken over {took_s:.1f} s after the controller's start")
    return took_s


def started_at(pods: list[Object], after: float) -> float | None:
    """When one of the pods' containers started, if that was after a moment. Kubernetes tells whole seconds."""
    for pod in pods:
        for status in pod["status"].get("containerStatuses", []):
            running = status["state"].get("running")
            if running and (at := datetime.fromisoformat(running["startedAt"]).timestamp()) >= int(after):
                return at
    return None
