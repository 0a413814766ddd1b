"""Searches without a latency decide, name their trainings and are stored as before there was one.

stored/two-budgets.json was written by that version (ec65c59).
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from controller.harness import a_protocol
from core import builders
from core.test_search import BUDGET, SPACE
from rcas import Search
from rcas.controller.step import new_state
from rcas.spec import build_spec
from rcas.state import parse_head

STORED = json.loads((Path(__file__).parent / "stored/two-budgets.json").read_text(encoding="utf-8"))
PLACES = [(stage, block) for stage in range(3) for block in (1, 3, 5, 6)]
FUNCTION = builders.added(
    builders.truncated(
        [20_000, 25_000],
        {(stage, block): [900 * block + 40 * stage, 700 + 300 * stage * block] for stage, block in PLACES},
        dict.fromkeys(PLACES, 100),
    ),
    builders.noise(7, 700),
)


@pytest.mark.parametrize("stored", STORED["searches"], ids=lambda stored: stored["stop"])
def test_the_same_is_asked_decided_and_stored(stored):
    rules = ("UC", "APR", "AMR", "JOINT")
    search, asked, states = Search(SPACE, BUDGET, rules, stop=stored["stop"], protocol="p", min_gain="-0.02"), [], []
    while not search.done:
        for evaluation in search.ask(3):
            asked.append([evaluation.key, str(evaluation.network)])
            search.tell(evaluation.key, correct=FUNCTION(evaluation.network), total=builders.TOTAL)
            states.append(search.to_json())
    assert asked == stored["asked"]
    assert states[39] == stored["middle"]
    assert states[-1] == stored["end"]
    assert Search.from_json(stored["middle"]).to_json() == stored["middle"]


def test_the_same_head_is_written_and_read():
    spec = build_spec(STORED["spec"])
    head = parse_head(STORED["head"].encode(), "tiny")
    assert head.state == new_state(spec, a_protocol(spec), 1000.0)
    assert head.model_dump_json() == STORED["head"]
