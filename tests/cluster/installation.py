"""One installation of the chart in a namespace of its own, with a place of its own in the bucket."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from botocore.exceptions import BotoCoreError, ClientError

from cluster import machine
from cluster.buckets import BUCKET
from cluster.images import ROOT, Images
from cluster.machine import Kubectl, Object, call, kill_container, run
from cluster.waiting import until
from rcas.state import Head

RELEASE = "rcas"
CRD = "searches.rcas.dev"
SECRET = "rcas-store"
RCASCTL = Path(sys.executable).with_name("rcasctl")
CONTROLLER = "app.kubernetes.io/name=rcas,app.kubernetes.io/component=controller"
TRAINER = "app.kubernetes.io/name=rcas,app.kubernetes.io/component=trainer"
OURS = "app.kubernetes.io/managed-by=rcas-controller"

DEFAULTS: Object = {
    "space": {
        "skeleton": "custom",
        "classes": 10,
        "input": [1, 8, 8],
        "stem": {"channels": 8, "block_channels": 4},
        "stages": [
            {"channels": 4, "positions": 3, "start": [1]},
            {"channels": 8, "positions": 3, "stride": 2, "start": [1]},
        ],
        "head": {"channels": 16},
        "block_types": [1, 2, 3, 4, 5],
    },
    "budget": {"madds": "110k"},
    "rules": ["UC", "APR"],
    "data": {"dataset": "digits", "validation_per_class": 40, "train_per_class": 40},
    "training": {"epochs": 6, "batch_size": 16, "milestones": [3, 5], "pad": 1, "flip": False},
    "threads": 1,
}
"""What `submit` lays under a spec: 14 to 40 trainings, each of a second or two. The MAdds are what binds.

How many it takes depends on the accuracies, and these on the kind of CPU.
"""
BUDGET = "3.4M"


def values_of(images: Images, namespace: str) -> Object:
    """The chart's values that every installation has. No more is asked for than two cores can give."""
    repository, _, tag = images.controller.rpartition(":")
    requests = {"requests": {"cpu": "50m", "memory": "64Mi"}}
    return {
        "store": {
            "url": f"s3://{BUCKET}/{namespace}",
            "endpoint": machine.S3_URL,
            "region": "us-east-1",
            "addressingStyle": "path",
            "existingSecret": SECRET,
        },
        "image": {"repository": repository, "tag": tag, "pullPolicy": "Never"},
        "trainer": {
            "image": images.trainer,
            "imagePullPolicy": "Never",
            "resources": requests,
            "terminationGracePeriodSeconds": 10,
        },
        "controller": {"parallelism": 3, "logFormat": "text", "resources": requests},
        "searchDefaults": DEFAULTS,
    }


class Installation:
    """The chart in `namespace`; searches there, their state, their pods."""

    def __init__(self, namespace: str, images: Images, s3: Any, *, crds: bool = False) -> None:
        self.namespace, self.images, self.s3 = namespace, images, s3
        self.kubectl = Kubectl(namespace)
        self.values = merged(values_of(images, namespace), {"crds": {"install": crds}})

    def prepare(self) -> None:
        """Make the namespace, which lets in only what Pod Security calls restricted, and the store's Secret."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted", "rcas.dev/test": "true"}
        self.kubectl.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}},
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": SECRET, "namespace": self.namespace},
                "stringData": {"AWS_ACCESS_KEY_ID": machine.S3_KEY, "AWS_SECRET_ACCESS_KEY": machine.S3_SECRET},
            },
        )

    def adopt_crd(self) -> None:
        """A CustomResourceDefinition that an earlier session has left belongs to this release from now on."""
        if self.kubectl.get("crd", CRD):
            owner = (f"meta.helm.sh/release-name={RELEASE}", f"meta.helm.sh/release-namespace={self.namespace}")
            self.kubectl("annotate", "--overwrite", "crd", CRD, *owner)
            self.kubectl("label", "--overwrite", "crd", CRD, "app.kubernetes.io/managed-by=Helm")

    def install(self, changes: Mapping[str, Any] | None = None) -> None:
        """`helm install` and wait until the controller is ready."""
        self._helm("install", changes)

    def upgrade(self, changes: Mapping[str, Any]) -> None:
        """`helm upgrade` with changed values, and wait."""
        self._helm("upgrade", changes)

    def _helm(self, verb: str, changes: Mapping[str, Any] | None) -> None:
        self.values = merged(self.values, changes or {})
        done = run(
            "helm", verb, RELEASE, ROOT / "charts/rcas", "-n", self.namespace, "-f", "-",
            "--wait", "--timeout", "90s",
            given=json.dumps(self.values),
        )  # fmt: skip
        assert done.returncode == 0, f"helm {verb}: {done.stderr}\n{self.standing()}"

    def remove(self) -> None:
        """Take the namespace away, with all that is in it."""
        self.kubectl("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")

    def rcasctl(self, *arguments: object, within_s: float = 60) -> str:
        """Standard output of `rcasctl`, which must succeed."""
        return call(RCASCTL, *arguments, "-n", self.namespace, within_s=within_s)

    def submit(self, name: str, spec: Mapping[str, Any] | None = None) -> None:
        """`rcasctl submit` with the README's budget, and with what else the spec says."""
        self._submit(name, spec)

    def submit_paused(self, name: str, spec: Mapping[str, Any] | None = None) -> None:
        """The same search, but it begins only when it is resumed."""
        made = json.loads(self._submit(name, spec, "--dry-run", "--json"))
        metadata = {field: made["metadata"][field] for field in ("name", "namespace")}
        self.kubectl.apply({**made, "metadata": metadata, "spec": {**made["spec"], "pause": True}})

    def _submit(self, name: str, spec: Mapping[str, Any] | None, *flags: str) -> str:
        file = ["-f", "/dev/stdin"] if spec else []
        return call(
            RCASCTL, "submit", "-n", self.namespace, "--name", name, "--budget-params", BUDGET, *file, *flags,
            given=yaml.safe_dump(dict(spec or {})),
        )  # fmt: skip

    def search(self, name: str) -> Object:
        """The resource."""
        found = self.kubectl.get("searches.rcas.dev", name)
        assert found, f"there is no search {name}"
        return found

    def status(self, name: str) -> Object:
        """Its status, empty at first."""
        return self.search(name).get("status", {})

    def condition(self, name: str, kind: str) -> Object:
        """One of its conditions, empty if it has none of this type."""
        return next((c for c in self.status(name).get("conditions", []) if c["type"] == kind), {})

    def wait_for_phase(self, name: str, *phases: str, within_s: float) -> Object:
        """Its status once it is in one of the phases; at once a failure if it fails instead."""

        def reached() -> Object | None:
            status = self.status(name)
            if status.get("phase") in phases:
                return status
            assert status.get("phase") != "Failed", self.condition(name, "Failed").get("message")
            return None

        return until(f"{name} to be {' or '.join(phases)}", reached, within_s=within_s, every_s=1)

    def wait_for_evaluations(self, name: str, count: int, within_s: float = 120) -> Head:
        """Its state once so many evaluations are known."""
        seen = lambda: (head := self.head(name)) and len(head.state.search.results) >= count and head  # noqa: E731
        return until(f"{count} evaluations of {name}", seen, within_s=within_s, every_s=0.5)

    def head(self, name: str) -> Head | None:
        """Its state as last committed, None if there is none yet."""
        data = self.object(f"searches/{self.namespace}/{name}/{self.uid(name)}/state.json")
        return Head.model_validate_json(data) if data else None

    def uid(self, name: str) -> str:
        """What tells this search from others of its name."""
        return self.search(name)["metadata"]["uid"]

    def object(self, name: str) -> bytes | None:
        """An object of this installation's store."""
        try:
            return self.s3.get_object(Bucket=BUCKET, Key=f"{self.namespace}/{name}")["Body"].read()
        except self.s3.exceptions.NoSuchKey:
            return None

    def put(self, name: str, data: bytes) -> None:
        """Write an object over whatever is there, as nobody should."""
        self.s3.put_object(Bucket=BUCKET, Key=f"{self.namespace}/{name}", Body=data)

    def delete(self, name: str) -> None:
        """Delete an object."""
        self.s3.delete_object(Bucket=BUCKET, Key=f"{self.namespace}/{name}")

    def names(self, prefix: str) -> list[str]:
        """Names of the objects of this installation's store below a prefix; at most 1000."""
        listed = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=f"{self.namespace}/{prefix}")
        return [found["Key"].removeprefix(f"{self.namespace}/") for found in listed.get("Contents", [])]

    def controllers(self) -> list[Object]:
        """Pods of the controller that are not on their way out."""
        return [pod for pod in self.kubectl.list("pods", CONTROLLER) if not pod["metadata"].get("deletionTimestamp")]

    def controller(self) -> Object:
        """The one pod of the controller, once it is ready."""
        one = lambda: (pods := self.controllers()) and len(pods) == 1 and is_ready(pods[0]) and pods[0]  # noqa: E731
        return until("one ready controller", one)

    def trainers(self, *, running: bool = True) -> list[Object]:
        """Pods of trainings; by default those whose container runs."""
        pods = self.kubectl.list("pods", f"{TRAINER},{OURS}")
        return [pod for pod in pods if not running or is_running(pod)]

    def a_trainer(self, *, besides: frozenset[str] = frozenset(), within_s: float = 60) -> Object:
        """A running training whose key is not in `besides`."""

        def other() -> Object | None:
            return next((pod for pod in self.trainers() if key_of(pod) not in besides), None)

        return until("a running training", other, within_s=within_s)

    def kill_controller(self) -> bool:
        """kill -9 the controller's process; False if it was gone before. Then its pod is deleted if its next start
        would be delayed (CrashLoopBackOff)."""
        pod = until("a controller", lambda: next(iter(self.controllers()), None))
        restarts = sum(status["restartCount"] for status in pod["status"].get("containerStatuses", []))
        done = kill_container(pod)
        if done and restarts:
            self.kubectl("delete", "pod", pod["metadata"]["name"], "--grace-period=0", "--force", "--wait=false")
        return done

    def left_over(self) -> list[str]:
        """Jobs and pods of trainings that are still there, and checkpoints whose result is there too.

        Speculation that is given up may leave a checkpoint: the pod writes it when it is told to end.
        """
        objects = [*self.kubectl.list("jobs", OURS), *self.kubectl.list("pods", OURS)]
        ended = {name.removeprefix("results/").removesuffix(".json") for name in self.names("results/")}
        kept = (name for name in self.names("checkpoints/") if name.removeprefix("checkpoints/")[:64] in ended)
        return [*(f"{o['kind']} {o['metadata']['name']}" for o in objects), *kept]

    def standing(self) -> str:
        """What its pods are at, the last words of its controller, and whether the store takes an object."""
        said = self._said(("get", "pods", "-o", "wide"), ("logs", "-l", CONTROLLER, "--tail=5", "--prefix"))
        try:
            self.put("standing", b"")
        except (BotoCoreError, ClientError) as error:
            return f"{said}\nthe store: {error}"
        return f"{said}\nthe store takes objects"

    def report(self) -> str:
        """What there is to see when something went wrong."""
        return self._said(
            ("get", "searches.rcas.dev", "-o", "yaml"),
            ("get", "pods,jobs", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("logs", "-l", CONTROLLER, "--tail=80", "--prefix"),
            ("logs", "-l", OURS, "--tail=5", "--prefix", "--max-log-requests=40"),
        )

    def _said(self, *commands: tuple[str, ...]) -> str:
        """What kubectl commands print, whether they succeed or not."""
        parts = list[str]()
        for command in commands:
            done = run("kubectl", "-n", self.namespace, *command, within_s=20)
            parts.append(f"$ kubectl {' '.join(command)}\n{done.stdout[-12_000:]}{done.stderr[-2_000:]}")
        return "\n".join(parts)

    @cached_property
    def url(self) -> str:
        """Where its store lies."""
        return self.values["store"]["url"]


def merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> Object:
    """Values with some replaced, as helm lays one file over another."""
    both = {**below, **above}
    for name in below.keys() & above.keys():
        if isinstance(below[name], Mapping) and isinstance(above[name], Mapping):
            both[name] = merged(below[name], above[name])
    return both


def is_ready(pod: Object) -> bool:
    """Whether the pod's readiness probe holds."""
    conditions = pod["status"].get("conditions", [])
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def is_running(pod: Object) -> bool:
    """Whether its container runs and nobody has asked it to end."""
    states = [status["state"] for status in pod["status"].get("containerStatuses", [])]
    return bool(states) and "running" in states[0] and not pod["metadata"].get("deletionTimestamp")


def key_of(pod: Object) -> str:
    """The evaluation that a pod trains."""
    return pod["metadata"]["labels"].get("rcas.dev/key", "")
