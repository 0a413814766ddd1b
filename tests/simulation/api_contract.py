"""What rcas relies on in an API server and what is behind it: the same cases for the simulated and a real one.

Derive from `ApiContract` with a fixture `bed` that gives a `Bed`. Containers do what their order says: they end with
`exit` after `after_s` seconds, or with `on_term` when they are asked to end.
"""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

import pytest

from controller.harness import a_protocol, a_spec
from rcas.errors import Conflict, InvalidSpec
from rcas.evaluation import Task
from rcas.location import S3Location
from rcas.messages import JOB_VARIABLE
from rcas.pod import PodSpec
from rcas.resource import Resource, Status, resource_of
from rcas.runtimes.kubernetes import api as adapter
from rcas.runtimes.kubernetes.api import Api, Expired, NotFound
from rcas.runtimes.kubernetes.jobs import evaluation_job
from rcas.runtimes.kubernetes.namespace import Namespace, jobs_path, pods_path, searches_path

Object = dict[str, Any]
T = TypeVar("T")
GRACE_S = 5
SCRIPT = f"""
import json, os, signal, sys, time
order = json.loads(os.environ["{JOB_VARIABLE}"])
signal.signal(signal.SIGTERM, lambda *_: os._exit(order.get("on_term", 75)))
time.sleep(order.get("after_s", 0))
os._exit(order["exit"])
"""
"""What a real container runs: the trainer's manner of ending, without the trainer."""


class Bed(Protocol):
    """An API server with the controllers behind it, and a namespace of one's own in it."""

    api: Api
    namespace: str
    image: str

    def until(self, what: str, seen: Callable[[], T]) -> T:
        """The first truthy value of `seen`; fails when it takes too long."""
        ...

    def rest(self) -> None:
        """Let a few seconds pass."""
        ...

    def evict(self, pod: str) -> None:
        """Ask for a pod's eviction."""
        ...


class ApiContract:
    """Names of objects are unique over the cases, so that one namespace serves them all."""

    # Objects.

    def test_what_is_created_gets_what_every_object_has(self, bed: Bed) -> None:
        made = a_search(bed, "made")
        assert made["metadata"]["namespace"] == bed.namespace
        assert made["metadata"]["generation"] == 1
        assert {"uid", "resourceVersion", "creationTimestamp"} <= made["metadata"].keys()
        assert bed.api.get(f"{searches(bed)}/made") == made

    def test_refusals_have_their_names(self, bed: Bed) -> None:
        a_search(bed, "twice")
        with pytest.raises(Conflict):
            a_search(bed, "twice")
        with pytest.raises(NotFound):
            bed.api.get(f"{searches(bed)}/nothing")
        with pytest.raises(NotFound):
            bed.api.patch(f"{searches(bed)}/nothing/status", {"status": {"phase": "Running"}})
        body = resource_of(a_spec(), bed.namespace)
        body["metadata"]["name"] = "Not A Name"
        with pytest.raises(InvalidSpec):
            bed.api.create(searches(bed), body)
        bed.api.delete(f"{searches(bed)}/nothing")

    def test_a_merge_takes_away_what_is_null_and_leaves_the_rest(self, bed: Bed) -> None:
        a_search(bed, "merged")
        place = f"{searches(bed)}/merged"
        bed.api.patch(f"{place}/status", {"status": {"phase": "Running", "best": "76.10%", "accepted": 3}})
        found = bed.api.patch(f"{place}/status", {"status": {"best": None, "accepted": 4}})
        assert found["status"] == {"phase": "Running", "accepted": 4}

    def test_the_status_is_no_part_of_the_generation_and_the_spec_is(self, bed: Bed) -> None:
        a_search(bed, "parts")
        place = f"{searches(bed)}/parts"
        before = bed.api.patch(f"{place}/status", {"status": {"phase": "Running"}, "spec": {"pause": True}})
        assert before["metadata"]["generation"] == 1
        assert "pause" not in before["spec"] or before["spec"]["pause"] is False
        after = bed.api.patch(place, {"spec": {"pause": True}, "status": {"phase": "Complete"}})
        assert after["metadata"]["generation"] == 2
        assert after["status"]["phase"] == "Running"

    def test_a_patch_of_an_old_version_is_refused(self, bed: Bed) -> None:
        old = a_search(bed, "moved")
        place = f"{searches(bed)}/moved"
        named = {"metadata": {"resourceVersion": old["metadata"]["resourceVersion"]}}
        new = bed.api.patch(f"{place}/status", {**named, "status": {"phase": "Running"}})
        with pytest.raises(Conflict):
            bed.api.patch(f"{place}/status", {**named, "status": {"phase": "Complete"}})
        assert bed.api.get(place) == new

    def test_a_status_that_arrives_late_does_not_undo_a_newer_one(self, bed: Bed) -> None:
        old = Resource(a_search(bed, "newer"))
        namespace = Namespace(bed.api, bed.namespace)
        namespace.write_status(old, Status(phase="Complete"))
        namespace.write_status(old, Status(phase="Cancelled"))
        assert bed.api.get(f"{searches(bed)}/newer")["status"]["phase"] == "Complete"
        namespace.write_status(namespace.searches[old.uid], Status(phase="Cancelled"))
        assert bed.api.get(f"{searches(bed)}/newer")["status"]["phase"] == "Cancelled"

    def test_a_patch_that_changes_nothing_makes_no_new_version(self, bed: Bed) -> None:
        a_search(bed, "same")
        place, status = f"{searches(bed)}/same/status", {"status": {"phase": "Running"}}
        first, second = bed.api.patch(place, status), bed.api.patch(place, status)
        assert first["metadata"]["resourceVersion"] == second["metadata"]["resourceVersion"]

    # Lists.

    def test_a_list_comes_by_label_in_pages_and_in_the_order_of_names(
        self, bed: Bed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for number in (3, 1, 2, 0):
            a_search(bed, f"page-{number}", labels={"test": "pages"})
        monkeypatch.setattr(adapter, "PAGE", 1)
        found = bed.api.items(searches(bed), labelSelector="test=pages")
        assert names(found) == ["page-0", "page-1", "page-2", "page-3"]

    def test_later_pages_show_what_was_when_the_list_began(self, bed: Bed) -> None:
        for name in ("old-a", "old-b", "old-c"):
            a_search(bed, name, labels={"test": "old"})
        first = bed.api.get(searches(bed), labelSelector="test=old", limit=1)
        bed.api.delete(f"{searches(bed)}/old-b")
        a_search(bed, "old-d", labels={"test": "old"})
        token = first["metadata"]["continue"]
        rest = bed.api.get(searches(bed), labelSelector="test=old", limit=10, **{"continue": token})
        assert names(first["items"]) + names(rest["items"]) == ["old-a", "old-b", "old-c"]
        assert names(bed.api.items(searches(bed), labelSelector="test=old")) == ["old-a", "old-c", "old-d"]

    def test_a_list_from_too_long_ago_has_expired(self, bed: Bed) -> None:
        told = {"v": "meta.k8s.io/v1", "rv": 1, "start": "a\u0000"}
        token = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")

        def expired() -> bool:
            try:
                bed.api.get(searches(bed), limit=1, **{"continue": token})
            except Expired:
                return True
            return False

        # A young server keeps all that it ever knew.
        bed.until("it to expire", expired)

    # Owners.

    def test_a_job_is_gone_at_once_and_its_pods_later(self, bed: Bed) -> None:
        job = a_job(bed, "gone", {"exit": 0, "after_s": 600})
        bed.until("its pod to run", lambda: running(bed, job))
        bed.api.delete(f"{jobs(bed)}/{name_of(job)}")
        with pytest.raises(NotFound):
            bed.api.get(f"{jobs(bed)}/{name_of(job)}")
        bed.until("no pod", lambda: not pods_of(bed, job))

    def test_a_job_deleted_in_the_foreground_waits_for_its_pods(self, bed: Bed) -> None:
        job = a_job(bed, "waits", {"exit": 0, "after_s": 600, "on_term": 0})
        bed.until("its pod to run", lambda: running(bed, job))
        bed.api.delete(f"{jobs(bed)}/{name_of(job)}", propagation="Foreground")
        assert bed.api.get(f"{jobs(bed)}/{name_of(job)}")["metadata"]["deletionTimestamp"]
        bed.until("no Job", lambda: name_of(job) not in names(bed.api.items(jobs(bed))))
        assert pods_of(bed, job) == []

    def test_a_search_takes_its_jobs_and_their_pods_with_it(self, bed: Bed) -> None:
        job = a_job(bed, "owned", {"exit": 0, "after_s": 600})
        bed.until("its pod to run", lambda: running(bed, job))
        bed.api.delete(f"{searches(bed)}/owned")
        bed.until("no Job", lambda: name_of(job) not in names(bed.api.items(jobs(bed))))
        bed.until("no pod", lambda: not pods_of(bed, job))

    def test_a_job_whose_owner_is_gone_goes_too(self, bed: Bed) -> None:
        owner = a_search(bed, "late")
        bed.api.delete(f"{searches(bed)}/late")
        job = bed.api.create(jobs(bed), manifest(bed, owner, {"exit": 0, "after_s": 600}))
        bed.until("no Job", lambda: name_of(job) not in names(bed.api.items(jobs(bed))))

    # Jobs.

    def test_a_pod_says_whose_it_is(self, bed: Bed) -> None:
        job = a_job(bed, "whose", {"exit": 0})
        (pod,) = bed.until("its pod", lambda: pods_of(bed, job))
        assert pod["metadata"]["labels"]["batch.kubernetes.io/job-name"] == name_of(job)
        assert pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
        template = job["spec"]["template"]["metadata"]
        assert template["labels"].items() <= pod["metadata"]["labels"].items()
        assert template["annotations"].items() <= pod["metadata"]["annotations"].items()

    def test_a_job_whose_pod_succeeds_is_complete(self, bed: Bed) -> None:
        job = a_job(bed, "succeeds", {"exit": 0})
        assert bed.until("its end", lambda: ending(bed, job)) == "Complete"
        (pod,) = pods_of(bed, job)
        assert pod["status"]["phase"] == "Succeeded"
        assert terminated(pod)["exitCode"] == 0
        assert {"startedAt", "finishedAt"} <= terminated(pod).keys()

    @pytest.mark.parametrize(
        ("name", "code", "reason"), [("invalid", 2, "PodFailurePolicy"), ("fails", 1, "BackoffLimitExceeded")]
    )
    def test_a_job_whose_pod_fails_has_failed(self, bed: Bed, name: str, code: int, reason: str) -> None:
        job = a_job(bed, name, {"exit": code})
        assert bed.until("its end", lambda: ending(bed, job)) == "Failed"
        found = bed.api.get(f"{jobs(bed)}/{name_of(job)}")["status"]["conditions"]
        assert {one["type"]: one["reason"] for one in found} == {"FailureTarget": reason, "Failed": reason}
        (pod,) = pods_of(bed, job)
        assert pod["status"]["phase"] == "Failed"
        assert terminated(pod)["exitCode"] == code

    def test_an_interrupted_pod_is_followed_by_another(self, bed: Bed) -> None:
        job = a_job(bed, "again", {"exit": 75})
        bed.until("a second pod", lambda: len(pods_of(bed, job)) >= 2)
        assert ending(bed, job) is None

    def test_an_evicted_pod_ends_in_its_own_time_and_then_another_begins(self, bed: Bed) -> None:
        job = a_job(bed, "evicted", {"exit": 0, "after_s": 600})
        (first,) = bed.until("its pod to run", lambda: running(bed, job))
        bed.evict(name_of(first))
        leaving = bed.api.get(f"{pods(bed)}/{name_of(first)}")
        assert leaving["metadata"]["deletionTimestamp"]
        assert leaving["metadata"]["deletionGracePeriodSeconds"] == GRACE_S
        assert ("DisruptionTarget", "EvictionByEvictionAPI") in {
            (one["type"], one.get("reason")) for one in leaving["status"]["conditions"] if one["status"] == "True"
        }

        def other() -> list[Object]:
            living = [pod for pod in pods_of(bed, job) if pod["status"]["phase"] in {"Pending", "Running"}]
            assert len(living) <= 1, "two pods at once"
            return [pod for pod in living if name_of(pod) != name_of(first)]

        bed.until("another pod", other)
        bed.until("the first to be gone", lambda: name_of(first) not in names(pods_of(bed, job)))
        assert ending(bed, job) is None

    def test_a_suspended_job_has_no_pod_until_it_is_let_go(self, bed: Bed) -> None:
        job = a_job(bed, "queued", {"exit": 0, "after_s": 600}, suspend=True)
        bed.rest()
        assert pods_of(bed, job) == []
        bed.api.patch(f"{jobs(bed)}/{name_of(job)}", {"spec": {"suspend": False}})
        bed.until("its pod to run", lambda: running(bed, job))


def searches(bed: Bed) -> str:
    return searches_path(bed.namespace)


def jobs(bed: Bed) -> str:
    return jobs_path(bed.namespace)


def pods(bed: Bed) -> str:
    return pods_path(bed.namespace)


def a_search(bed: Bed, name: str, labels: dict[str, str] | None = None) -> Object:
    body = resource_of(a_spec(name=name), bed.namespace)
    body["metadata"]["labels"] = labels or {"test": "api"}
    return bed.api.create(searches(bed), copy.deepcopy(body))


def a_job(bed: Bed, name: str, order: Object, *, suspend: bool = False) -> Object:
    """A Job of a search of its own, made by the controller's code; its container follows `order`."""
    return bed.api.create(jobs(bed), manifest(bed, a_search(bed, name), order, suspend=suspend))


def manifest(bed: Bed, owner: Object, order: Object, *, suspend: bool = False) -> Object:
    spec = a_spec()
    space, protocol = spec.space.build(), a_protocol(spec)
    key = spec.search(protocol.sha256).key(space.start)
    task = Task(key=key, space=space, network=str(space.start), protocol=protocol)
    pod = PodSpec(
        image=bed.image,
        imagePullPolicy="Never",
        terminationGracePeriodSeconds=GRACE_S,
        resources={"requests": {"cpu": "10m"}},
    )
    job = evaluation_job(Resource(owner), pod, S3Location("bucket", ""), f"{key[:16]}-1", task)
    container = job["spec"]["template"]["spec"]["containers"][0]
    container["command"] = ["python", "-c", SCRIPT]
    next(one for one in container["env"] if one["name"] == JOB_VARIABLE)["value"] = json.dumps(order)
    return job | {"spec": {**job["spec"], "suspend": suspend}}


def name_of(body: Object) -> str:
    return body["metadata"]["name"]


def names(bodies: list[Object]) -> list[str]:
    return [name_of(body) for body in bodies]


def pods_of(bed: Bed, job: Object) -> list[Object]:
    found = bed.api.items(pods(bed), labelSelector=f"batch.kubernetes.io/job-name={name_of(job)}")
    return [pod for pod in found if pod["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]]


def running(bed: Bed, job: Object) -> list[Object]:
    return [pod for pod in pods_of(bed, job) if pod["status"]["phase"] == "Running"]


def terminated(pod: Object) -> Object:
    return pod["status"]["containerStatuses"][0]["state"]["terminated"]


def ending(bed: Bed, job: Object) -> str | None:
    """How a Job has ended, None while it has not."""
    found = bed.api.get(f"{jobs(bed)}/{name_of(job)}").get("status", {}).get("conditions", [])
    return next((one["type"] for one in found if one["type"] in {"Complete", "Failed"}), None)
