"""A damaged state is named as such, whatever the damage; it is never another traceback."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import builders
from core.test_search import a_search, smooth
from rcas import CorruptState, Search


def stored(steps: int = 60) -> str:
    search = a_search(["UC", "APR"], min_gain="0.0001", max_blocks=20, protocol="p", replicate=1)
    for _ in range(steps):
        evaluation = search.ask(6)[-1]
        search.tell(evaluation.key, correct=smooth(1)(evaluation.network), total=builders.TOTAL)
    return search.to_json()


STORED = stored()


def usable_or_corrupt(text: str | bytes) -> bool:
    """Whether it was read; then the search must also work."""
    try:
        search = Search.from_json(text)
    except CorruptState:
        return False
    builders.drive(search, smooth(1), n=8)
    assert search.result.best is not None
    return True


def test_the_undamaged_state_is_read():
    assert usable_or_corrupt(STORED)
    assert usable_or_corrupt(STORED.encode())
    assert any(rule["path"] for rule in json.loads(STORED)["rules"])


@pytest.mark.parametrize(
    "text", ["", "null", "{}", "[]", "nonsense", '{"format":1}', "\ud800", b"\xff\xfe", "[" * 100_000]
)
def test_what_is_no_state_is_corrupt(text):
    with pytest.raises(CorruptState):
        Search.from_json(text)


@given(st.integers(0, len(STORED) - 1))
def test_a_truncated_state_is_corrupt(length):
    with pytest.raises(CorruptState):
        Search.from_json(STORED[:length])


@settings(max_examples=300, deadline=None)
@given(
    st.integers(0, len(STORED) - 1), st.integers(0, 40), st.text(max_size=3) | st.sampled_from(list('0159",:[]{}/-e'))
)
def test_overwritten_characters_are_survived(at, length, text):
    usable_or_corrupt(STORED[:at] + text + STORED[at + length :])


@st.composite
def damaged(draw: st.DrawFn) -> str:
    """The state with one value, at any depth, replaced, doubled or taken out."""
    whole = json.loads(STORED)
    holder, where = {"": whole}, ""
    while isinstance(holder[where], dict | list) and holder[where] and draw(st.integers(0, 9)):
        holder = holder[where]
        where = draw(st.sampled_from(sorted(holder) if isinstance(holder, dict) else range(len(holder))))
    if isinstance(holder, list) and draw(st.booleans()):
        holder.append(holder[where])
    elif holder is not whole and where != "" and draw(st.booleans()):
        del holder[where]
    else:
        scalars = st.sampled_from(
            (None, True, -1, 0, 1, 7, 10**6, 10**30, 0.5, "", "x", "1/0", "1/2", "-1/3", "nan", "UC")
        )
        holder[where] = draw(scalars | st.sampled_from(([], {}, [1, 2], ["5"], {"x": [1, 2]})))
    return json.dumps(whole)


@settings(max_examples=700, deadline=None)
@given(damaged())
def test_a_state_with_one_wrong_value_is_survived(text):
    usable_or_corrupt(text)


def changed(change) -> str:
    whole = json.loads(STORED)
    change(whole)
    return json.dumps(whole)


def first_result(whole: dict) -> str:
    return next(iter(whole["results"]))


CONTRADICTIONS = {
    "a result that a path rests on is missing": lambda w: w["results"].pop("5 / 1 / -"),
    "a result that a path rests on is another": lambda w: w["results"].update({"5 / 1 / -": [1, 2]}),
    "more correct than total": lambda w: w["results"].update({first_result(w): [2, 1]}),
    "no images": lambda w: w["results"].update({first_result(w): [0, 0]}),
    "a network of another space": lambda w: w["results"].update({"5 / 1": [1, 2]}),
    "an accuracy on a path": lambda w: w["rules"][0]["path"][0].__setitem__(2, "1/2"),
    "a gain in a queue": lambda w: w["rules"][0]["queue"][0].__setitem__(2, "1/7"),
    "a gain from the future": lambda w: w["rules"][0]["queue"][0].__setitem__(3, 99),
    "an element missing from a queue": lambda w: w["rules"][0]["queue"].pop(),
    "an element twice in a queue": lambda w: w["rules"][0]["queue"].append(w["rules"][0]["queue"][0]),
    "a position that does not exist": lambda w: w["rules"][0]["path"][0].__setitem__(0, 99),
    "a position taken twice": lambda w: w["rules"][0]["path"].append(w["rules"][0]["path"][0]),
    "a measured network without a result": lambda w: w["rules"][0]["measured"].append("5,1,1,1 / 1 / 6"),
    "a reason to stop that no rule has": lambda w: w["rules"][0].update(stopped="tired"),
    "a rule that never was": lambda w: w["rules"][0].update(rule="BEST"),
    "a rule twice": lambda w: w["rules"].append(w["rules"][0]),
    "a key of another network": lambda w: w["asked"].update({"0" * 64: "5 / 1 / -"}),
    "another protocol": lambda w: w.update(protocol="q"),
    "more broken than checked": lambda w: w["rules"][0].update(monotonicity=[0, 1, "0", "0"]),
    "a budget below the start": lambda w: w["budget"].update(params=5),
    "an unknown field": lambda w: w.update(surprise=1),
    "a future format": lambda w: w.update(format=2),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_parts_that_contradict_each_other_are_corrupt(name):
    with pytest.raises(CorruptState):
        Search.from_json(changed(CONTRADICTIONS[name]))
