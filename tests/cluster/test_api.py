"""The adapter of the API server, and Jobs as the `Cluster` port sees them, on the real one. No controller runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import machine
from cluster.machine import Kubectl, Object
from cluster.waiting import until
from controller.harness import a_protocol, a_spec
from rcas.clock import SystemClock
from rcas.crd import crd
from rcas.errors import Conflict, InvalidSpec, SearchFailed
from rcas.evaluation import Task
from rcas.location import S3Location
from rcas.messages import JOB_VARIABLE, Assignment
from rcas.pod import PodSpec
from rcas.resource import Resource, resource_of
from rcas.runtimes.kubernetes import api as adapter
from rcas.runtimes.kubernetes.api import Api, ClusterUnavailable, NotFound, from_kubeconfig
from rcas.runtimes.kubernetes.jobs import HASH_ANNOTATION, evaluation_job
from rcas.runtimes.kubernetes.namespace import JobCluster, Namespace, jobs_path, searches_path

NAMESPACE = "t-api"
MAPS = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
STORE = S3Location.parse("s3://bucket/prefix")
POD = PodSpec(image="localhost/none:1", imagePullPolicy="Never")


@pytest.fixture(scope="module")
def kubectl(cluster: None) -> Iterator[Kubectl]:  # noqa: ARG001
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "rcas.dev/test": "true"}
    found = Kubectl(NAMESPACE)
    found.apply(crd(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    found("wait", "--for=condition=Established", "crd/searches.rcas.dev")
    yield found
    found("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.fixture(scope="module")
def api(kubectl: Kubectl) -> Api:  # noqa: ARG001
    return from_kubeconfig(str(machine.KUBECONFIG), None)[0]


@pytest.fixture
def namespace(api: Api, kubectl: Kubectl) -> Iterator[Namespace]:
    yield Namespace(api, NAMESPACE)
    kubectl("delete", "jobs", "--all", "--wait=true")


@pytest.fixture(scope="module")
def search(api: Api) -> Resource:
    return Resource(api.create(searches_path(NAMESPACE), resource_of(a_spec(), NAMESPACE)))


def a_task(network: str = "") -> Task:
    spec = a_spec()
    space, protocol = spec.space.build(), a_protocol(spec)
    asked = space.network(network) if network else space.start
    return Task(key=spec.search(protocol.sha256).key(asked), space=space, network=str(asked), protocol=protocol)


def a_map(name: str) -> Object:
    return {"metadata": {"name": name}, "data": {"a": "b"}}


def test_a_collection_comes_page_by_page(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"page-{number}" for number in range(8)]
    for name in names:
        api.create(MAPS, a_map(name))
    monkeypatch.setattr(adapter, "PAGE", 3)
    assert [f["metadata"]["name"] for f in api.items(MAPS) if f["metadata"]["name"].startswith("page")] == names


def test_what_the_api_server_refuses_has_a_name(api: Api) -> None:
    api.create(MAPS, a_map("twice"))
    with pytest.raises(Conflict, match="already exists"):
        api.create(MAPS, a_map("twice"))
    with pytest.raises(NotFound):
        api.get(f"{MAPS}/nothing")
    with pytest.raises(InvalidSpec, match=r"metadata\.name"):
        api.create(MAPS, a_map("Not A Name"))
    api.delete(f"{MAPS}/nothing")


@pytest.mark.usefixtures("kubectl")
def test_a_refused_token_is_waited_for(tmp_path: Any) -> None:
    text = machine.KUBECONFIG.read_text().replace("admin-token", "no-token")
    (tmp_path / "kubeconfig").write_text(text)
    with pytest.raises(ClusterUnavailable, match="Unauthorized"):
        from_kubeconfig(str(tmp_path / "kubeconfig"), None)[0].get(f"{MAPS}/x")


def test_a_watch_tells_what_happens(api: Api) -> None:
    api.create(MAPS, a_map("watched"))
    lines = api.lines(MAPS, 30, watch=1, fieldSelector="metadata.name=watched", timeoutSeconds=20)
    assert json.loads(next(lines))["type"] == "ADDED"
    api.delete(f"{MAPS}/watched")
    assert json.loads(next(lines))["type"] == "DELETED"


def test_an_api_server_that_is_gone_is_unavailable_and_comes_back(api: Api) -> None:
    with machine.killed("apiserver"), pytest.raises(ClusterUnavailable, match="does not answer"):
        api.items(MAPS)

    def answers() -> bool:
        try:
            return api.text("/readyz") == "ok"
        except ClusterUnavailable:
            return False

    until("the API server to answer again", answers)


def test_an_attempt_is_one_job_however_often_it_is_launched(namespace: Namespace, search: Resource) -> None:
    task, clock = a_task(), SystemClock()
    jobs = JobCluster(namespace, search, POD, STORE, clock, 30)
    jobs.launch(f"{task.key[:16]}-1", task)
    jobs.launch(f"{task.key[:16]}-1", task)
    # Another controller, whose creation was answered to nobody, adopts it.
    other = Namespace(from_kubeconfig(str(machine.KUBECONFIG), None)[0], NAMESPACE)
    JobCluster(other, search, POD, STORE, clock, 30).launch(f"{task.key[:16]}-1", task)
    namespace.refresh()
    attempts = jobs.observe()
    assert [(a.name, a.key, a.outcome) for a in attempts] == [(f"{task.key[:16]}-1", task.key, None)]
    jobs.forget(f"{task.key[:16]}-1")
    assert jobs.observe() == []
    namespace.refresh()
    assert jobs.observe() == []
    jobs.cancel(f"{task.key[:16]}-1")


def test_the_job_hands_over_the_task_and_belongs_to_the_search(namespace: Namespace, search: Resource) -> None:
    task = a_task()
    namespace.create_job(evaluation_job(search, POD, STORE, f"{task.key[:16]}-1", task))
    namespace.refresh()
    (job,) = namespace.jobs_of(search)
    container = job["spec"]["template"]["spec"]["containers"][0]
    order = next(variable["value"] for variable in container["env"] if variable["name"] == JOB_VARIABLE)
    assert Assignment.model_validate_json(order) == Assignment(
        task=task,
        result=f"s3://bucket/prefix/results/{task.key}.json",
        checkpoint=f"s3://bucket/prefix/checkpoints/{task.key}.pt",
    )
    assert job["metadata"]["ownerReferences"][0]["uid"] == search.uid
    # Pod Security lets the pod in: the namespace is restricted.
    until("its pod", lambda: Kubectl(NAMESPACE).list("pods", f"job-name={job['metadata']['name']}"))


def test_a_foreign_job_of_that_name_is_not_adopted(namespace: Namespace, search: Resource, api: Api) -> None:
    task = a_task("1,5 / 1")
    job = evaluation_job(search, POD, STORE, f"{task.key[:16]}-1", task)
    foreign = json.loads(json.dumps(job))
    del foreign["metadata"]["ownerReferences"]
    api.create(jobs_path(NAMESPACE), foreign)
    with pytest.raises(SearchFailed, match="is not this search's"):
        namespace.create_job(job)
    namespace.refresh()
    assert namespace.jobs_of(search) == []


def test_a_changed_job_of_that_name_is_not_adopted(namespace: Namespace, search: Resource, api: Api) -> None:
    task = a_task("1 / 1,5")
    job = evaluation_job(search, POD, STORE, f"{task.key[:16]}-1", task)
    changed = json.loads(json.dumps(job))
    changed["metadata"]["annotations"][HASH_ANNOTATION] = "0" * 64
    api.create(jobs_path(NAMESPACE), changed)
    with pytest.raises(SearchFailed, match="is not this search's"):
        namespace.create_job(job)


def test_every_field_of_the_pod_reaches_kubernetes(search: Resource, api: Api) -> None:
    pod = PodSpec(
        image="localhost/none:1",
        imagePullPolicy="IfNotPresent",
        imagePullSecrets=({"name": "registry"},),
        resources={"limits": {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": 1}},
        nodeSelector={"pool": "spot"},
        tolerations=({"key": "spot", "operator": "Exists", "effect": "NoSchedule"},),
        affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [
            {"matchExpressions": [{"key": "pool", "operator": "Exists"}]}]}}},
        priorityClassName="system-node-critical",
        runtimeClassName="nvidia",
        serviceAccountName="trainer",
        labels={"team": "vision"},
        annotations={"note": "x"},
        env=({"name": "A", "value": "b"},),
        envFrom=({"secretRef": {"name": "s3"}},),
        volumes=({"name": "data", "persistentVolumeClaim": {"claimName": "data", "readOnly": True}},),
        volumeMounts=({"name": "data", "mountPath": "/data", "readOnly": True},),
        queueName="gpu-queue",
        activeDeadlineSeconds=3600,
        terminationGracePeriodSeconds=90,
    )  # fmt: skip
    job = evaluation_job(search, pod, STORE, "0123456789abcdef-1", a_task())
    created = api.create(jobs_path(NAMESPACE), job, dryRun="All", fieldValidation="Strict")
    inner = created["spec"]["template"]["spec"]
    container = inner["containers"][0]
    assert created["spec"]["suspend"] is True
    assert created["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "gpu-queue"
    for field in ("nodeSelector", "affinity", "priorityClassName", "runtimeClassName", "serviceAccountName",
                  "activeDeadlineSeconds", "terminationGracePeriodSeconds"):  # fmt: skip
        assert inner[field] == getattr(pod, field), field
    assert container["resources"]["limits"] == {"cpu": "2", "memory": "1Gi", "nvidia.com/gpu": "1"}
    assert {"name": "A", "value": "b"} in container["env"]
    assert {"name": "OMP_NUM_THREADS", "value": "2"} in container["env"]
    assert {"key": "spot", "operator": "Exists", "effect": "NoSchedule"} in inner["tolerations"]
    assert inner["automountServiceAccountToken"] is False
    assert created["spec"]["template"]["metadata"]["labels"]["team"] == "vision"


def test_a_search_on_its_way_out_is_none(namespace: Namespace, api: Api, kubectl: Kubectl) -> None:
    body = resource_of(a_spec(name="leaving"), NAMESPACE)
    body["metadata"]["finalizers"] = ["rcas.dev/test"]
    uid = api.create(searches_path(NAMESPACE), body)["metadata"]["uid"]
    namespace.refresh()
    assert uid in namespace.searches
    kubectl("delete", "rcas", "leaving", "--wait=false")
    namespace.refresh()
    assert uid not in namespace.searches
    api.patch(f"{searches_path(NAMESPACE)}/leaving", {"metadata": {"finalizers": None}})


def test_two_clients_share_what_the_rate_limit_gives() -> None:
    limit = adapter.RateLimit(per_s=50, burst=5)
    import time

    began = time.monotonic()
    for _ in range(30):
        limit.take()
    assert time.monotonic() - began >= 0.45
