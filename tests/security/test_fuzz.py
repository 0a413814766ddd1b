"""Whatever stands in a Search, a configuration or a trainer's order: one line, and no other search suffers."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.harness import a_protocol, a_spec
from rcas.controller.config import Config, read_config
from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Task, evaluation_key
from rcas.messages import Assignment, Inquiry
from rcas.pod import PodSpec
from rcas.resource import Resource, Status
from rcas_trainer.job import parsed
from security.lab import URL, Lab, a_search_spec

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, -1, 0, 1e308, "\x1b[2J", "inf", "²", "x" * 5000])
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12)
)
NAMES = st.text(max_size=8) | st.sampled_from(
    [
        *PodSpec.model_fields,
        *("name", "valueFrom", "secretKeyRef", "secretRef", "secret", "secretName", "projected", "sources", "limits"),
        *("cpu", "nvidia.com/gpu", "hostPath", "configMapRef", "requests", "rcas.dev/x"),
    ]
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=10
)


def places(node: Any) -> list[list[Any]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [[], *([key, *rest] for key, value in inside for rest in places(value))]


def changed(tree: Any, path: list[Any], value: Any) -> Any:
    tree = copy.deepcopy(tree)
    node = tree
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = value
    return tree


POD: dict[str, Any] = {
    "image": "mine:1",
    "imagePullSecrets": [{"name": "x"}],
    "resources": {"limits": {"cpu": 1, "nvidia.com/gpu": 1}, "requests": {"memory": "1Gi"}},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "labels": {"team": "a"},
    "annotations": {"note": "b"},
    "env": [{"name": "A", "value": "b"}, {"name": "B", "valueFrom": {"secretKeyRef": {"name": "x", "key": "y"}}}],
    "envFrom": [{"prefix": "X", "secretRef": {"name": "x"}}, {"configMapRef": {"name": "x"}}],
    "volumes": [
        {"name": "v", "secret": {"secretName": "x"}},
        {"name": "w", "projected": {"sources": [{"secret": {"name": "x"}}, {"configMap": {"name": "y"}}]}},
        {"name": "p", "persistentVolumeClaim": {"claimName": "x"}},
    ],
    "volumeMounts": [{"name": "v", "mountPath": "/v"}],
    "activeDeadlineSeconds": 100,
}
SPEC: dict[str, Any] = json.loads(
    json.dumps({**a_search_spec(), "pod": POD, "parallelism": 2, "limits": {"hours": 1}})
)


def runs_beside_a_good_one(spec: Any, status: Any = None) -> str:
    """What is said of a search; a good one beside it begins all the same."""
    allow = {"volumes": ["*"], "secrets": ["x"], "labels": ["team", "note"]}
    lab = Lab(config=Config.model_validate({"store": URL, "pod": {"image": "x"}, "allow": allow}))
    lab.submit("odd", spec)
    lab.search("odd")["status"] = status
    lab.submit("good", a_search_spec())
    lab.turn(3)
    assert lab.phase("good") in {"Running", "Complete"}
    json.dumps(lab.status("odd"))
    return lab.why("odd")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([path for path in places(SPEC) if path]), TREES)
@example(["pod", "tolerations", 0, "key"], [])
@example(["pod", "volumes", 1, "projected", "sources", 0], 5)
@example(["pod", "resources", "limits", "cpu"], "inf")
@example(["pod", "resources", "limits", "nvidia.com/gpu"], "²")
def test_a_search_with_any_value_in_any_place_runs_or_fails_alone(path: list[Any], value: Any) -> None:
    why = runs_beside_a_good_one(changed(SPEC, path, value))
    assert "InternalError" not in why, why
    assert why.isprintable()


@settings(deadline=None, max_examples=100)
@given(TREES)
def test_a_search_that_is_anything_fails_alone(spec: Any) -> None:
    assert "InvalidSpec: " in runs_beside_a_good_one(spec)


STATUS: dict[str, Any] = Status(phase="Running", best="76.10%", network="1", params=5).model_dump(mode="json")


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(Status.model_fields)), TREES)
def test_any_status_is_read_or_taken_for_none(field: str, value: Any) -> None:
    """A status is written by controllers, of this version or of another."""
    body = {"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": {}, "status": {**STATUS, field: value}}
    assert isinstance(Resource(body).status(), Status)
    why = runs_beside_a_good_one(a_search_spec(), {**STATUS, field: value})
    assert "InternalError" not in why, why


@settings(deadline=None, max_examples=100)
@given(TREES)
def test_any_object_as_a_search_is_a_resource(spec: Any) -> None:
    found = Resource({"metadata": {"name": "x", "namespace": "n", "uid": "u"}, "spec": spec, "status": spec})
    assert found.pause in {True, False}
    assert isinstance(found.status(), Status)
    with pytest.raises(InvalidSpec):
        found.spec()


CONFIG: dict[str, Any] = {
    "store": URL,
    "pod": POD,
    "allow": {"accounts": ["a"], "secrets": ["b"], "volumes": ["nfs"], "labels": ["team"]},
    "parallelism": 8,
    "most_parallelism": 9,
    "port": 8080,
    "log_format": "json",
    "resync_s": 15,
    "stall_s": 30,
}


@settings(deadline=None, max_examples=300)
@given(st.sampled_from([path for path in places(CONFIG) if path]), TREES)
def test_any_configuration_is_read_or_refused_in_one_line(
    make: pytest.TempPathFactory, path: list[Any], value: Any
) -> None:
    check_config(make, yaml.safe_dump(changed(CONFIG, path, value), allow_unicode=True))


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200) | TREES.map(yaml.safe_dump))
def test_any_text_as_a_configuration_is_refused_in_one_line(make: pytest.TempPathFactory, text: str) -> None:
    assert check_config(make, text)


@settings(deadline=None, max_examples=100)
@given(st.binary(max_size=100))
def test_any_bytes_as_a_configuration_are_refused_in_one_line(make: pytest.TempPathFactory, content: bytes) -> None:
    path = make.getbasetemp() / "config.yaml"
    path.write_bytes(content)
    with pytest.raises(InvalidSpec) as caught:
        read_config(path)
    assert str(caught.value).isprintable()


@pytest.fixture(scope="session")
def make(tmp_path_factory: pytest.TempPathFactory) -> pytest.TempPathFactory:
    return tmp_path_factory


def check_config(make: pytest.TempPathFactory, text: str) -> str:
    """What is said of it, nothing if it is taken."""
    path: Path = make.getbasetemp() / "config.yaml"
    path.write_text(text, encoding="utf-8", errors="surrogatepass")
    said = ""
    try:
        read_config(path)
    except InvalidSpec as error:
        said = str(error)
    assert said.isprintable()
    assert len(said) < 2000
    return said


def a_task() -> Task:
    spec, space = a_spec(), a_spec().space.build()
    protocol = a_protocol(spec)
    key = evaluation_key(space, space.start, protocol.sha256)
    return Task(key=key, space=space, network=str(space.start), protocol=protocol, source=DataSource(path="/data"))


ORDERS: list[Any] = [
    json.loads(Assignment(task=a_task(), result="s3://b/r.json", checkpoint="s3://b/c.pt").model_dump_json()),
    json.loads(Inquiry(draw=a_spec().data.draw(), space=a_spec().space.build(), answer="s3://b/d").model_dump_json()),
]
ORDER_PLACES = [(number, path) for number, order in enumerate(ORDERS) for path in places(order) if path]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(ORDER_PLACES), TREES)
@example((0, ["task", "protocol", "training"]), {"\r": None})
def test_any_order_is_read_or_refused_in_one_line(place: tuple[int, list[Any]], value: Any) -> None:
    number, path = place
    check_order(json.dumps(changed(ORDERS[number], path, value)))


@settings(deadline=None, max_examples=200)
@given(
    st.text(max_size=60) | TREES.map(json.dumps) | st.sampled_from(["[" * 100_000, '{"task":' * 100_000, "1" * 5000])
)
def test_any_text_as_an_order_is_refused_in_one_line(text: str) -> None:
    assert check_order(text)


def check_order(text: str) -> str:
    said = ""
    try:
        parsed(text)
    except InvalidSpec as error:
        said = str(error)
    assert len(said.splitlines()) <= 1
    assert len(said) < 2000
    return said


def test_the_good_one_is_good() -> None:
    """So what is changed in it is what the others see."""
    assert runs_beside_a_good_one(SPEC).startswith("Complete: ")
