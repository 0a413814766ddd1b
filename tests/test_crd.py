"""The CustomResourceDefinition says what the models say. What a real API server makes of it: tests/cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from charts.bad_searches import BAD, BASE, CHANGES, FULL, GOOD, TIMED
from rcas.blocks import BLOCK_TYPES
from rcas.budget import parse_count
from rcas.crd import crd
from rcas.crd_details import BOUNDS, COUNT_PATTERN, KUBERNETES, MEANINGS, MOST_ITEMS, NEEDED, RULES
from rcas.errors import InvalidSpec
from rcas.resource import MUTABLE_FIELDS, Resource, ResourceSpec, Status, resource_of
from rcas.space import Space
from rcas.spec import build_spec

SCHEMA: dict[str, Any] = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC, STATUS = SCHEMA["properties"]["spec"], SCHEMA["properties"]["status"]
ONLY_THE_SERVER_KNOWS = {"env-number", "no-mount-path", "named", "word-for-truth"}
"""Mistakes in Kubernetes' own objects, which a local spec passes on, and in what only a resource has."""


def nodes(node: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield path, node
    for name, field in node.get("properties", {}).items():
        yield from nodes(field, f"{path}.{name}")
    if "items" in node:
        yield from nodes(node["items"], f"{path}[]")
    if "additionalProperties" in node:
        yield from nodes(node["additionalProperties"], f"{path}.*")


NODES = {**dict(nodes(SPEC, "spec")), **dict(nodes(STATUS, "status"))}


def test_every_field_of_the_models_is_there() -> None:
    assert set(SPEC["properties"]) == set(ResourceSpec.model_fields) - {"name"}
    assert set(STATUS["properties"]) == set(Status.model_fields)
    assert SPEC["required"] == ["space", "budget", "data"]


def test_it_is_structural() -> None:
    for path, node in NODES.items():
        assert ("type" in node) != ("x-kubernetes-int-or-string" in node), path
        assert not {"$ref", "default", "oneOf", "prefixItems", "title"} & set(node), path
        assert isinstance(node.get("exclusiveMinimum", False), bool), path


def test_every_field_has_a_description() -> None:
    assert [
        path for path, node in NODES.items() if not path.endswith(("]", "*")) and not node.get("description")
    ] == []


def test_everything_has_a_size() -> None:
    """Or the API server refuses the rules as too expensive."""
    sizes = {"array": "maxItems", "string": "maxLength"}
    for path, node in NODES.items():
        if "enum" not in node and node.get("type") in sizes:
            assert sizes[node["type"]] in node, path
        if "additionalProperties" in node:
            assert "maxProperties" in node, path


@pytest.mark.parametrize("table", [BOUNDS, MOST_ITEMS, RULES, KUBERNETES, NEEDED, MEANINGS], ids=str)
def test_what_is_added_by_hand_is_added_somewhere(table: dict[str, Any]) -> None:
    assert set(table) <= set(NODES)


def test_defaults_are_told() -> None:
    assert NODES["spec.training.epochs"]["description"].endswith("Default: 10.")
    assert NODES["spec.space.stem.channels"]["description"] == "Output channels of the convolution. Default: 32."
    assert "Default" not in NODES["status.phase"]["description"]


def test_all_fields_but_the_mutable_ones_are_fixed() -> None:
    rules = {rule["fieldPath"]: rule["rule"] for rule in SPEC["x-kubernetes-validations"]}
    fixed = {path for path, rule in rules.items() if "== oldSelf" in rule}
    assert fixed == {f".{name}" for name in SPEC["properties"]} - {f".{name}" for name in MUTABLE_FIELDS}
    tried = {change.field for change in CHANGES.values()} - {""}
    assert tried == {f"spec{path}" for path in rules}, "tests/cluster tries every rule"


def test_bounds_are_those_of_the_space() -> None:
    for field, _, low, high in Space.cifar(10)._ranges():
        path = re.sub(r"\[\d+\]", "[]", field.replace("num_classes", "classes"))
        path = re.sub(r"^input\.\w+$", "input[]", path)
        path += "[]" if path in {"block_types", "stages[].start"} else ""
        node = NODES[f"spec.space.{path}"]
        assert (node["minimum"], node["maximum"]) == (low, high), path
    assert MOST_ITEMS["spec.space.block_types"] == len(BLOCK_TYPES)
    assert MOST_ITEMS["spec.space.stages[].start"] == NODES["spec.space.stages[].positions"]["maximum"]


COUNTS = st.one_of(
    st.from_regex(re.compile(r"\s?\d{1,6}(_\d{1,3})?(\.\d{1,10})?[kKMGBx]?", re.ASCII), fullmatch=True),
    st.text(alphabet="0123456789._kKMGB -", max_size=12),
)


def size(text: str) -> Decimal:
    digits, suffix = re.fullmatch(r"\s*([0-9._]+)([a-zA-Z]?)\s*", text).groups()
    return Decimal(digits) * {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}[suffix]


@given(COUNTS)
def test_counts_are_taken_as_a_local_spec_takes_them(text: str) -> None:
    # The one difference: CEL does no arithmetic on text, so what is beyond 10^15 passes.
    taken = bool(re.fullmatch(COUNT_PATTERN, text)) and bool(re.search("[1-9]", text))
    try:
        parse_count(text)
    except InvalidSpec:
        assert not taken or size(text) > 10**15, text
    else:
        assert taken, text


@pytest.mark.parametrize("name", GOOD)
def test_a_good_search_is_one_locally_too(name: str) -> None:
    build_spec({key: value for key, value in GOOD[name].items() if key not in {"pause", "cancel"}})


@pytest.mark.parametrize("name", sorted(BAD.keys() - ONLY_THE_SERVER_KNOWS))
def test_a_search_that_the_server_refuses_is_refused_locally(name: str) -> None:
    with pytest.raises(InvalidSpec):
        build_spec(BAD[name].spec)


@pytest.mark.parametrize("spec", [BASE, FULL, TIMED], ids=["least", "full", "timed"])
def test_a_resource_made_from_a_spec_has_only_known_fields(spec: dict[str, Any]) -> None:
    fields = {key: value for key, value in spec.items() if key not in {"pause", "cancel"}}
    made = resource_of(build_spec({**fields, "name": "a"}), "default")
    assert set(made["spec"]) == set(fields)
    again = Resource({**made, "metadata": {**made["metadata"], "uid": "u"}}).spec()
    assert again == build_spec({**fields, "name": "a"})
