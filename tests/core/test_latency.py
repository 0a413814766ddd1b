"""A latency as a further budget: which parts a table must have, their sum, and that every rule obeys the budget."""

from __future__ import annotations

import json
from dataclasses import astuple
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from core import builders
from core.reference import Rules, lazy_greedy
from core.test_greedy import outcome
from rcas import Budget, InvalidSpec, LatencyTable, Network, Search, Space, Stage
from rcas.blocks import BLOCK_TYPES, Block
from rcas.budget import format_latency, parse_latency
from rcas.costs import Cost
from rcas.greedy import RULES, STOP_POLICIES
from rcas.latency import (
    MOST_BLOCKS,
    BlockPart,
    HeadPart,
    StemPart,
    cost_with_latency,
    latency_of_network,
    parts_of,
    parts_of_network,
)

SPACE = builders.small_space(Stage(8, 3, start=(5,)), Stage(24, 2), Stage(16, 2, stride=2, start=(1,)), types=(1, 3))
TABLE = LatencyTable.of({part: 1000 + 7 * index for index, part in enumerate(parts_of(SPACE))})


def all_networks(space: Space) -> list[Network]:
    """Every network that a search in `space` can build."""
    filled = []
    for stage in space.stages:
        free = stage.positions - len(stage.start)
        filled.append(
            [(*stage.start, *rest) for n in range(free + 1) for rest in product(space.block_types, repeat=n)]
        )
    return [Network(stages) for stages in product(*filled)]


@pytest.mark.parametrize(
    "space",
    [
        SPACE,
        builders.small_space(Stage(8, 2), Stage(16, 1), Stage(24, 2), types=(1, 6), image=7),
        builders.small_space(Stage(8, 1, start=(6,)), Stage(16, 2, stride=2, start=(5, 3)), types=(1, 2)),
    ],
)
def test_a_table_needs_just_the_parts_of_the_networks_that_a_search_can_build(space):
    used = {part for network in all_networks(space) for part in parts_of_network(space, network)}
    needed = parts_of(space)
    assert set(needed) == used
    assert len(needed) == len(used)


@pytest.mark.parametrize(("space", "image"), [(Space.cifar(100), 32), (Space.imagenet(1000), 224)])
def test_the_papers_skeletons_need_few_parts(space, image):
    parts = parts_of(space)
    assert parts[0] == StemPart(3, image, image, 32, space.stem.stride, 16)
    assert sum(isinstance(part, BlockPart) for part in parts) == 53
    assert {part.in_channels for part in parts if isinstance(part, HeadPart)} == {160, 320}
    # Stage RC5 may be empty, so the strided block of RC6 receives 64 or 96 channels.
    assert {p.in_channels for p in parts if isinstance(p, BlockPart) and p.out_channels == 160} == {64, 96, 160}


def test_latency_is_the_sum_of_the_parts():
    network = SPACE.network("5,3 / - / 1,1")
    parts = [
        StemPart(1, 8, 8, 8, 1, 8),
        BlockPart(5, 8, 8, 1, 8, 8),
        BlockPart(3, 8, 8, 1, 8, 8),
        BlockPart(1, 8, 16, 2, 8, 8),
        BlockPart(1, 16, 16, 1, 4, 4),
        HeadPart(16, 16, 4, 4, 4),
    ]
    table = LatencyTable.of({part: 10**index for index, part in enumerate(parts)})
    assert latency_of_network(table, SPACE, network) == 111_111
    cost = cost_with_latency(table, SPACE, network)
    assert cost == (*SPACE.cost(network)[:2], 111_111)
    assert cost_with_latency(None, SPACE, network).latency is None


def test_a_part_that_the_table_lacks_is_named():
    lacking = LatencyTable.of({part: 5 for part in TABLE.ns if part != BlockPart(3, 24, 24, 1, 8, 8)})
    said = "a block of type 3, 24 to 24 channels, stride 1, on 8 x 8"
    with pytest.raises(InvalidSpec, match=f"latency.table: got 'no entry', allowed: an entry for {said}"):
        latency_of_network(lacking, SPACE, SPACE.network("5 / 1,3 / 1"))
    # A search is refused at its beginning, not when it comes to that block.
    with pytest.raises(InvalidSpec, match=said):
        Search(SPACE, Budget(latency=10**6), latency_table=lacking)
    assert latency_of_network(lacking, SPACE, SPACE.network("5 / 1 / 1")) == 5 * 5


def test_a_block_with_the_numbers_of_a_stem_is_another_part():
    numbers = (3, 8, 8, 1, 1, 8)
    table = LatencyTable.of({StemPart(*numbers): 1, BlockPart(*numbers): 2})
    assert (table.ns[StemPart(*numbers)], table.ns[BlockPart(*numbers)]) == (1, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"blocks": [{"ns": -1}]}, "greater than or equal to 0"),
        ({"blocks": [{"ns": 1.5}]}, "valid integer"),
        ({"blocks": [{"ns": True}]}, "valid integer"),
        ({"blocks": [{"type": 7}]}, "less than or equal to 6"),
        ({"blocks": [{"name": "a"}]}, "name"),
        ({"blocks": [{}, {"ns": 9}]}, "is there twice"),
        ({"blocks": [{"height": h} for h in range(1, MOST_BLOCKS + 2)]}, "at most 1000"),
        ({"machine": "x" * 201}, "at most 200"),
        ({"watts": 3}, "watts"),
    ],
)
def test_a_table_that_is_none_is_refused(change, said):
    block = {"type": 1, "in_channels": 8, "out_channels": 8, "stride": 1, "height": 8, "width": 8, "ns": 5}
    changed = {"stems": [], "heads": [], **change}
    changed["blocks"] = [block | other for other in changed.get("blocks", [])]
    for read in (LatencyTable.model_validate, lambda found: LatencyTable.model_validate_json(json.dumps(found))):
        with pytest.raises(ValidationError, match=said):
            read(changed)


@st.composite
def timed_problems(draw):
    """A space, any times at all (equal, zero, or such that a block makes the network faster), and a tight budget."""
    space = draw(builders.spaces())
    largest, numbers = draw(st.sampled_from((1, 3, 10**6))), Random(draw(st.integers(0, 2**32)))
    times = {part: numbers.randint(0, largest) for part in parts_of(space)}
    table = LatencyTable.of(times)
    start = latency_of_network(table, space, space.start)
    counts = draw(builders.budgets(space))
    budget = Budget(counts.params, counts.madds, max(1, start + int(draw(st.sampled_from((0, 1, 2, 9))) * largest)))
    function = draw(builders.noisy_functions(space))
    return space, table, budget, function


def plain_times(table: LatencyTable) -> dict[tuple, int]:
    """The table as the reference takes it: by the block as placed, and stem and head by the head's input."""
    stem = next(ns for part, ns in table.entries() if isinstance(part, StemPart))
    return {
        (part.in_channels,) if isinstance(part, HeadPart) else Block(BLOCK_TYPES[part.type], *astuple(part)[1:]): ns
        + stem * isinstance(part, HeadPart)
        for part, ns in table.entries()
        if not isinstance(part, StemPart)
    }


@settings(max_examples=40, deadline=None)
@given(timed_problems())
def test_the_search_follows_the_paper_step_by_step_with_any_table(problem):
    space, table, budget, function = problem
    times = plain_times(table)
    for rule, stop in product(RULES, STOP_POLICIES):
        rules = Rules(space, budget, rule, stop, times=times)
        plain = lazy_greedy(builders.exactly(function), rules)
        search = builders.drive(Search(space, budget, [rule], stop=stop, latency_table=table), function)
        assert outcome(search) == (plain.path, plain.stopped), (rule, stop)


@settings(max_examples=30, deadline=None)
@given(timed_problems())
def test_every_rule_obeys_the_budget_and_goes_on_from_its_stored_state(problem):
    space, table, budget, function = problem
    search = Search(space, budget, RULES, latency_table=table)
    while not search.done:
        for evaluation in search.ask(4, speculate=False):
            assert latency_of_network(table, space, evaluation.network) <= budget.latency
            search.tell(evaluation.key, correct=function(evaluation.network), total=builders.TOTAL)
        stored = search.to_json()
        search = Search.from_json(stored)
        assert search.to_json() == stored
    whole = builders.drive(Search(space, budget, RULES, latency_table=table), function, n=8)
    assert search.result.rules == whole.result.rules
    assert all(point.cost.latency <= budget.latency for rule in whole.result.rules.values() for point in rule.path)


def flat_table(**changed: int) -> tuple[Space, LatencyTable]:
    """A space whose last block is fast behind stage 1 and slow without; 10 ns for everything else."""
    space = builders.small_space(
        Stage(8, 2, start=(5,)), Stage(24, 1), Stage(16, 1, stride=2, start=(1,)), types=(1,)
    )
    times = dict.fromkeys(parts_of(space), 10)
    times[BlockPart(1, 8, 16, 2, 8, 8)] = changed["behind_8"]
    times[BlockPart(1, 24, 16, 2, 8, 8)] = changed["behind_24"]
    return space, LatencyTable.of(times)


def test_a_block_that_did_not_fit_is_picked_once_another_made_the_network_faster():
    space, table = flat_table(behind_8=100, behind_24=1)
    shortcut, second = space.network("5 / 1 / 1"), space.network("5,1 / 1 / 1")
    start = latency_of_network(table, space, space.start)
    assert latency_of_network(table, space, shortcut) < latency_of_network(table, space, second) < start
    budget = Budget(latency=start)
    search = builders.drive(Search(space, budget, ["ALR"], latency_table=table), lambda net: 10 * net.block_count)
    assert [point.network for point in search.result.rules["ALR"].path] == [space.start, shortcut, second]


def test_a_block_that_costs_no_time_has_a_key_and_does_not_hide_a_loss():
    # It saves 89 ns and gains nothing: its key is its gain over one unit. A loss is weighed by that unit too.
    space, table = flat_table(behind_8=100, behind_24=1)
    networks = {"gain": space.network("5,1 / - / 1"), "free": space.network("5 / 1 / 1")}
    for free, taken in ((1, "free"), (-1, "gain")):
        values = {networks["gain"]: 5, networks["free"]: free}
        search = Search(space, Budget(latency=10**6), ["ALR"], latency_table=table, max_blocks=1)
        builders.drive(search, lambda net, values=values: builders.TOTAL // 2 + values.get(net, 0))
        assert search.result.best.network == networks[taken]


def test_joint_weighs_a_latency_by_its_share_of_the_budget():
    space, table = flat_table(behind_8=100, behind_24=300)
    start, slow, fast = space.start, space.network("5 / 1 / 1"), space.network("5,1 / - / 1")
    more = {network: space.params(network) - space.params(start) for network in (slow, fast)}
    # By its params the slow one is worth twice the fast one; it takes 210 ns more, the fast one 10.
    values = {slow: 2 * more[slow], fast: more[fast]}

    def best(limit: int) -> Network:
        budget = Budget(params=1000 * space.params(start), latency=limit)
        search = Search(space, budget, ["JOINT"], latency_table=table, max_blocks=1)
        return builders.drive(search, lambda net: builders.TOTAL // 2 + values.get(net, 0)).result.best.network

    assert best(10**9) == slow
    assert best(400) == fast


def test_a_cost_without_latency_has_none_in_sums_and_differences():
    assert (Cost(5, 5, 9) - Cost(5, 5, 3), Cost(5, 5, 9) + Cost(5, 5, 3)) == (Cost(0, 0, 6), Cost(10, 10, 12))
    assert Cost(5, 5, 9) - Cost(5, 5) == Cost(0, 0, None)


@pytest.mark.parametrize("rules", [["ALR"], ["UC", "ALR"]])
def test_gain_per_latency_needs_a_table(rules):
    with pytest.raises(InvalidSpec, match=r"rules: got 'ALR', allowed: ALR only with latency\.table"):
        Search(SPACE, Budget(params="1M"), rules)
    assert Search(SPACE, Budget(params="1M"), rules, latency_table=TABLE).ask(1)


def test_a_budget_of_latency_needs_a_table_and_room_for_the_start():
    with pytest.raises(InvalidSpec, match=r"budget\.latency: got '12\.0 ms', allowed: .* latency\.table"):
        Search(SPACE, Budget(latency="12ms"))
    start = latency_of_network(TABLE, SPACE, SPACE.start)
    assert Search(SPACE, Budget(latency=start), latency_table=TABLE).ask(1)
    with pytest.raises(
        InvalidSpec, match=rf"budget\.latency: got '{start - 1} ns', allowed: at least {start:,} ns, .* ns\)"
    ):
        Search(SPACE, Budget(latency=start - 1), latency_table=TABLE)


def test_a_budget_of_latency_holds_for_no_network_of_unknown_latency():
    assert Budget(latency=9).fits(Cost(5, 5, 9))
    assert Budget(params=9).fits(Cost(5, 5))
    with pytest.raises(InvalidSpec, match="a network of unknown latency"):
        Budget(latency=9).fits(Cost(5, 5))


def test_a_table_changes_no_key():
    timed, plain = Search(SPACE, Budget(latency="1s"), latency_table=TABLE), Search(SPACE, Budget(params="1M"))
    assert [e.key for e in timed.ask(5)] == [e.key for e in plain.ask(5)]


@pytest.mark.parametrize(
    ("text", "ns", "shown"),
    [
        ("12ms", 12_000_000, "12.0 ms"),
        (" 1.5 s ", 1_500_000_000, "1.50 s"),
        ("850us", 850_000, "850 us"),
        ("0.001us", 1, "1 ns"),
        (12_345_678, 12_345_678, "12.3 ms"),
        ("999.9us", 999_900, "1.00 ms"),
    ],
)
def test_times_are_read_and_said(text, ns, shown):
    assert (parse_latency(text), format_latency(ns)) == (ns, shown)


@pytest.mark.parametrize(
    "text", ["12", "", "ms", "-3ms", "0ms", "0.5ns", "1e3ms", "1_000ms", "12 m", True, 0, 1.5, None, 10**16]
)
def test_what_is_no_time_is_refused(text):
    with pytest.raises(InvalidSpec, match=r"budget\.latency: .*allowed: a time such as 12ms"):
        parse_latency(text, "budget.latency")
