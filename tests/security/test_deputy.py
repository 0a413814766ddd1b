"""Who may create searches but not pods gains nothing by the controller's right to create them."""

from __future__ import annotations

from typing import Any

import pytest

from rcas.controller.config import Allowed, Config
from rcas.controller.deputy import check_pod
from rcas.errors import InvalidSpec
from rcas.pod import PodSpec
from rcas.runtimes.kubernetes.namespace import searches_path
from rcas.state import Head, head_name
from security.lab import NAMESPACE, URL, Lab, a_search_spec

OWN = PodSpec.model_validate(
    {
        "image": "trainer:1",
        "serviceAccountName": "rcas-trainer",
        "imagePullSecrets": [{"name": "registry"}],
        "labels": {"team": "a"},
        "envFrom": [{"secretRef": {"name": "rcas-store"}}],
        "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "token", "key": "t"}}}],
        "volumes": [
            {"name": "data", "hostPath": {"path": "/data"}},
            {"name": "ca", "secret": {"secretName": "company-ca"}},
        ],
    }
)
CONFIG = Config(store=URL, pod=OWN)

ATTACKS: dict[str, tuple[dict[str, Any], str]] = {
    "the node's disk": ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "hostPath"),
    "a part of the node's disk that is given otherwise": (
        {"volumes": [{"name": "data", "hostPath": {"path": "/data/../etc"}}]},
        "hostPath",
    ),
    "another machine": ({"volumes": [{"name": "v", "nfs": {"server": "nas", "path": "/"}}]}, "nfs"),
    "a driver with secrets": ({"volumes": [{"name": "v", "csi": {"driver": "secrets-store.csi.k8s.io"}}]}, "csi"),
    "a kind that nobody knows yet": ({"volumes": [{"name": "v", "future": {}}]}, "future"),
    "two kinds, one of them harmless": (
        {"volumes": [{"name": "v", "emptyDir": {}, "hostPath": {"path": "/"}}]},
        "hostPath",
    ),
    "two kinds, one of them named": (
        {"volumes": [{"name": "v", "secret": {"secretName": "company-ca"}, "hostPath": {"path": "/"}}]},
        "secret",
    ),
    "a token of the cluster": (
        {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]},
        "projected",
    ),
    "a Secret as a volume": ({"volumes": [{"name": "v", "secret": {"secretName": "admin"}}]}, "admin"),
    "a Secret in a projected volume": (
        {"volumes": [{"name": "v", "projected": {"sources": [{"configMap": {}}, {"secret": {"name": "admin"}}]}}]},
        "admin",
    ),
    "a Secret's key": (
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "admin", "key": "password"}}}]},
        "admin",
    ),
    "a whole Secret": ({"envFrom": [{"configMapRef": {"name": "x"}}, {"secretRef": {"name": "admin"}}]}, "admin"),
    "a Secret to pull with": ({"imagePullSecrets": [{"name": "admin"}]}, "admin"),
    "a source that nobody knows yet": ({"env": [{"name": "A", "valueFrom": {"vaultRef": {}}}]}, "vaultRef"),
    "an environment that nobody knows yet": ({"envFrom": [{"vaultRef": {"name": "x"}}]}, "vaultRef"),
    "the controller's account": ({"serviceAccountName": "rcas"}, "rcas"),
    "the namespace's account": ({"serviceAccountName": ""}, ""),
    "a label that a Service selects": ({"labels": {"app": "shop"}}, "app"),
    "another value of a given label": ({"labels": {"team": "b"}}, "team"),
    "an annotation that gives a role": (
        {"annotations": {"iam.amazonaws.com/role": "admin"}},
        "iam.amazonaws.com/role",
    ),
}


@pytest.mark.parametrize(("fields", "got"), ATTACKS.values(), ids=ATTACKS)
def test_what_is_not_given_is_refused(fields: dict[str, Any], got: str) -> None:
    pod = PodSpec.model_validate(fields).over(OWN)
    with pytest.raises(InvalidSpec) as caught:
        check_pod(pod, CONFIG)
    assert caught.value.got == got
    assert caught.value.field.startswith(f"pod.{next(iter(fields))}")


EVERYTHING = Allowed(accounts=("*",), secrets=("*",), volumes=("*",), labels=("*",))
NAMED = Allowed(
    accounts=("rcas", ""),
    secrets=("admin",),
    volumes=("hostPath", "nfs", "csi", "future", "emptyDir", "secret", "projected"),
    labels=("app", "team", "iam.amazonaws.com/role"),
)


@pytest.mark.parametrize("allow", [EVERYTHING, NAMED], ids=["everything", "each by its name"])
@pytest.mark.parametrize(("fields", "got"), ATTACKS.values(), ids=ATTACKS)
def test_the_owner_can_allow_it(fields: dict[str, Any], got: str, allow: Allowed) -> None:
    if got == "vaultRef":
        return
    check_pod(PodSpec.model_validate(fields).over(OWN), Config(store=URL, pod=OWN, allow=allow))


HARMLESS: dict[str, Any] = {
    "image": "mine:1",
    "serviceAccountName": "rcas-trainer",
    "resources": {"limits": {"nvidia.com/gpu": 1}},
    "nodeSelector": {"pool": "gpu"},
    "labels": {"team": "a"},
    "env": [
        {"name": "A", "value": "b"},
        {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "x", "key": "y"}}},
        {"name": "D", "valueFrom": {"secretKeyRef": {"name": "rcas-store", "key": "AWS_ACCESS_KEY_ID"}}},
    ],
    "envFrom": [{"prefix": "X_", "configMapRef": {"name": "x"}}],
    "volumes": [
        {"name": "a", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "b", "emptyDir": {"medium": "Memory"}},
        {"name": "c", "configMap": {"name": "x"}},
        {"name": "d", "ephemeral": {"volumeClaimTemplate": {}}},
        {"name": "e"},
    ],
}


def test_what_a_training_needs_is_not_refused() -> None:
    check_pod(PodSpec.model_validate(HARMLESS).over(OWN), CONFIG)
    check_pod(PodSpec().over(OWN), CONFIG)
    check_pod(PodSpec(image="mine:1"), Config(store=URL))


def test_no_job_is_created_for_a_pod_that_is_refused() -> None:
    lab = Lab(config=CONFIG)
    for name, (fields, _) in zip("abcdefghijklmnopqrstuvwxyz", ATTACKS.values(), strict=False):
        lab.submit(f"bad-{name}", a_search_spec(pod=fields))
    lab.turn(3)
    assert not lab.manifests
    phases = {name: found["status"]["phase"] for name, found in lab.server.all(searches_path(NAMESPACE)).items()}
    assert len(phases) == len(ATTACKS)
    assert set(phases.values()) == {"Failed"}


def test_a_pod_that_was_written_into_the_stored_state_is_refused() -> None:
    """A trainer with the controller's credentials can write a state; it must not get more than its own pod by it."""
    lab = Lab(config=CONFIG)
    lab.submit("victim", a_search_spec())
    lab.turn(2)
    assert lab.phase("victim") == "Running"
    name = head_name(f"{NAMESPACE}/victim/{lab.search('victim')['metadata']['uid']}")
    stored = lab.store.get(name)
    assert stored
    head = Head.model_validate_json(stored.data)
    evil = head.state.spec.pod.model_copy(update={"volumes": ({"name": "v", "hostPath": {"path": "/"}},)})
    spec = head.state.spec.model_copy(update={"pod": evil})
    tampered = head.model_copy(update={"state": head.state.model_copy(update={"spec": spec})})
    lab.store.put(name, tampered.model_dump_json().encode(), expected=stored.version)
    # A controller that starts anew believes the state in the store.
    successor = Lab(config=CONFIG, store=lab.store)
    successor.server._collections = lab.server._collections
    successor.operator.searches_changed.set()
    successor.turn(2)
    assert successor.phase("victim") == "Failed"
    assert "hostPath" in successor.why("victim")
    assert not successor.manifests


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    "name",
    [
        "rcas.dev/search",
        "rcas.dev/key",
        "app.kubernetes.io/instance",
        "batch.kubernetes.io/job-name",
        "container.apparmor.security.beta.kubernetes.io/trainer",
    ],
)
def test_labels_and_annotations_of_ours_are_refused_whatever_is_allowed(field: str, name: str) -> None:
    lab = Lab(config=Config(store=URL, pod=PodSpec(image="trainer:1"), allow=EVERYTHING))
    lab.submit("bad", a_search_spec() | {"pod": {field: {name: "x"}}})
    lab.turn(2)
    assert lab.phase("bad") == "Failed"
    assert f"InvalidSpec: pod.{field}: got '{name}'" in lab.why("bad")
    assert not lab.manifests


def test_a_search_cannot_say_what_its_trainers_do() -> None:
    lab = Lab()
    lab.submit("bad", a_search_spec() | {"pod": {"env": [{"name": "RCAS_JOB", "value": "{}"}]}})
    lab.turn(2)
    assert "InvalidSpec: pod.env[0].name: got 'RCAS_JOB'" in lab.why("bad")
    assert not lab.manifests


@pytest.mark.parametrize("asked", [10**6, 10**12])
def test_a_search_takes_no_more_trainings_at_once_than_the_owner_allows(asked: int) -> None:
    """Hundreds of Jobs in one pass would hold up the other searches for minutes."""
    lab = Lab(config=Config(store=URL, pod=PodSpec(image="trainer:1"), most_parallelism=3))
    lab.submit("greedy", a_search_spec(parallelism=asked))
    for _ in range(4):
        lab.turn()
        assert len(lab.jobs()) <= 3
    assert len(lab.manifests) > 3
