"""The other ways to choose networks, on made-up accuracies."""

from __future__ import annotations

import random
from fractions import Fraction
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import builders
from core.reference import Rules, naive_greedy
from rcas import Budget, Conflict, InvalidSpec, Network, Search, Space
from rcas.baselines import evolution, mobilenetv2
from rcas.baselines.methods import METHODS, Method, build
from rcas.baselines.plain_greedy import PlainGreedy
from rcas.baselines.strategy import Strategy
from rcas.greedy import RULES, Problem
from rcas.rehearsal import Accuracy, imagined

RULES_OF_THE_PAPER = ("UC", "APR", "AMR")


def a_problem(share: float = 0.6, **changes) -> Problem:
    space = builders.small_space(
        *(builders.Stage(8, 4, start=(5,)), builders.Stage(16, 4, stride=2, start=(1,))), types=(1, 2, 3, 5)
    )
    return Problem(space, builders.budget_with_slack(space, share), **changes)


def built(method: Method, problem: Problem, limit: int = 40, seed: int = 0) -> Strategy:
    return build(method, problem, RULES_OF_THE_PAPER, limit=limit, seed=seed)


def exactly(function: builders.SetFunction):
    return builders.exactly(function)


def drive(strategy: Strategy, accuracy, workers: int = 1, seed: int = 0) -> Strategy:
    """Train as many at once as there are workers; they end in an order drawn by the seed."""
    numbers, running = random.Random(seed), list[Network]()
    while True:
        for network in strategy.ask(workers):
            if network not in running and len(running) < workers:
                running.append(network)
        if not running:
            return strategy
        network = running.pop(numbers.randrange(len(running)))
        strategy.tell(network, accuracy(network))


def measured(function: Accuracy):
    return lambda network: Fraction(*function(network))


def noisy(seed: int = 0):
    return exactly(builders.noise(seed, 100_000))


@pytest.mark.parametrize("method", ["random", "evolution", "greedy"])
def test_as_many_different_networks_as_allowed_and_every_one_fits(method):
    problem = a_problem()
    strategy = drive(built(method, problem), noisy())
    order = strategy.order
    assert len(set(order)) == len(order) <= 40
    assert len(order) == 40 or strategy.stopped != "trainings" or method == "greedy"
    for network in order:
        assert problem.budget.fits(problem.space.cost(problem.space.check(network)))
    assert strategy.answer in strategy.known


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_nothing_that_is_asked_for_breaks_a_budget_in_any_space(data):
    space = data.draw(builders.spaces())
    problem = Problem(space, data.draw(builders.budgets(space)), max_blocks=data.draw(st.sampled_from((None, 0, 2))))
    for method in ("random", "evolution", "greedy"):
        strategy = drive(built(method, problem, limit=25), noisy())
        assert strategy.order
        assert strategy.stopped
        for network in strategy.order:
            assert problem.budget.fits(space.cost(space.check(network)))
            assert problem.max_blocks is None or network.block_count - space.start.block_count <= problem.max_blocks


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("workers", [2, 3, 7, 40])
def test_workers_and_the_order_in_which_they_end_change_nothing(method, workers):
    problem = a_problem()
    alone = drive(built(method, problem), noisy())
    together = drive(built(method, problem), noisy(), workers, seed=workers)
    assert together.order == alone.order
    assert together.answer == alone.answer
    assert together.stopped == alone.stopped


@pytest.mark.parametrize("method", ["random", "evolution", "greedy"])
def test_a_run_with_more_trainings_begins_with_those_of_a_shorter_one(method):
    problem = a_problem()
    short, long = (drive(built(method, problem, limit), noisy()).order for limit in (22, 40))
    assert long[: len(short)] == short


@pytest.mark.parametrize("method", ["random", "evolution"])
def test_another_seed_is_another_run(method):
    problem = a_problem()
    assert (
        drive(built(method, problem, seed=0), noisy()).order != drive(built(method, problem, seed=1), noisy()).order
    )


@pytest.mark.parametrize("method", ["random", "evolution"])
def test_a_network_that_is_drawn_or_bred_leaves_no_room_for_a_block(method):
    problem = a_problem()
    for network in drive(built(method, problem), noisy()).order:
        assert not [
            n for n in evolution.additions(problem.space, network) if problem.budget.fits(problem.space.cost(n))
        ]


def test_random_search_ends_where_there_is_nothing_new():
    space = builders.small_space(builders.Stage(8, 2, start=(5,)), builders.Stage(16, 1), types=(1, 3))
    strategy = drive(built("random", Problem(space, Budget(params="1M")), limit=50), noisy())
    assert strategy.stopped == "exhausted"
    assert len(strategy.order) == 4, "one free position in each of two stages, two types"


def test_evolution_begins_with_the_networks_of_random_search():
    problem = a_problem()
    drawn = drive(built("random", problem), noisy()).order
    bred = drive(built("evolution", problem), noisy()).order
    assert bred[: evolution.POPULATION] == drawn[: evolution.POPULATION]


def test_a_child_is_a_member_changed_once_and_filled():
    problem = a_problem()
    order = drive(built("evolution", problem), noisy()).order
    for number in range(evolution.POPULATION, len(order)):
        settled = order[: number - evolution.IN_FLIGHT + 1]
        changed = {
            child
            for parent in settled[-evolution.POPULATION :]
            for kind in evolution.CHANGES
            for child in kind(problem.space, parent)
            if problem.budget.fits(problem.space.cost(child))
        }
        grown = any(one.can_grow_into(order[number]) for one in changed)
        assert grown, "of a member that has died, or was not known yet"


def test_each_change_does_what_its_name_says():
    space = a_problem().space
    network = space.network("5,1,2 / 1,3")
    start, count = space.start, network.block_count
    for kind, blocks in zip(evolution.CHANGES, (count + 1, count - 1, count, count), strict=True):
        children = set(kind(space, network))
        assert children
        for child in children:
            assert space.check(child).block_count == blocks
            assert start.can_grow_into(child), "the start blocks stay"
    assert space.network("5,3 / 1,1,2,3") not in set(evolution.moves(space, network)), "two blocks moved"
    assert space.network("5,1 / 1,2,3") in set(evolution.moves(space, network))
    assert space.network("5,1,5 / 1,3") in set(evolution.replacements(space, network))


def test_evolution_finds_better_networks_than_random_search_where_the_accuracy_is_smooth():
    stages = [builders.Stage(16, 4, start=(5,)), *(builders.Stage(c, 4, 2, start=(5,)) for c in (24, 32))]
    space = builders.small_space(*stages, types=(1, 2, 3, 4, 5, 6), image=28)
    problem = Problem(space, builders.budget_with_slack(space, 0.4))
    accuracy = measured(imagined(space)["late"])
    found = {
        method: [drive(built(method, problem, 150, seed), accuracy) for seed in range(3)]
        for method in ("random", "evolution")
    }
    reached = {method: fmean(float(s.known[s.answer]) for s in runs) for method, runs in found.items()}
    assert reached["evolution"] > reached["random"]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_greedy_without_laziness_is_the_paper_s_listing_on_any_function(data):
    space = data.draw(builders.spaces())
    budget, function = data.draw(builders.budgets(space)), data.draw(builders.noisy_functions(space))
    for rule in RULES[:4]:
        plain = naive_greedy(exactly(function), Rules(space, budget, rule))
        strategy = PlainGreedy(Problem(space, budget), 10**5, [rule])
        drive(strategy, exactly(function), workers=3)
        (state,) = strategy.states
        assert [(a.element, a.network) for a in state.path] == plain.path
        assert strategy.stopped == "ended"


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_greedy_decides_as_the_search_where_returns_diminish_and_needs_no_fewer_trainings(data):
    space = data.draw(builders.spaces())
    budget, function = data.draw(builders.budgets(space)), data.draw(builders.submodular_functions(space))
    search = builders.drive(Search(space, budget, RULES_OF_THE_PAPER), function, speculate=False)
    strategy = PlainGreedy(Problem(space, budget), 10**5, RULES_OF_THE_PAPER)
    drive(strategy, exactly(function))
    paths = [[accepted.element for accepted in state.path] for state in strategy.states]
    assert paths == [points[1:] for points in builders.elements_of(search).values()]
    assert search.result.best
    assert strategy.answer == search.result.best.network
    assert set(search.known) <= set(strategy.known)


def test_greedy_stands_where_its_trainings_end_and_begins_no_round_that_it_cannot_finish():
    problem = a_problem()
    whole = drive(built("greedy", problem, 10**5), noisy())
    for limit in (1, 2, 9, 30, len(whole.order) - 1):
        strategy = drive(built("greedy", problem, limit), noisy())
        assert strategy.stopped == "trainings"
        assert len(strategy.order) <= limit
        assert strategy.answer in {a.network for s in strategy.states for a in s.path} | {problem.space.start}
        for cut, full in zip(strategy.states, whole.states, strict=True):
            assert cut.path == full.path[: len(cut.path)]


def test_mobilenetv2_at_width_1_costs_what_the_paper_says():
    space = mobilenetv2.scaled(Space.cifar(100), Fraction(1))
    assert str(space.start) == "5,5 / 5,5,5 / 5,5,5,5 / 5,5,5 / 5,5,5 / 5"
    assert space.cost(space.start)[:2] == (2_412_212, 91_142_144), "the paper says 2.4M and 91.1M"


@pytest.mark.parametrize(
    ("skeleton", "budget"),
    [
        (Space.cifar(100), Budget("2.4M", "91.1M")),
        (Space.cifar(100), Budget(madds="30M")),
        (Space.imagenet(1000), Budget("3.4M", "300M")),
        (builders.small_space(image=16, head=builders.Head(64)), Budget(params="16k")),
    ],
)
def test_mobilenetv2_is_the_widest_that_fits(skeleton, budget):
    space = mobilenetv2.widest(Problem(skeleton, budget))
    assert budget.fits(space.cost(space.start))
    widths = [stage.channels for stage in space.stages]
    for steps in range(1, mobilenetv2.WIDEST * mobilenetv2.STEPS, 7):
        wider = mobilenetv2.scaled(skeleton, Fraction(steps, mobilenetv2.STEPS))
        if [stage.channels for stage in wider.stages] > widths and len(wider.stages) == len(widths):
            assert not budget.fits(wider.cost(wider.start))
    blocks = list(space.blocks(space.start))
    halvings = sum(block.stride == 2 for block in blocks)
    assert halvings == sum(stage.stride == 2 for stage in skeleton.stages)
    assert len(blocks) == 16


def test_a_budget_too_small_for_any_mobilenetv2_is_refused():
    space = builders.small_space(builders.Stage(1, 1), types=(1,), head=builders.Head(1), stem=builders.Stem(1, 1, 1))
    with pytest.raises(InvalidSpec, match="its narrowest network fits: "):
        built("mobilenetv2", Problem(space, Budget(params=space.params(space.start))))


@pytest.mark.parametrize("method", ["random", "evolution", "greedy"])
def test_no_trainings_at_all_are_refused(method):
    with pytest.raises(InvalidSpec, match="trainings: got '0'"):
        built(method, a_problem(), limit=0)


def test_what_was_told_stays_told():
    strategy = built("random", a_problem())
    (network,) = strategy.ask(1)
    strategy.tell(network, Fraction(1, 2))
    strategy.tell(network, Fraction(1, 2))
    with pytest.raises(Conflict):
        strategy.tell(network, Fraction(1, 3))
    with pytest.raises(InvalidSpec):
        strategy.tell(a_problem().space.start, Fraction(1, 2))
