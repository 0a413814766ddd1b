"""The lazy queue against plain greedy, on random set functions under every rule and both stops."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import builders
from core.reference import Rules, Trace, lazy_greedy, naive_greedy
from rcas import Budget, InvalidSpec, Search, Space, Stage
from rcas.greedy import RULES, STOP_POLICIES, Tally

POLICIES = list(product(RULES[:4], STOP_POLICIES))
LIMITS = st.sampled_from(((None, None), (None, None), (Fraction(1, 10_000), None), (Fraction(0), 4), (None, 2)))


def searched(function: builders.SetFunction, rules: Rules) -> Search:
    search = Search(
        rules.space,
        rules.budget,
        [rules.rule],
        stop=rules.stop,
        min_gain=rules.min_gain,
        max_blocks=rules.max_blocks,
    )
    return builders.drive(search, function, n=1, speculate=False)


def outcome(search: Search) -> tuple:
    (found,) = search.result.rules.values()
    return [(point.element, point.network) for point in found.path[1:]], found.stopped


@st.composite
def problems(draw: st.DrawFn, functions) -> tuple[Space, Budget, builders.SetFunction, tuple]:
    space = draw(builders.spaces())
    return space, draw(builders.budgets(space)), draw(functions(space)), draw(LIMITS)


@settings(max_examples=1000, deadline=None)
@given(problems(builders.submodular_functions))
def test_lazy_takes_the_path_of_naive_greedy_where_returns_diminish(problem):
    space, budget, function, (min_gain, max_blocks) = problem
    for rule, stop in POLICIES:
        rules = Rules(space, budget, rule, stop, min_gain, max_blocks)
        plain = naive_greedy(builders.exactly(function), rules)
        search = searched(function, rules)
        assert outcome(search) == (plain.path, plain.stopped), (rule, stop)
        assert search.result.rules[rule].submodularity.broken == 0
        assert search.result.evaluations <= plain.evaluations
        if stop == "drop-infeasible" and min_gain is None:
            assert search.result.offered == plain.evaluations


@settings(max_examples=300, deadline=None)
@given(problems(builders.noisy_functions))
def test_lazy_follows_the_paper_step_by_step_on_any_function(problem):
    space, budget, function, (min_gain, max_blocks) = problem
    for rule, stop in POLICIES:
        rules = Rules(space, budget, rule, stop, min_gain, max_blocks)
        plain = lazy_greedy(builders.exactly(function), rules)
        search = searched(function, rules)
        assert outcome(search) == (plain.path, plain.stopped), (rule, stop)
        found = search.result.rules[rule]
        assert found.submodularity == tallied(m.gain - m.stale for m in plain.measured if m.stale is not None)
        assert found.monotonicity == tallied(-m.gain for m in plain.measured)
        assert search.result.bound_holds == (not found.submodularity.broken and not found.monotonicity.broken)
        assert {m.network for m in plain.measured} | {space.start} == set(search.known)


def tallied(excesses) -> Tally:
    excesses = list(excesses)
    broken = [excess for excess in excesses if excess > 0]
    return Tally(len(excesses), len(broken), sum(broken, Fraction(0)), max(broken, default=Fraction(0)))


@settings(max_examples=200, deadline=None)
@given(problems(builders.noisy_functions))
def test_lazy_leaves_the_path_of_naive_greedy_only_where_a_gain_grew(problem):
    space, budget, function, _ = problem
    accuracy = builders.exactly(function)
    for rule, stop in POLICIES:
        rules = Rules(space, budget, rule, stop)
        lazy, naive = lazy_greedy(accuracy, rules), naive_greedy(accuracy, rules)
        if (step := first_difference(lazy, naive)) is None:
            continue
        before = naive.path[step - 1][1] if step else space.start
        winner, network = naive.path[step]
        assert accuracy(network) - accuracy(before) > lazy.stale[step][winner], (rule, stop)


def first_difference(lazy: Trace, naive: Trace) -> int | None:
    """The first step at which both took a block and not the same; else where only one of them ended."""
    steps = zip(lazy.path, naive.path, strict=False)
    return next((i for i, (ours, theirs) in enumerate(steps) if ours != theirs), None)


@settings(max_examples=100, deadline=None)
@given(problems(builders.noisy_functions))
def test_both_budgets_bind_at_every_point_of_every_path(problem):
    space, budget, function, _ = problem
    for stop in STOP_POLICIES:
        search = builders.drive(Search(space, budget, RULES[:4], stop=stop), function, n=8)
        for found in search.result.rules.values():
            for point in found.path:
                assert point.cost == space.cost(point.network)
                assert point.cost.params <= budget.params
                assert point.cost.madds <= budget.madds


def test_a_block_that_did_not_fit_is_picked_once_costs_have_fallen():
    # A block in the narrow middle stage makes the one after it cheap.
    space = builders.small_space(Stage(32, 1, start=(5,)), Stage(8, 1), Stage(24, 2, start=(5,)), types=(1,))
    first, second = space.network("5 / - / 5,1"), space.network("5 / 1 / 5,1")
    budget = Budget(params=space.params(space.start))
    assert space.params(first) > budget.params >= space.params(second)
    search = builders.drive(Search(space, budget, ["APR"]), lambda net: 10 * net.block_count, n=1)
    assert search.result.best.network == second


def test_first_infeasible_ends_where_the_winner_does_not_fit():
    space = builders.small_space(Stage(8, 3, start=(5,)), types=(1, 6))
    cheap, dear = space.network("5,1"), space.network("5,6")
    budget = Budget(params=space.params(dear))

    def prefers_the_dear(network):
        return 100 + sum({1: 1, 5: 0, 6: 50}[block] for block in network.stages[0])

    ends = {
        stop: builders.drive(Search(space, budget, ["UC"], stop=stop), prefers_the_dear).result.rules["UC"]
        for stop in STOP_POLICIES
    }
    assert space.params(cheap) < budget.params
    assert [point.network for point in ends["first-infeasible"].path] == [space.start, dear]
    assert ends["first-infeasible"].stopped == "first-infeasible"
    assert ends["drop-infeasible"].stopped == "budget"


def test_ties_go_to_the_earlier_position_then_to_the_smaller_type():
    space = builders.small_space(types=(5, 3, 1))
    search = builders.drive(Search(space, builders.budget_with_slack(space, 1.2), ["UC"]), lambda _: 7)
    assert [(e.position, e.block) for e in builders.elements_of(search)["UC"][1:]] == [(1, 1), (2, 1), (4, 1), (5, 1)]


def test_of_two_losses_the_cheaper_block_is_taken():
    # Dividing a loss by its cost would prefer the dear block.
    space = builders.small_space(Stage(8, 2, start=(5,)), types=(1, 6))
    search = Search(space, builders.budget_with_slack(space, 1.2), ["APR"])
    builders.drive(search, lambda network: 100 - 5 * (network.block_count - 1))
    assert search.result.best.network == space.network("5,1")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"stop": "never"}, "stop"),
        ({"max_blocks": -1}, "max_blocks"),
        ({"min_gain": "nan"}, "min_gain"),
        ({"min_gain": "much"}, "min_gain"),
        ({"rules": ()}, "rules"),
        ({"rules": ("UC", "UC")}, "rules"),
        ({"rules": ("BEST",)}, "rules"),
        ({"rules": ("JOINT",), "budget": Budget(params=10**6)}, "rules"),
        ({"budget": Budget(params=5, madds=10**9)}, "budget.params"),
        ({"budget": Budget(params=10**6, madds=5)}, "budget.madds"),
    ],
)
def test_a_problem_that_cannot_be_is_refused_by_field(change, field):
    arguments = {"space": builders.small_space(), "budget": Budget(10**6, 10**9)} | change
    with pytest.raises(InvalidSpec) as refused:
        Search(**arguments)
    assert refused.value.field == field


def test_a_budget_below_the_start_says_what_the_start_needs():
    space = Space.cifar(100)
    with pytest.raises(InvalidSpec, match=f"{space.params(space.start):,}"):
        Search(space, Budget("100k", "91.1M"))


def test_max_blocks_zero_measures_the_start_alone():
    space = builders.small_space()
    search = builders.drive(Search(space, Budget(10**6), ["UC"], max_blocks=0), lambda _: 3)
    assert search.result.evaluations == 1
    assert search.result.rules["UC"].stopped == "max-blocks"
