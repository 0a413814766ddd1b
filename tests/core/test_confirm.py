"""Several trainings of a network, and confirming the choice of a block, against a plain recomputation."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core import builders
from core.reference import Rules, confirmed_greedy
from rcas import Conflict, CorruptState, InvalidSpec, Network, Search, Stage
from rcas.confirm import Confirm
from rcas.forecast import forecast, trainings_left
from rcas.greedy import RULES, STOP_POLICIES

Seeded = Callable[[Network, int], int]
SPACE = builders.small_space()
BUDGET = builders.budget_with_slack(SPACE, 0.8)


def seeded(function: builders.SetFunction, seed: int, size: int) -> Seeded:
    """`function`, and for each training a deviation of up to `size` images of a million."""
    return lambda network, number: (
        function(network) + builders.hashed(f"{seed} {number} {network}", 2 * size + 1) - size
    )


def noisy(seed: int = 1, size: int = 3000) -> Seeded:
    return seeded(lambda network: builders.TOTAL // 2 + 2000 * network.block_count, seed, size)


def a_search(rules=("UC", "APR"), **changes) -> Search:
    fields = {"replicates": 2, "confirm": Confirm(candidates=3, most=4)} | changes
    return Search(SPACE, BUDGET, rules, **fields)


def drive(search: Search, function: Seeded, seed: int | None = None, workers: int = 1, *, speculate=False) -> Search:
    """Answer until it is done; with a seed in any order, the search stored and restored on the way."""
    numbers = random.Random(seed)
    while not search.done:
        asked = search.ask(workers, speculate=speculate)
        for evaluation in numbers.sample(asked, len(asked)) if seed is not None else asked:
            search.tell(
                evaluation.key, correct=function(evaluation.network, evaluation.replicate), total=builders.TOTAL
            )
            if seed is not None and numbers.random() < 0.3:
                search = Search.from_json(search.to_json())
            if seed is not None and numbers.random() < 0.3:
                break
    return search


def decided(search: Search) -> tuple:
    result = search.result
    return result.best, result.highest, result.rules, result.demanded, result.offered


@st.composite
def problems(draw: st.DrawFn):
    space = draw(builders.spaces())
    size = draw(st.sampled_from((0, 1, 400, 4000)))
    function = seeded(draw(builders.noisy_functions(space)), draw(st.integers(0, 2**32)), size)
    replicates = draw(st.integers(1, 3))
    most, candidates = replicates + draw(st.integers(1, 3)), draw(st.integers(2, 4))
    confirm = draw(st.none() | st.just((max(2, most), candidates, draw(st.sampled_from(("1/2", "1", "3"))))))
    return space, draw(builders.budgets(space)), function, replicates, confirm, draw(st.sampled_from((None, 0, 3)))


@settings(max_examples=60, deadline=None)
@given(problems(), st.sampled_from(RULES[:4]), st.sampled_from(STOP_POLICIES), st.sampled_from((None, Fraction(0))))
def test_the_decisions_are_those_of_a_plain_recomputation(problem, rule, stop, min_gain):
    space, budget, function, replicates, confirm, max_blocks = problem
    most, candidates, errors = confirm or (0, 0, "0")
    rules = Rules(space, budget, rule, stop, min_gain, max_blocks)
    plain = confirmed_greedy(
        function, builders.TOTAL, rules, replicates, confirm and (candidates, most, Fraction(errors))
    )
    search = Search(
        space,
        budget,
        [rule],
        stop=stop,
        min_gain=min_gain,
        max_blocks=max_blocks,
        replicates=replicates,
        confirm=Confirm(candidates, most, Fraction(errors)) if confirm else None,
    )
    drive(search, function, workers=3)
    (found,) = search.result.rules.values()
    assert [(point.element, point.network, point.accuracy) for point in found.path[1:]] == plain.path
    assert found.stopped == plain.stopped
    assert search.result.evaluations == search.result.demanded
    if max_blocks != 0 and plain.path:
        assert {(network, number) for network, number, _ in search.known.all()} == plain.trainings


@settings(max_examples=30, deadline=None)
@given(problems(), st.integers(0, 2**32), st.sampled_from((1, 3, 12)), st.booleans())
def test_order_crashes_workers_and_speculation_change_nothing(problem, seed, workers, speculate):
    space, budget, function, replicates, confirm, max_blocks = problem
    most, candidates, errors = confirm or (0, 0, "0")
    fields = {"replicates": replicates, "max_blocks": max_blocks}
    fields["confirm"] = Confirm(candidates, most, Fraction(errors)) if confirm else None
    plain = drive(Search(space, budget, ("UC", "APR"), **fields), function)
    other = drive(Search(space, budget, ("UC", "APR"), **fields), function, seed, workers, speculate=speculate)
    assert decided(other) == decided(plain)
    assert other.result.evaluations >= other.result.demanded == plain.result.evaluations


def test_each_rule_confirms_alone_what_it_confirms_beside_others():
    together = drive(a_search(RULES[:4]), noisy()).result
    for rule in RULES[:4]:
        assert drive(a_search([rule]), noisy()).result.rules[rule] == together.rules[rule]


def test_a_network_is_known_when_all_its_trainings_are():
    search = a_search(replicates=3, confirm=None, replicate=5, protocol="p")
    asked = search.ask(3, speculate=False)
    assert [(e.network, e.replicate) for e in asked] == [(SPACE.start, 5), (SPACE.start, 6), (SPACE.start, 7)]
    for number, evaluation in enumerate(asked):
        assert SPACE.start not in search.known
        search.tell(evaluation.key, correct=number, total=10)
        search = Search.from_json(search.to_json())
    assert search.known == {SPACE.start: Fraction(3, 30)}
    assert search.evaluations == 3
    with pytest.raises(Conflict):
        search.tell(asked[1].key, correct=7, total=10)


def test_candidates_that_cannot_be_told_apart_are_trained_up_to_the_bound_and_clear_ones_are_not():
    even = drive(a_search(["UC"], max_blocks=1), noisy(size=3000))
    assert max(len(even.known.trainings(network)) for network in even.known) == 4

    def apart(network: Network, _: int) -> int:
        return builders.TOTAL // 2 + 10_000 * sum(map(sum, network.stages)) + 7_000 * sum(network.stages[0])

    clear = drive(a_search(["UC"], max_blocks=1), apart)
    assert clear.evaluations == 2 * len(clear.known)


def test_a_wrong_winner_is_found_out():
    # In its first training the worse block is lucky; all the others say what it is worth.
    space = builders.small_space(Stage(8, 2, start=(5,)), types=(1, 3))
    lucky, better = space.network("5,1"), space.network("5,3")

    def correct(network: Network, number: int) -> int:
        if network == lucky:
            return 620 if number == 0 else 560
        return 600 if network == better else 500

    def search(**changes) -> Search:
        found = Search(space, builders.budget_with_slack(space, 1.2), ["UC"], **changes)
        while not found.done:
            for e in found.ask(1, speculate=False):
                found.tell(e.key, correct=correct(e.network, e.replicate), total=1000)
        return found

    assert search().result.best.network == lucky
    best = search(confirm=Confirm(most=4)).result.best
    assert (best.network, best.accuracy) == (better, Fraction(600, 1000))


CONTRADICTIONS = {
    "a training missing": lambda w: w["trainings"]["5 / 1"].pop("1"),
    "a training more than there can be": lambda w: w["trainings"]["5 / 1"].update({"4": [1, 2]}),
    "a result that is not the sum": lambda w: w["results"].update({"5 / 1": [1, 2]}),
    "confirmed without trainings": lambda w: w["rules"][0]["confirmed"].update({"5 / 1": 4}),
    "confirmed beyond the bound": lambda w: w["rules"][0]["confirmed"].update(
        dict.fromkeys(w["rules"][0]["confirmed"], 5)
    ),
    "not confirmed": lambda w: w["rules"][0].pop("confirmed"),
    "fewer replicates": lambda w: w.update(replicates=1),
    "a bound below the replicates": lambda w: w["confirm"].update(most=2),
}


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_parts_that_contradict_each_other_are_corrupt(name):
    whole = json.loads(drive(a_search(), noisy()).to_json())
    CONTRADICTIONS[name](whole)
    with pytest.raises(CorruptState):
        Search.from_json(json.dumps(whole))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"replicates": 0}, "replicates"),
        ({"replicates": 101}, "replicates"),
        ({"replicates": 4}, "confirm.most"),
    ],
)
def test_what_cannot_be_is_refused_by_field(change, field):
    with pytest.raises(InvalidSpec) as refused:
        a_search(**change)
    assert refused.value.field == field


def test_what_is_left_counts_trainings():
    search = a_search(replicates=3, confirm=None)
    left = forecast(search.problem, search.states, search.known)
    before = trainings_left(left, search.known)
    assert before == 3 * len(left)
    (evaluation,) = search.ask(1)
    search.tell(evaluation.key, correct=1, total=2)
    assert trainings_left(left, search.known) == before - 1
