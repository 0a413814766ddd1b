"""The cluster behind the simulated API server: Job controller, garbage collector, scheduler, kubelets.

They follow Kubernetes 1.34 as far as the manifests of `rcas.runtimes.kubernetes.jobs` reach: one pod a Job,
restartPolicy Never, podFailurePolicy, podReplacementPolicy Failed, suspended Jobs, graceful ends, pods that outlive
their Job for a while, nodes that are lost. tests/cluster/test_fidelity.py runs the same cases on the real one.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from rcas.messages import EXIT_INTERRUPTED
from simulation.apiserver import ApiServer, Object
from simulation.timeline import Timeline, timestamp
from simulation.trainer import Trainer

PodTrainer = Callable[["Pod", Callable[[int, str], None]], Trainer]
_JOB_NAME = "batch.kubernetes.io/job-name"
UNREACHABLE_S = 40.0
"""After which a node that says nothing gets the taint `unreachable`."""


class Node:
    """A machine for trainings.

    Attributes:
        silent: its kubelet cannot reach the API server. cut_off: nor its pods the store.
        gone: it stays silent for ever.
    """

    def __init__(self, name: str, room: int) -> None:
        self.name, self.room = name, room
        self.silent = self.cut_off = self.gone = False
        self.held_back: list[Callable[[], None]] = []


class Pod:
    """A pod as its kubelet knows it. `troubled`: what keeps its container from starting, and until when."""

    def __init__(self, body: Object, job_uid: str, order: str) -> None:
        self.body, self.job_uid, self.order = body, job_uid, order
        self.node: Node | None = None
        self.trainer: Trainer | None = None
        self.troubled: tuple[str, float] | None = None
        self.ends_terminating = False
        self.scheduled_at: float | None = None

    @property
    def name(self) -> str:
        return self.body["metadata"]["name"]

    @property
    def ended(self) -> bool:
        """Whether the API server knows that it has."""
        return self.body["status"]["phase"] in {"Succeeded", "Failed"}

    @property
    def terminating(self) -> bool:
        return "deletionTimestamp" in self.body["metadata"]


class Machines:
    """Acts on what changes in the API server; everything takes a little while, drawn from `random`.

    Attributes:
        failed_pods: pods so far that ended badly, and not because somebody took them away.
    """

    def __init__(
        self,
        timeline: Timeline,
        random: Random,
        namespace: str,
        nodes: list[Node],
        make_trainer: PodTrainer,
        say: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self.timeline, self.random, self.nodes = timeline, random, nodes
        self._make_trainer, self._say = make_trainer, say
        self.api: ApiServer
        self.jobs = f"/apis/batch/v1/namespaces/{namespace}/jobs"
        self.pods_path = f"/api/v1/namespaces/{namespace}/pods"
        self.pods: dict[str, Pod] = {}
        self.down_until = self.full_until = 0.0
        self.slow_jobs_until = self.slow_gc_until = 0.0
        self._syncing = set[str]()
        self._failed: dict[str, int] = {}
        self._counted = set[str]()
        self._numbers = 0
        self.failed_pods = 0

    # What changes.

    def changed(self, event: str, collection: str, body: Object) -> None:
        """Hear of a change of the API server's objects."""
        if collection == self.jobs:
            if event == "DELETED":
                self._collect_later(body["metadata"]["uid"])
            else:
                self._sync_later(body["metadata"]["name"])
                if event == "ADDED" and not self._owners_live(body):
                    self._collect_later("")
                if "deletionTimestamp" in body["metadata"]:
                    self._collect_later(body["metadata"]["uid"])
        elif collection == self.pods_path:
            pod = self.pods.get(body["metadata"]["name"])
            if event == "MODIFIED" and pod and pod.terminating and not pod.ends_terminating:
                pod.ends_terminating = True
                self._soon(0.3, lambda: self._end(pod))
        elif event == "DELETED":
            self._collect_later(body["metadata"]["uid"])

    def _soon(self, seconds: float, act: Callable[[], None]) -> None:
        """Act within about so many seconds, or when the API server is there again."""

        def when_up() -> None:
            if self.timeline.now < self.down_until:
                # It looks again and again, since the outage may end before its time.
                self.timeline.after(min(self.down_until - self.timeline.now, 5) + self.random.random(), when_up)
            else:
                act()

        self.timeline.after(seconds * self.random.uniform(0.3, 1.2), when_up)

    # Garbage collector.

    def _owners_live(self, body: Object) -> bool:
        owners = body["metadata"].get("ownerReferences") or ()
        return not owners or any(self._find(owner["uid"]) for owner in owners)

    def _find(self, uid: str) -> bool:
        return any(body["metadata"]["uid"] == uid for objects in self.api.everything() for body in objects.values())

    def _collect_later(self, owner: str) -> None:
        slow = max(0.0, self.slow_gc_until - self.timeline.now)
        self._soon(slow + 0.5, lambda: self._collect(owner))

    def _collect(self, owner: str) -> None:
        for name, job in list(self.api.all(self.jobs).items()):
            if not self._owners_live(job) or (
                job["metadata"].get("finalizers") and not self._pods_of(job["metadata"]["uid"])
            ):
                self.api.remove(self.jobs, name)
        for pod in self._pods_of(owner):
            if pod.ended:
                self._remove(pod)
            else:
                self.api.terminate(self.pods_path, pod.body)

    def _pods_of(self, uid: str) -> list[Pod]:
        return [pod for pod in self.pods.values() if pod.job_uid == uid]

    # Job controller.

    def _sync_later(self, name: str) -> None:
        if name not in self._syncing:
            self._syncing.add(name)
            slow = max(0.0, self.slow_jobs_until - self.timeline.now)
            self._soon(slow + 0.4, lambda: self._sync(name))

    def _sync(self, name: str) -> None:
        self._syncing.discard(name)
        job = self.api.all(self.jobs).get(name)
        uid = job["metadata"]["uid"] if job else ""
        mine = [pod for pod in self.pods.values() if pod.body["metadata"]["labels"][_JOB_NAME] == name]
        for pod in mine:
            if pod.ended and pod.name not in self._counted:
                self._counted.add(pod.name)
                if job and pod.job_uid == uid and not _ended(job):
                    self._count(job, pod)
            if pod.ended and (pod.terminating or pod.job_uid != uid):
                self._remove(pod)
        if job is None or "deletionTimestamp" in job["metadata"] or _ended(job):
            return
        if job["spec"].get("suspend"):
            for pod in mine:
                self.api.terminate(self.pods_path, pod.body)
            return
        if not any(pod.job_uid == uid and not pod.ended for pod in mine):
            self._create_pod(job)

    def _count(self, job: Object, pod: Pod) -> None:
        """The pod's end, as the Job's podFailurePolicy and backoffLimit have it."""
        status = job.setdefault("status", {})
        if pod.body["status"]["phase"] == "Succeeded":
            status["succeeded"] = 1
            self._finish(job, [("SuccessCriteriaMet", "CompletionsReached"), ("Complete", "CompletionsReached")])
            return
        self.failed_pods += not _taken_away(pod.body)
        action = _action(job, pod.body)
        if action == "Ignore":
            self._sync_later(job["metadata"]["name"])
            return
        uid = job["metadata"]["uid"]
        self._failed[uid] = status["failed"] = self._failed.get(uid, 0) + 1
        if action == "FailJob":
            self._finish(job, [("FailureTarget", "PodFailurePolicy"), ("Failed", "PodFailurePolicy")])
        elif self._failed[uid] > job["spec"].get("backoffLimit", 6):
            self._finish(job, [("FailureTarget", "BackoffLimitExceeded"), ("Failed", "BackoffLimitExceeded")])
        else:
            self.api.touch(self.jobs, job)

    def _finish(self, job: Object, conditions: list[tuple[str, str]]) -> None:
        now = timestamp(self.timeline.now)
        job["status"].setdefault("conditions", []).extend(
            {"type": kind, "status": "True", "reason": reason, "message": "simulated", "lastTransitionTime": now}
            for kind, reason in conditions
        )
        self.api.touch(self.jobs, job)

    def _create_pod(self, job: Object) -> None:
        template, metadata = job["spec"]["template"], job["metadata"]
        self._numbers += 1
        name = f"{metadata['name']}-{self._numbers:05d}"
        uid = metadata["uid"]
        order = next(v["value"] for v in template["spec"]["containers"][0]["env"] if v["name"] == "RCAS_JOB")
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": uid, "controller": True}
        body: Object = {
            "metadata": {
                "name": name,
                "labels": {**template["metadata"]["labels"], _JOB_NAME: metadata["name"]},
                "annotations": template["metadata"]["annotations"],
                "ownerReferences": [owner],
            },
            "spec": {"terminationGracePeriodSeconds": template["spec"]["terminationGracePeriodSeconds"]},
            "status": {"phase": "Pending", "conditions": [], "containerStatuses": []},
        }
        pod = self.pods[name] = Pod(body, uid, order)
        job.setdefault("status", {})["active"] = 1
        job["status"].setdefault("startTime", timestamp(self.timeline.now))
        self.api.add(self.pods_path, body)
        self.api.touch(self.jobs, job)
        self._soon(0.3, lambda: self._schedule(pod))

    # Scheduler.

    def _schedule(self, pod: Pod) -> None:
        if pod.ended or pod.ends_terminating:
            return
        node = None if self.timeline.now < self.full_until else self._free_node()
        if node is None:
            if not pod.body["status"]["conditions"]:
                self._condition(pod, "PodScheduled", "False", "Unschedulable", "0/1 nodes are available")
            self._soon(4, lambda: self._schedule(pod))
            return
        pod.node, pod.scheduled_at = node, self.timeline.now
        pod.body["spec"]["nodeName"] = node.name
        pod.body["status"]["conditions"] = []
        self._wait_for_container(pod, "ContainerCreating")
        self._condition(pod, "PodScheduled", "True", "", "")
        self._soon(1.5, lambda: self._start(pod))

    def _free_node(self) -> Node | None:
        for node in self.nodes:
            taken = sum(pod.node is node and not pod.ended for pod in self.pods.values())
            if not node.silent and taken < node.room:
                return node
        return None

    # Kubelets.

    def _start(self, pod: Pod) -> None:
        if pod.ended or pod.ends_terminating or pod.trainer or self._hold_back(pod, lambda: self._start(pod)):
            return
        if pod.troubled and self.timeline.now < pod.troubled[1]:
            if pod.body["status"]["containerStatuses"][0]["state"]["waiting"]["reason"] != pod.troubled[0]:
                self._wait_for_container(pod, pod.troubled[0])
                self.api.touch(self.pods_path, pod.body)
            self._soon(5, lambda: self._start(pod))
            return
        pod.trainer = self._make_trainer(pod, lambda code, words: self._exited(pod, code, words))
        running = {"running": {"startedAt": timestamp(self.timeline.now)}}
        pod.body["status"] |= {"phase": "Running", "containerStatuses": [{"name": "trainer", "state": running}]}
        self.api.touch(self.pods_path, pod.body)
        pod.trainer.start()

    def _wait_for_container(self, pod: Pod, reason: str) -> None:
        waiting = {"waiting": {"reason": reason, "message": "simulated"}}
        pod.body["status"]["containerStatuses"] = [{"name": "trainer", "state": waiting}]

    def _exited(self, pod: Pod, code: int, words: str) -> None:
        """The container has ended; the kubelet will say so."""
        at = self.timeline.now
        self._say(f"{pod.name} exits with {code}")
        self._soon(0.3, lambda: self._report(pod, code, words, at))

    def _report(self, pod: Pod, code: int, words: str, at: float) -> None:
        if pod.ended or self._hold_back(pod, lambda: self._report(pod, code, words, at)):
            return
        reason = "Completed" if code == 0 else "OOMKilled" if words == "OOMKilled" else "Error"
        terminated = {
            "exitCode": code,
            "reason": reason,
            "message": "" if words == "OOMKilled" else words,
            "startedAt": timestamp(pod.scheduled_at or at),
            "finishedAt": timestamp(at),
        }
        pod.body["status"]["containerStatuses"] = [{"name": "trainer", "state": {"terminated": terminated}}]
        self._phase(pod, "Succeeded" if code == 0 else "Failed")

    def _phase(self, pod: Pod, phase: str) -> None:
        pod.body["status"]["phase"] = phase
        self.api.touch(self.pods_path, pod.body)
        self._sync_later(pod.body["metadata"]["labels"][_JOB_NAME])

    def _end(self, pod: Pod) -> None:
        """A pod that is to end: SIGTERM, and SIGKILL after its grace period."""
        if pod.ended or self._hold_back(pod, lambda: self._end(pod)):
            return
        if pod.trainer is None:
            self._phase(pod, "Failed")
            return
        pod.trainer.terminate()
        self.timeline.after(pod.body["metadata"]["deletionGracePeriodSeconds"], lambda: _kill(pod))

    def _hold_back(self, pod: Pod, act: Callable[[], None]) -> bool:
        """Whether the pod's node is silent; its kubelet then acts when it is back."""
        if pod.node is None or not pod.node.silent:
            return False
        pod.node.held_back.append(act)
        return True

    def _remove(self, pod: Pod) -> None:
        self.pods.pop(pod.name, None)
        if pod.trainer:
            pod.trainer.kill()
        self.api.remove(self.pods_path, pod.name)
        self._sync_later(pod.body["metadata"]["labels"][_JOB_NAME])
        self._collect_later(pod.job_uid)

    def _condition(self, pod: Pod, kind: str, status: str, reason: str, message: str) -> None:
        pod.body["status"]["conditions"].append(
            {
                "type": kind,
                "status": status,
                "reason": reason,
                "message": message,
                "lastTransitionTime": timestamp(self.timeline.now),
            }
        )
        self.api.touch(self.pods_path, pod.body)

    # What happens to pods and nodes.

    def disrupt(self, pod: Pod, reason: str) -> None:
        """Take a pod away: evicted, preempted, its node lost."""
        if not pod.ended:
            self._condition(pod, "DisruptionTarget", "True", reason, "simulated")
            self.api.terminate(self.pods_path, pod.body)

    def evict_at_once(self, pod: Pod) -> None:
        """The kubelet takes a pod away because its node runs out of something; the pod stays, failed."""
        if not pod.ended and pod.trainer:
            self._condition(pod, "DisruptionTarget", "True", "TerminationByKubelet", "simulated")
            pod.trainer.kill()

    def lose(self, node: Node, *, dead: bool, cut_off: bool) -> None:
        """A node falls silent; its pods run on, or die with it."""
        node.silent, node.cut_off = True, cut_off
        for pod in [pod for pod in self.pods.values() if pod.node is node]:
            if dead and pod.trainer:
                pod.trainer.kill(words="lost with its node")
        self._soon(UNREACHABLE_S, lambda: self._evict_from(node))

    def _evict_from(self, node: Node) -> None:
        if node.silent:
            for pod in [pod for pod in self.pods.values() if pod.node is node]:
                self._soon(30, lambda pod=pod: self._evict_if_silent(pod))

    def _evict_if_silent(self, pod: Pod) -> None:
        if pod.node and pod.node.silent and pod.name in self.pods and not pod.terminating:
            self.disrupt(pod, "DeletionByTaintManager")

    def bring_back(self, node: Node) -> None:
        """A node is heard again; its kubelet says what happened in the meantime."""
        node.silent = node.cut_off = False
        held_back, node.held_back = node.held_back, []
        for act in held_back:
            self._soon(2, act)


def _kill(pod: Pod) -> None:
    if pod.trainer:
        pod.trainer.kill()


def _ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(found["type"] in {"Complete", "Failed"} for found in conditions)


def _is_disrupted(pod: Object) -> bool:
    return any(found["type"] == "DisruptionTarget" for found in pod["status"]["conditions"])


def _exit_codes(pod: Object) -> set[int]:
    states: list[Any] = [status["state"].get("terminated") for status in pod["status"]["containerStatuses"]]
    return {state["exitCode"] for state in states if state}


def _taken_away(pod: Object) -> bool:
    return _is_disrupted(pod) or EXIT_INTERRUPTED in _exit_codes(pod)


def _action(job: Object, pod: Object) -> str:
    """What the first rule of the podFailurePolicy that fits says of a failed pod."""
    disrupted, codes = _is_disrupted(pod), _exit_codes(pod)
    for rule in job["spec"].get("podFailurePolicy", {}).get("rules", []):
        if (rule.get("onPodConditions") and disrupted) or codes & set(rule.get("onExitCodes", {}).get("values", ())):
            return rule["action"]
    return "Count"
