"""The test bed from Python: the scripts of `bed/`, kubectl, helm, and the processes behind containers."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.client import HTTPResponse
from pathlib import Path
from typing import IO, Any, NamedTuple

from cluster.waiting import until

BED = Path(__file__).with_name("bed")
HOME = Path(os.environ.get("RCAS_CLUSTER_HOME", "/var/cache/rcas-cluster"))
RUN = Path(os.environ.get("RCAS_CLUSTER_RUN", "/run/rcas-cluster"))
KUBECONFIG = RUN / "admin.kubeconfig"
AUDIT_LOG = RUN / "log/audit.log"
S3_URL, S3_KEY, S3_SECRET = "http://10.88.0.1:8333", "rcas", "rcas-test-secret"
NODES = 2

Object = dict[str, Any]


def environment() -> dict[str, str]:
    """For every command: the cluster's binaries, its kubeconfig and its S3, and nothing of the caller's own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RCAS_", "AWS_", "_RCASCTL"))}
    return {
        **kept,
        "PATH": f"{HOME}/bin:{kept['PATH']}",
        "KUBECONFIG": str(KUBECONFIG),
        "STORAGE_DRIVER": "overlay",
        "RCAS_CLUSTER_HOME": str(HOME),
        "RCAS_CLUSTER_RUN": str(RUN),
        "AWS_ENDPOINT_URL_S3": S3_URL,
        "AWS_ACCESS_KEY_ID": S3_KEY,
        "AWS_SECRET_ACCESS_KEY": S3_SECRET,
        "AWS_REGION": "us-east-1",
        "COLUMNS": "200",
    }


def call(*command: object, given: str | None = None, check: bool = True, within_s: float = 120) -> str:
    """Standard output of a command; a failure shows all that it said."""
    done = run(*command, given=given, within_s=within_s)
    assert not check or done.returncode == 0, f"{' '.join(map(str, command))}: {done.stdout}{done.stderr}"
    return done.stdout


def run(*command: object, given: str | None = None, within_s: float = 120) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [str(part) for part in command],
        input=given,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=within_s,
        check=False,
    )


def alone() -> IO[str]:
    """Wait until nobody else uses the cluster for tests; it is ours until the file that is returned is closed."""
    lock = Path("/run/lock/rcas-cluster").open("w")  # noqa: SIM115
    until("another session to end", lambda: _locked(lock), within_s=3000, every_s=5)
    return lock


def _locked(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def up() -> bool:
    """Have the cluster; whether it was started for that."""
    if run(BED / "service", "running", "apiserver").returncode == 0 and ready_nodes() == NODES:
        return False
    call(BED / "up", NODES, within_s=1800)
    return True


def down() -> None:
    """End the cluster."""
    call(BED / "down")


def ready_nodes() -> int:
    """How many nodes are Ready and may be given pods."""
    listed = run("kubectl", "get", "nodes", "--no-headers").stdout
    return sum(line.split()[1] == "Ready" for line in listed.splitlines())


def kubelets_heard_since(moment: float) -> bool:
    """Whether the API server is ready and every kubelet has told it since a moment (s since 1970) that it is alive.

    Until then nodes are Ready only because nobody has noticed that they are not heard of.
    """
    if run("kubectl", "get", "--raw", "/readyz").returncode:
        return False
    listed = run(
        "kubectl", "get", "leases", "-n", "kube-node-lease", "-o", "jsonpath={.items[*].spec.renewTime}"
    ).stdout
    renewed = [datetime.fromisoformat(text).timestamp() for text in listed.split()]
    return len(renewed) == NODES and min(renewed) > moment and ready_nodes() == NODES


def service(action: str, name: str) -> None:
    """Start, stop, kill, pause or continue a part of the cluster."""
    call(BED / "service", action, name)


@contextmanager
def paused(name: str) -> Iterator[None]:
    """A part of the cluster that does not answer: connections stand, nothing comes back."""
    service("pause", name)
    try:
        yield
    finally:
        service("continue", name)


@contextmanager
def killed(name: str) -> Iterator[None]:
    """A part of the cluster that is gone: connections are refused."""
    service("kill", name)
    try:
        yield
    finally:
        service("start", name)


@contextmanager
def lost_node(number: int) -> Iterator[None]:
    """A node that says nothing and whose pods stand still."""
    call(BED / "node", "lose", number)
    try:
        yield
    finally:
        call(BED / "node", "return", number)


def container_pid(pod: Object, container: str | None = None) -> int:
    """The process on this machine that is the first of a pod's container."""
    statuses = pod["status"].get("containerStatuses", [])
    status = next(s for s in statuses if container in {None, s["name"]})
    identity = status["containerID"].removeprefix("containerd://")
    node = pod["spec"]["nodeName"].removeprefix("rcas-")
    tasks = call("ctr", "-a", RUN / node / "containerd.sock", "-n", "k8s.io", "task", "ls")
    lines = (line.split() for line in tasks.splitlines()[1:])
    return next(int(line[1]) for line in lines if line[0] == identity)


def signal_container(pod: Object, number: signal.Signals, container: str | None = None) -> int | None:
    """Signal the container's first process from outside; its pid, or None if it was gone before."""
    try:
        pid = container_pid(pod, container)
        os.kill(pid, number)
    except (StopIteration, KeyError, ProcessLookupError):
        return None
    return pid


def kill_container(pod: Object, container: str | None = None) -> bool:
    """kill -9 the container's first process from outside; False if it was gone before."""
    return signal_container(pod, signal.SIGKILL, container) is not None


class Kubectl:
    """kubectl in one namespace."""

    def __init__(self, namespace: str = "default") -> None:
        self.namespace = namespace

    def __call__(self, *arguments: object, given: str | None = None, check: bool = True, within_s: float = 60) -> str:
        return call("kubectl", "-n", self.namespace, *arguments, given=given, check=check, within_s=within_s)

    def refused(self, *arguments: object, given: str | None = None) -> str:
        """What kubectl says when the API server does not do it."""
        done = run("kubectl", "-n", self.namespace, *arguments, given=given)
        assert done.returncode != 0, done.stdout
        return done.stderr

    def apply(self, *objects: Object) -> None:
        """Create or change objects."""
        if objects:
            body = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
            self("apply", "-f", "-", given=json.dumps(body))

    def get(self, kind: str, name: str) -> Object | None:
        """An object, None if there is none."""
        found = self("get", kind, name, "-o", "json", "--ignore-not-found")
        return json.loads(found) if found else None

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind."""
        return json.loads(self("get", kind, "-o", "json", "-l", selector))["items"]

    def evict(self, pod: str) -> None:
        """Ask for a pod's eviction, as a drain or an autoscaler does."""
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": self.namespace}}
        path = f"/api/v1/namespaces/{self.namespace}/pods/{pod}/eviction"
        self("create", "--raw", path, "-f", "-", given=json.dumps(body))


def audited(user: str) -> list[Object]:
    """Requests of a service account so far, out of the API server's audit log: verb, resource, times ..."""
    needle = json.dumps(user)[1:-1]
    with AUDIT_LOG.open(encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines if needle in line]
    return [event for event in events if event["user"]["username"] == user]


class Answer(NamedTuple):
    """Of the API server: the HTTP status and what came with it."""

    status: int
    body: Object


def ask(method: str, path: str, body: Object | None = None, *, within_s: float = 20) -> Answer:
    """One request to the API server, where kubectl would be too slow or say too little. PATCH merges."""
    try:
        with opened(method, path, body, within_s=within_s) as answer:
            return Answer(answer.status, json.load(answer))
    except urllib.error.HTTPError as error:
        return Answer(error.code, json.load(error))


def opened(method: str, path: str, body: Object | None = None, *, within_s: float = 20) -> HTTPResponse:
    """An answer to be read, such as a watch's, line by line; `within_s`: until the next byte."""
    context = ssl.create_default_context(cafile=str(RUN / "certs/ca.crt"))
    kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
    headers = {"Authorization": "Bearer admin-token", "Content-Type": kind}
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(f"https://127.0.0.1:6443{path}", data, headers, method=method)
    return urllib.request.urlopen(request, context=context, timeout=within_s)
