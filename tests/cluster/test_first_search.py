"""From nothing to a finished search by the README's three lines, and what rcasctl then says about it."""

from __future__ import annotations

import json

from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, best
from cluster.installation import Installation


def test_three_lines_are_enough(first: Installation, reference: Outcome):
    assert reference.head.state.phase == "Complete"
    assert len(reference.head.state.search.results) >= 14
    assert_counted_once(reference)
    assert reference.head.state.counters.reused == 0
    assert_nothing_left(first)


def test_it_is_shown_as_a_local_one_is(first: Installation, reference: Outcome):
    network, accuracy = best(reference)
    told = json.loads(first.rcasctl("result", reference.name, "--json"))
    assert told["best"]["network"] == str(network)
    assert f"{float(accuracy) * 100:.2f}%" in first.rcasctl("status", reference.name)
    assert reference.name in first.rcasctl("list")
    assert str(network) in first.rcasctl("explain", reference.name)
