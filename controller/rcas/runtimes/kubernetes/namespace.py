"""One namespace as the API server last listed it, and the `Cluster` port of a search over it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rcas.clock import Clock
from rcas.errors import Conflict, SearchFailed
from rcas.evaluation import Task
from rcas.final import FinalTask
from rcas.location import S3Location
from rcas.pod import PodSpec
from rcas.resource import GROUP, PLURAL, VERSION, Resource, Status
from rcas.runtimes.base import Attempt
from rcas.runtimes.kubernetes.api import Api, ClusterUnavailable, NotFound
from rcas.runtimes.kubernetes.jobs import (
    ATTEMPT_ANNOTATION,
    HASH_ANNOTATION,
    SELECTOR,
    UID_LABEL,
    evaluation_job,
    job_name,
)
from rcas.runtimes.kubernetes.observing import attempt_of

Object = dict[str, Any]
_JOB_NAME_LABEL = "batch.kubernetes.io/job-name"


def searches_path(namespace: str) -> str:
    """Path of the namespace's searches."""
    return f"/apis/{GROUP}/{VERSION}/namespaces/{namespace}/{PLURAL}"


def jobs_path(namespace: str) -> str:
    """Path of the namespace's Jobs."""
    return f"/apis/batch/v1/namespaces/{namespace}/jobs"


def pods_path(namespace: str) -> str:
    """Path of the namespace's pods."""
    return f"/api/v1/namespaces/{namespace}/pods"


class Namespace:
    """Searches, Jobs and pods of a namespace. What this process creates and deletes shows at once.

    Attributes:
        searches: by uid.
    """

    def __init__(self, api: Api, name: str) -> None:
        self._api, self.name = api, name
        self.searches: dict[str, Resource] = {}
        self._jobs: dict[str, Object] = {}
        self._pods: dict[str, list[Object]] = {}

    def refresh(self, *, searches: bool = True, pods: bool = True) -> None:
        """List the Jobs anew, and the searches if asked for; the pods also if a Job has ended, since they say why.

        Raises:
            ClusterUnavailable: the API server does not answer, or does not know searches; everything is as it was.
        """
        if searches:
            try:
                found = [Resource(body) for body in self._api.items(searches_path(self.name))]
            except NotFound:
                raise ClusterUnavailable(f"the API server has no {PLURAL}.{GROUP}: install the CRD") from None
        else:
            found = list(self.searches.values())
        jobs = {job["metadata"]["name"]: job for job in self._api.items(jobs_path(self.name), labelSelector=SELECTOR)}
        if pods or any(_has_ended(job) for job in jobs.values()):
            self._pods = defaultdict(list)
            for pod in self._api.items(pods_path(self.name), labelSelector=SELECTOR):
                self._pods[pod["metadata"]["labels"].get(_JOB_NAME_LABEL, "")].append(pod)
        self._jobs = jobs
        # One that waits for its Jobs to go before it goes itself (foreground deletion) must get no new ones.
        self.searches = {
            search.uid: search for search in found if not search.body["metadata"].get("deletionTimestamp")
        }

    def jobs_of(self, search: Resource) -> list[Object]:
        """The Jobs that belong to a search and are not being deleted."""
        return [
            job
            for job in self._jobs.values()
            if job["metadata"]["labels"].get(UID_LABEL) == search.uid
            and search.uid in _owners(job)
            and not job["metadata"].get("deletionTimestamp")
        ]

    def pods_of(self, job: Object) -> Sequence[Object]:
        """The pods of a Job, as last listed."""
        return self._pods.get(job["metadata"]["name"], ())

    def create_job(self, job: Object) -> None:
        """Create a Job, or adopt the equal one that is there because an earlier answer was lost.

        Raises:
            SearchFailed: a foreign Job has its name.
            InvalidSpec: the API server refuses it.
        """
        name = job["metadata"]["name"]
        try:
            created = self._api.create(jobs_path(self.name), job)
        except Conflict:
            created = self._adopted(job)
        self._jobs[name] = created

    def _adopted(self, job: Object) -> Object:
        name = job["metadata"]["name"]
        try:
            found = self._api.get(f"{jobs_path(self.name)}/{name}")
        except NotFound:
            raise ClusterUnavailable(f"the Job {name} was there and is gone again") from None
        if found["metadata"].get("deletionTimestamp"):
            raise ClusterUnavailable(f"an older Job {name} is still being deleted")
        hashes = [(one["metadata"].get("annotations") or {}).get(HASH_ANNOTATION) for one in (job, found)]
        if _owners(found) != _owners(job) or hashes[0] != hashes[1]:
            raise SearchFailed(f"the Job {name} exists, but it is not this search's: delete it")
        return found

    def delete_job(self, name: str) -> None:
        """Delete a Job and its pods; nothing happens if there is none."""
        self._api.delete(f"{jobs_path(self.name)}/{name}")
        self._jobs.pop(name, None)

    def write_status(self, search: Resource, status: Status) -> None:
        """Replace the status of a search as it was last seen.

        One that somebody has changed since keeps its status: the next list shows it, and a status that arrives late,
        after another controller's, must not undo that. One that is gone needs none.
        """
        metadata = {"resourceVersion": search.body["metadata"]["resourceVersion"]}
        fields = dict.fromkeys(Status.model_fields) | status.model_dump(mode="json")
        try:
            written = self._api.patch(
                f"{searches_path(self.name)}/{search.name}/status", {"metadata": metadata, "status": fields}
            )
        except (NotFound, Conflict):
            return
        self.searches[search.uid] = Resource(written)


class JobCluster:
    """The trainings of one search as Jobs.

    Args:
        namespace: that they run in.
        search: that they belong to.
        pod: what the user says about their pods, over the defaults.
        store: where results and checkpoints go.
        stall_s: seconds beyond its grace period after which a pod that should have ended counts as lost.
    """

    def __init__(
        self, namespace: Namespace, search: Resource, pod: PodSpec, store: S3Location, clock: Clock, stall_s: float
    ) -> None:
        self._namespace, self._search, self._pod, self._store = namespace, search, pod, store
        self._clock, self._stall_s = clock, stall_s

    def launch(self, name: str, task: Task | FinalTask) -> None:
        """See `Cluster.launch`."""
        self._namespace.create_job(evaluation_job(self._search, self._pod, self._store, name, task))

    def observe(self) -> list[Attempt]:
        """See `Cluster.observe`."""
        now_s = self._clock.now()
        return [
            attempt_of(job, self._namespace.pods_of(job), now_s, self._stall_s, self._pod.gpus)
            for job in self._namespace.jobs_of(self._search)
            if self._is_attempt(job)
        ]

    def _is_attempt(self, job: Object) -> bool:
        """Whether the controller can have created it: what somebody else did may call itself anything."""
        attempt = str((job["metadata"].get("annotations") or {}).get(ATTEMPT_ANNOTATION, ""))
        named = job["metadata"]["name"] == job_name(self._search, attempt)
        return named and re.fullmatch(r"[0-9a-f]{16}-[0-9]{1,9}", attempt) is not None

    def cancel(self, name: str) -> None:
        """See `Cluster.cancel`. The pod gets its grace period for a checkpoint."""
        self.forget(name)

    def forget(self, name: str) -> None:
        """See `Cluster.forget`."""
        self._namespace.delete_job(job_name(self._search, name))

    def wait(self, seconds: float) -> None:
        """See `Cluster.wait`; here many searches wait at once, elsewhere."""
        raise NotImplementedError(f"the operator waits for all searches at once, not {seconds} s for one")


def _owners(job: Object) -> set[str]:
    return {owner["uid"] for owner in job["metadata"].get("ownerReferences") or ()}


def _has_ended(job: Object) -> bool:
    conditions = (job.get("status") or {}).get("conditions") or ()
    return any(found["type"] in {"Complete", "Failed"} and found["status"] == "True" for found in conditions)
