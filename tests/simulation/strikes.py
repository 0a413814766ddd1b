"""Faults of the world: what each kind does when it strikes."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from rcas.resource import Resource
from rcas.runtimes.kubernetes.jobs import ATTEMPT_ANNOTATION, job_name
from simulation.apiserver import Object
from simulation.faults import Fault
from simulation.machines import Pod
from simulation.users import SEARCHES

if TYPE_CHECKING:
    from simulation.history import History

T = TypeVar("T")
_ALL = "get put create delete list next patch"
_SCOPES = (_ALL, _ALL, "put create patch delete", "get list next")
"""Outages: of everything, of writes, of reads."""
_JUMPS_S = (-7200.0, -600.0, -30.0, 30.0, 600.0, 7200.0)


def strike(history: History, fault: Fault) -> None:
    """Have a fault of the world happen; it is counted if there was something to strike."""
    if _STRIKES[fault.kind](history, fault):
        history.edge.struck[fault.kind] += 1
        history.edge.say(f"fault {fault}")


def _s3_outage(history: History, fault: Fault) -> bool:
    until = history.timeline.now + fault.seconds
    history.edge.s3_down = (until, _scope(fault), fault.pick * 7 % 1)
    return True


def _api_outage(history: History, fault: Fault) -> bool:
    until = history.timeline.now + fault.seconds
    scope = _scope(fault)
    history.edge.api_down = (until, scope, fault.pick * 7 % 1)
    if scope == _ALL:
        history.machines.down_until = until
    return True


def _compaction(history: History, _fault: Fault) -> bool:
    history.server.compact()
    return True


def _second_controller(history: History, fault: Fault) -> bool:
    history.add_controller(fault.seconds)
    return True


def _overtaken(history: History, fault: Fault) -> bool:
    """A second controller for as long as the first stands still, which then goes on as if it were alone.

    Half the time the second has more to launch than the first knew of.
    """
    history.add_controller(fault.seconds)
    if int(fault.pick * 1000) % 2 and (found := _search(history, fault)):
        history.users.change(found["metadata"]["name"], {"parallelism": 4})
    return True


def _controller_killed(history: History, fault: Fault) -> bool:
    alive = [one for one in history.controllers.values() if not one.dead]
    if chosen := _one(fault, alive):
        history.edge.say(f"{chosen.name} is killed")
        chosen.kill()
    return chosen is not None


def _clock_jump(history: History, fault: Fault) -> bool:
    jump_s = _JUMPS_S[int(fault.pick * len(_JUMPS_S))]

    def jump() -> None:
        history.edge.say(f"clocks jump by {jump_s:g} s")
        history.offset_s += jump_s
        for controller in history.controllers.values():
            controller.offset_s += jump_s

    if fault.seconds > 20:
        history.edge.after_a_failure(jump)
    else:
        jump()
    return True


def _deaf(history: History, fault: Fault) -> bool:
    for controller in history.controllers.values():
        controller.deaf_until = history.timeline.now + fault.seconds
    return True


def _full(history: History, fault: Fault) -> bool:
    history.machines.full_until = history.timeline.now + fault.seconds
    return True


def _evicted(history: History, fault: Fault) -> bool:
    return _on_pod(history, fault, lambda pod: history.machines.disrupt(pod, "EvictionByEvictionAPI"))


def _preempted(history: History, fault: Fault) -> bool:
    return _on_pod(history, fault, lambda pod: history.machines.disrupt(pod, "PreemptionByScheduler"))


def _node_pressure(history: History, fault: Fault) -> bool:
    return _on_pod(history, fault, history.machines.evict_at_once)


def _node_lost(history: History, fault: Fault) -> bool:
    nodes = [node for node in history.machines.nodes if not node.silent]
    if node := _one(fault, nodes):
        how = int(fault.pick * 997) % 3
        history.machines.lose(node, dead=how == 0, cut_off=how == 2)
        history.timeline.after(fault.seconds * 2, lambda: history.machines.bring_back(node))
    return node is not None


def _node_gone(history: History, fault: Fault) -> bool:
    """A node that never comes back, and nobody deletes it; another is left."""
    nodes = [node for node in history.machines.nodes if not node.silent]
    going = any("finalizers" in job["metadata"] for job in history.server.all(history.machines.jobs).values())
    node = _one(fault, nodes) if len(nodes) > 1 and not going else None
    if node:
        node.gone = True
        history.machines.lose(node, dead=fault.seconds > 10, cut_off=fault.seconds < 1)
    return node is not None


def _slow_jobs(history: History, fault: Fault) -> bool:
    history.machines.slow_jobs_until = history.timeline.now + fault.seconds
    return True


def _slow_gc(history: History, fault: Fault) -> bool:
    history.machines.slow_gc_until = history.timeline.now + fault.seconds
    return True


def _job_deleted(history: History, fault: Fault) -> bool:
    jobs = [name for name in history.server.all(history.machines.jobs) if name not in history.auditor.foreign]
    if name := _one(fault, jobs):
        # With a node gone for good, a Job deleted in the foreground would wait for its pod until somebody helps.
        slow = fault.seconds > 10 and not any(node.gone for node in history.machines.nodes)
        policy = "Foreground" if slow else "Background"
        path = f"{history.machines.jobs}/{name}"
        history.server.handle("DELETE", path, {}, {"propagationPolicy": policy})
    return name is not None


def _oom(history: History, fault: Fault) -> bool:
    code = 3 if fault.seconds > 20 else 137
    return _on_pod(history, fault, lambda pod: pod.trainer and pod.trainer.kill(code, "OOMKilled"), running=True)


def _killed(history: History, fault: Fault) -> bool:
    return _on_pod(history, fault, lambda pod: pod.trainer and pod.trainer.kill(), running=True)


def _pod_deleted(history: History, fault: Fault) -> bool:
    return _on_pod(history, fault, lambda pod: history.server.terminate(history.machines.pods_path, pod.body))


def _pull(history: History, fault: Fault) -> bool:
    return _trouble(history, fault, "ImagePullBackOff")


def _config(history: History, fault: Fault) -> bool:
    return _trouble(history, fault, "CreateContainerConfigError")


def _trouble(history: History, fault: Fault, reason: str) -> bool:
    def keep(pod: Pod) -> None:
        pod.troubled = (reason, history.timeline.now + fault.seconds)
        history.troubled += 1

    waiting = [pod for pod in history.machines.pods.values() if pod.trainer is None and not pod.ended]
    if pod := _one(fault, waiting):
        keep(pod)
    return pod is not None


def _foreign_job(history: History, fault: Fault) -> bool:
    """Somebody's Job has the name that the next attempt of an evaluation will have."""
    if not (found := _search(history, fault)):
        return False
    ledger = history.auditor.ledgers.get(Resource(found).id)
    asked = [] if ledger is None or ledger.head is None else sorted(ledger.state["search"]["asked"])
    key = _one(fault._replace(pick=fault.pick * 13 % 1), asked)
    if ledger is None or key is None:
        return False
    started = ledger.state["attempts"].get(key, {}).get("started", 0)
    name = job_name(Resource(found), f"{key[:16]}-{started + 1}")
    metadata: Object = {"name": name, "labels": {}, "annotations": {}}
    if fault.seconds > 10:
        # The search's own, but of another make: it is as foreign.
        metadata["ownerReferences"] = [Resource(found).owner_reference()]
    return _add_foreign(history, name, metadata)


def _copied_job(history: History, fault: Fault) -> bool:
    """Somebody copies the Job of an attempt by hand: its labels are there, its owner is not."""
    jobs = history.server.all(history.machines.jobs)
    names = [name for name, job in jobs.items() if ATTEMPT_ANNOTATION in job["metadata"].get("annotations", {})]
    if not (name := _one(fault, names)):
        return False
    metadata = copy.deepcopy(jobs[name]["metadata"])
    return _add_foreign(
        history,
        f"copy-{fault.io}",
        {"name": f"copy-{fault.io}", "labels": metadata["labels"], "annotations": metadata["annotations"]},
    )


def _add_foreign(history: History, name: str, metadata: Object) -> bool:
    if name in history.server.all(history.machines.jobs):
        return False
    history.auditor.foreign.add(name)
    # Suspended: what it would do is its owner's business.
    history.server.add(history.machines.jobs, {"metadata": metadata, "spec": {"suspend": True}, "status": {}})
    return True


def _pause_search(history: History, fault: Fault) -> bool:
    return _switched(history, fault, {"pause": True}, {"pause": False})


def _limit(history: History, fault: Fault) -> bool:
    limits = {"evaluations": 1 + int(fault.pick * 31) % 4} if fault.pick < 0.7 else {"hours": 0.001}
    return _switched(history, fault, {"limits": limits}, {"limits": None})


def _parallelism(history: History, fault: Fault) -> bool:
    return _switched(history, fault, {"parallelism": 1 + int(fault.pick * 31) % 4}, {})


def _switched(history: History, fault: Fault, now: Object, later: Object) -> bool:
    if found := _search(history, fault):
        name = found["metadata"]["name"]
        history.users.change(name, now)
        history.timeline.after(fault.seconds, lambda: history.users.change(name, later))
    return found is not None


def _cancel(history: History, fault: Fault) -> bool:
    if found := _search(history, fault):
        history.users.cancel(found["metadata"]["name"])
    return found is not None


def _delete(history: History, fault: Fault) -> bool:
    if found := _search(history, fault):
        history.users.delete(found["metadata"]["name"])
    return found is not None


def _scope(fault: Fault) -> str:
    return _SCOPES[int(fault.pick * len(_SCOPES))]


def _search(history: History, fault: Fault) -> Object | None:
    return _one(fault, list(history.server.all(SEARCHES).values()))


def _on_pod(history: History, fault: Fault, act: Callable[[Pod], object], *, running: bool = False) -> bool:
    pods = [pod for pod in history.machines.pods.values() if not pod.ended and (pod.trainer or not running)]
    if pod := _one(fault, pods):
        act(pod)
    return pod is not None


def _one(fault: Fault, choices: list[T]) -> T | None:
    return choices[int(fault.pick * len(choices))] if choices else None


_STRIKES: dict[str, Callable[[History, Fault], bool]] = {
    "s3-outage": _s3_outage,
    "api-outage": _api_outage,
    "compaction": _compaction,
    "second-controller": _second_controller,
    "overtaken": _overtaken,
    "controller-killed": _controller_killed,
    "clock-jump": _clock_jump,
    "deaf": _deaf,
    "full": _full,
    "evicted": _evicted,
    "preempted": _preempted,
    "node-pressure": _node_pressure,
    "node-lost": _node_lost,
    "node-gone": _node_gone,
    "slow-jobs": _slow_jobs,
    "slow-gc": _slow_gc,
    "job-deleted": _job_deleted,
    "oom": _oom,
    "killed": _killed,
    "pod-deleted": _pod_deleted,
    "pull": _pull,
    "config": _config,
    "foreign-job": _foreign_job,
    "copied-job": _copied_job,
    "pause-search": _pause_search,
    "limit": _limit,
    "parallelism": _parallelism,
    "cancel": _cancel,
    "delete": _delete,
}
