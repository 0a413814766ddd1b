"""Whatever is read as a spec is accepted, or refused by InvalidSpec with one line; nothing else comes out."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rcas.errors import InvalidSpec
from rcas.spec import SearchSpec, build_spec, parse_spec
from test_spec import VALID

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -1, 0])
    | st.floats()
    | st.text(max_size=8)
    | st.dates()
    | st.binary(max_size=4)
)
KEYS = st.text(max_size=8) | st.sampled_from(sorted(SearchSpec.model_fields)) | st.integers() | st.none() | st.dates()
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)


def accepted(data: Any) -> bool:
    """Whether it is a spec; anything but one clean line is an error of the test."""
    line = complaint(lambda: build_spec(data))
    assert "\n" not in line
    assert not line.startswith(":")
    return not line


def complaint(read: Callable[[], object]) -> str:
    """What InvalidSpec says, nothing if it is not raised; every other error is the test's."""
    try:
        read()
    except InvalidSpec as error:
        return str(error)
    return ""


@settings(deadline=None, max_examples=200)
@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_an_arbitrary_tree_is_refused_cleanly(data: dict[Any, Any]) -> None:
    assert not accepted(data)


@settings(deadline=None, max_examples=200)
@given(st.text() | TREES.map(lambda tree: yaml.safe_dump(tree)))
def test_arbitrary_text_is_refused_cleanly(text: str) -> None:
    with pytest.raises(InvalidSpec) as caught:
        parse_spec(text)
    assert "\n" not in str(caught.value)


def places(node: Any) -> list[list[Any]]:
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [[], *([key, *rest] for key, value in inside for rest in places(value))]


TREE = yaml.safe_load(VALID)
PLACES = places(TREE)


def at(tree: Any, path: list[Any]) -> Any:
    for part in path:
        tree = tree[part]
    return tree


MAPPINGS = [path for path in PLACES if isinstance(at(TREE, path), dict)]


@settings(deadline=None, max_examples=400)
@given(st.sampled_from(PLACES[1:]), TREES)
def test_a_replaced_value_is_accepted_or_refused_cleanly(path: list[Any], value: Any) -> None:
    tree = copy.deepcopy(TREE)
    at(tree, path[:-1])[path[-1]] = value
    accepted(tree)


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(MAPPINGS), KEYS, TREES)
def test_an_added_field_is_accepted_or_refused_cleanly(path: list[Any], key: Any, value: Any) -> None:
    tree = copy.deepcopy(TREE)
    at(tree, path)[key] = value
    accepted(tree)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(VALID) - 1), st.integers(0, 20), st.text(max_size=4))
def test_overwritten_text_is_accepted_or_refused_cleanly(begin: int, length: int, text: str) -> None:
    assert "\n" not in complaint(lambda: parse_spec(VALID[:begin] + text + VALID[begin + length :]))
