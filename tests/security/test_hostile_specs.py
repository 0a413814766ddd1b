"""Specs that the API server lets in and that would hang, fill or end a controller: each fails alone, with a word."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rcas.errors import InvalidSpec
from rcas.pod import PodSpec
from rcas.runtimes.kubernetes.api import ClusterUnavailable, parsed
from rcas.runtimes.kubernetes.shallow import DEEPEST
from rcas.spec import build_spec
from security.lab import Lab, a_search_spec


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


def deep(levels: int) -> bytes:
    """A list with one object that is nested so deep; json.dumps could not write it."""
    inner = b'{"a":' * levels + b"1" + b"}" * levels
    return b'{"items":[{"name":"deep","x":%s,"after":[1]},{"name":"other","text":"[{\\"}"}]}' % inner


@pytest.mark.parametrize("levels", [1, 90, 900, 3_000, 9_000, 100_000])
def test_an_object_nested_deep_does_not_hide_the_others_of_a_list(levels: int) -> None:
    found = parsed(deep(levels))["items"]
    assert [one["name"] for one in found] == ["deep", "other"]
    assert found[0]["after"] == [1]
    assert found[1]["text"] == '[{"}'
    if levels < DEEPEST:
        assert found[0]["x"] == nested(levels)


@pytest.mark.parametrize("answer", [b"", b"<html>", b"[1]", b'{"items":[', b"\xff\xfe"])
def test_an_answer_that_is_none_is_an_outage(answer: bytes) -> None:
    with pytest.raises(ClusterUnavailable):
        parsed(answer)


def test_a_search_nested_deep_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab()
    lab.submit("good", a_search_spec())
    lab.submit("bad", a_search_spec(pod={"affinity": {"nodeAffinity": {"x": "@"}}}))
    levels = 5_000
    # As the API server would answer: its own encoder knows no limit of Python's.
    encoded = lab.server._bytes

    def deep_bytes(collection: str, found: Any) -> bytes:
        return encoded(collection, found).replace(b'"@"', b'{"a":' * levels + b"1" + b"}" * levels)

    monkeypatch.setattr(lab.server, "_bytes", deep_bytes)
    lab.run("good")
    assert lab.phase("bad") == "Failed"
    assert "pod.affinity: got 'more than 32 levels'" in lab.why("bad")


@pytest.mark.parametrize("levels", [33, 300, 900])
def test_a_pod_nested_deeper_than_kubernetes_own_is_refused(levels: int) -> None:
    for field in ("affinity", "resources"):
        with pytest.raises(InvalidSpec, match=rf"pod\.{field}: got 'more than 32 levels'"):
            build_spec({"name": "x", **a_search_spec(), "pod": {field: nested(levels)}})
    with pytest.raises(InvalidSpec, match=r"pod\.volumes"):
        build_spec({"name": "x", **a_search_spec(), "pod": {"volumes": [{"name": "v", "csi": nested(levels)}]}})


@pytest.mark.parametrize("cpu", ["inf", "nan", "1e999x", "²", "1\n", "9" * 65, {"a": 1}, [], True, ""])
@pytest.mark.parametrize("kind", ["limits", "requests"])
def test_a_quantity_that_is_none_fails_its_search_alone(kind: str, cpu: Any) -> None:
    lab = Lab()
    spec = a_search_spec() | {"pod": {"resources": {kind: {"cpu": cpu}}}}
    lab.submit("bad", spec)
    lab.submit("good", a_search_spec())
    lab.run("good")
    assert lab.phase("bad") == "Failed"
    assert f"InvalidSpec: pod.resources.{kind}.cpu" in lab.why("bad")


@pytest.mark.parametrize("amounts", ["x", 5, [["cpu", 1]]])
def test_amounts_that_are_no_mapping_are_refused(amounts: Any) -> None:
    with pytest.raises(ValueError, match=r"pod\.resources\.limits"):
        PodSpec(resources={"limits": amounts})


@pytest.mark.parametrize(
    ("resources", "cores", "gpus"),
    [
        ({"limits": {"cpu": "1500m", "nvidia.com/gpu": "2"}}, 1.5, 2),
        ({"requests": {"cpu": 3}, "limits": {"cpu": 4}}, 4.0, 0),
        ({"limits": None, "requests": {"cpu": "0.25"}}, 0.25, 0),
        ({"limits": {"cpu": "1e30", "amd.com/gpu": "9" * 60}}, 1.0, 0),
        ({"limits": {"cpu": "9" * 60, "nvidia.com/gpu": "-1"}}, 1.0, 0),
    ],
)
def test_what_a_pod_holds_is_a_small_number_whatever_it_says(resources: Any, cores: float, gpus: int) -> None:
    pod = PodSpec(resources=resources)
    assert (pod.cores, pod.gpus) == (cores, gpus)


def test_a_space_that_takes_minutes_and_gigabytes_is_refused_at_once() -> None:
    stages = [{"channels": 32 * (1 + number % 2), "positions": 1000, "start": [1]} for number in range(64)]
    space = {"skeleton": "custom", "classes": 10, "input": [3, 32, 32], "stages": stages}
    began = time.monotonic()
    with pytest.raises(InvalidSpec, match=r"space\.stages: got '64000 positions', allowed: at most 1,000 in all"):
        build_spec({"space": space, "budget": {"params": "1G"}, "data": {"dataset": "digits"}})
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("spec", [None, [], "spec", 5, {}, {"pause": 5, "data": [], "rules": "UC"}, {"space": None}])
def test_a_spec_that_no_schema_would_let_in_stops_nobody(spec: Any) -> None:
    lab = Lab()
    lab.submit("bad", spec)
    lab.submit("good", a_search_spec())
    lab.run("good")
    assert lab.phase("bad") == "Failed"
    assert lab.why("bad").startswith("InvalidSpec: ")
    assert json.loads(json.dumps(lab.status("bad"))) == lab.status("bad")
