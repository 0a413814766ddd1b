"""The ask/tell contract: what is asked, in which order results may come, and that nothing is trained twice."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import builders
from rcas import Budget, Conflict, InvalidSpec, Search, Space, Stage
from rcas.greedy import RULES, STOP_POLICIES

SPACE = builders.small_space(
    Stage(8, 4, start=(5,)), Stage(24, 3, stride=2, start=(1,)), Stage(16, 3), types=(1, 3, 6)
)
BUDGET = builders.budget_with_slack(SPACE, 0.7)


def smooth(seed: int) -> builders.SetFunction:
    numbers = random.Random(seed)
    places = [(stage, block) for stage in range(3) for block in (1, 3, 5, 6)]
    weights = {place: [numbers.randint(1, 9000) for _ in range(3)] for place in places}
    return builders.truncated([20_000, 25_000, 30_000], weights, dict.fromkeys(places, 100))


FUNCTIONS = [
    pytest.param(smooth(1), id="smooth"),
    pytest.param(builders.added(smooth(2), builders.noise(2, 800)), id="noisy"),
    pytest.param(builders.noise(3, 3), id="tied"),
]


def a_search(rules=RULES[:4], **changes) -> Search:
    return Search(SPACE, BUDGET, rules, **changes)


def decided(search: Search) -> tuple:
    result = search.result
    return result.best, result.highest, result.rules, result.demanded, result.bound_holds


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("stop", STOP_POLICIES)
@pytest.mark.parametrize("speculate", [True, False])
@pytest.mark.parametrize("workers", [1, 4, 32])
def test_the_outcome_does_not_depend_on_workers_order_or_speculation(function, stop, workers, speculate):
    plain = builders.drive(a_search(stop=stop), function, n=1)
    for seed in range(4):
        search = a_search(stop=stop)
        ended = builders.drive_at_random(search, function, workers, seed, speculate=speculate)
        assert decided(search) == decided(plain)
        assert len(set(ended)) == len(ended)
        assert search.result.evaluations == len(ended)
        if not speculate:
            assert search.result.evaluations == search.result.demanded == plain.result.evaluations


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_rule_finds_alone_what_it_finds_beside_others(function):
    together = builders.drive(a_search(), function, n=4).result
    for rule in RULES[:4]:
        alone = builders.drive(a_search([rule]), function, n=1).result
        assert alone.rules[rule] == together.rules[rule]
    assert together.best == max(
        (found.path[-1] for found in together.rules.values()),
        key=lambda p: (p.accuracy, -p.cost.params, -p.cost.madds),
    )


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_stored_search_goes_on_identically_from_every_step(function):
    numbers, search, results = random.Random(5), a_search(), dict[str, int]()
    undisturbed = builders.drive(a_search(), function, n=5)
    while not search.done:
        asked = search.ask(5)
        stored = search.to_json()
        restored = Search.from_json(stored)
        assert restored.to_json() == stored
        assert restored.ask(9) == search.ask(9)
        assert decided(restored) == decided(search)
        evaluation = numbers.choice(asked)
        results[evaluation.key] = function(evaluation.network)
        # What was asked before the restart may be told after it.
        restored.tell(evaluation.key, correct=results[evaluation.key], total=builders.TOTAL)
        search = restored
    assert decided(search) == decided(undisturbed)
    for key, correct in results.items():
        search.tell(key, correct=correct, total=builders.TOTAL)


@settings(max_examples=25, deadline=None)
@given(builders.spaces().flatmap(lambda s: st.tuples(st.just(s), builders.budgets(s), builders.noisy_functions(s))))
def test_what_is_asked_is_new_distinct_and_led_by_what_decisions_wait_for(problem):
    space, budget, function = problem
    search, told = Search(space, budget, RULES[:4]), set[str]()
    while not search.done:
        asked = search.ask(24)
        keys = [evaluation.key for evaluation in asked]
        assert len(set(keys)) == len(keys)
        assert not told & set(keys)
        assert asked == search.ask(24)
        assert asked[:3] == search.ask(3)
        assert asked[0].demanded
        flags = [evaluation.demanded for evaluation in asked]
        assert flags == sorted(flags, reverse=True)
        assert [e for e in asked if e.demanded] == search.ask(24, speculate=False)
        for evaluation in asked:
            assert budget.fits(space.cost(space.check(evaluation.network)))
        search.tell(asked[-1].key, correct=function(asked[-1].network), total=builders.TOTAL)
        told.add(asked[-1].key)
    assert search.ask(24) == []


def test_speculation_fills_idle_workers():
    search = a_search()
    while len(search.result.rules["UC"].path) < 2:
        for evaluation in search.ask(1):
            search.tell(evaluation.key, correct=smooth(1)(evaluation.network), total=builders.TOTAL)
    assert len(search.ask(16, speculate=False)) < 16 == len(search.ask(16))


def test_a_result_told_twice_changes_nothing_and_another_is_refused():
    search = a_search()
    (first,) = search.ask(1)
    search.tell(first.key, correct=500, total=1000)
    before = search.to_json()
    search.tell(first.key, correct=500, total=1000)
    assert search.to_json() == before
    for correct, total in ((501, 1000), (1, 2)):
        with pytest.raises(Conflict, match=r"501|1, 2"):
            search.tell(first.key, correct=correct, total=total)
    assert search.to_json() == before


@pytest.mark.parametrize(
    "counts", [(-1, 10), (11, 10), (0, 0), (0, -1), (0.5, 1), (1, 2.0), (float("nan"), 1), ("1", 2), (None, 1)]
)
def test_a_result_out_of_range_is_refused_and_not_kept(counts):
    search = a_search()
    (first,) = search.ask(1)
    with pytest.raises(InvalidSpec, match="correct"):
        search.tell(first.key, correct=counts[0], total=counts[1])
    search.tell(first.key, correct=1, total=2)


def test_a_key_that_was_never_asked_for_is_refused():
    search = a_search()
    for key in ("", "0" * 64, search.key(SPACE.network("5,6 / 1 / -"))):
        with pytest.raises(InvalidSpec, match="key"):
            search.tell(key, correct=1, total=2)


def test_positions_that_give_the_same_network_are_trained_once():
    # Six types may stand at three places each, yet the first pass sees twelve networks beside S0.
    space = builders.small_space(
        Stage(8, 4, start=(5,)), Stage(16, 4, stride=2, start=(5,)), types=(1, 2, 3, 4, 5, 6)
    )
    search = Search(space, builders.budget_with_slack(space, 1.2), ["UC"])
    assert len(space.elements) == 36
    assert len(search.ask(100, speculate=False)) == 1 + 12


def test_the_result_tells_the_best_of_the_last_and_the_highest_of_all():
    space = builders.small_space(Stage(8, 3, start=(5,)), types=(1,))
    search = Search(space, builders.budget_with_slack(space, 1.2), ["UC"])
    assert search.result.best is None
    builders.drive(search, lambda network: {1: 50, 2: 70, 3: 60}[network.block_count])
    assert str(search.result.best.network) == "5,1,1"
    assert str(search.result.highest.network) == "5,1"
    assert not search.result.bound_holds


def test_the_bound_is_not_refuted_while_nothing_measured_contradicts_it():
    space = builders.small_space(Stage(8, 3, start=(5,)), types=(1,))
    for accuracies, holds in (({1: 50, 2: 70, 3: 80}, True), ({1: 50, 2: 60, 3: 80}, False)):
        search = Search(space, builders.budget_with_slack(space, 1.2), ["UC"])
        builders.drive(search, lambda network, found=accuracies: found[network.block_count])
        assert search.result.bound_holds is holds


def test_the_class_docstring_example_runs():
    search = Search(Space.cifar(100), Budget(params="2.4M", madds="91.1M"), max_blocks=2)
    builders.drive(search, lambda network: 1000 + network.block_count, n=8)
    assert search.result.best.network.block_count == 6
