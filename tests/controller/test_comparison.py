"""Answers side by side: ranked by what chose nothing, and only where they were measured alike."""

from __future__ import annotations

from fractions import Fraction

import pytest

from controller.harness import ScriptedCluster, a_protocol, a_result, a_spec, open_controller, run_to_end, undisturbed
from controller.memory_store import MemoryStore
from rcas import InvalidSpec
from rcas.controller.baseline import run_baseline
from rcas.controller.comparison import Contender, compared, of_baseline, of_network, of_search
from rcas.controller.trainings import measure
from rcas.evaluation import Result, Training
from rcas.final import Final, FinalDraw, FinalProtocol, FinalResult, Finals
from rcas.state import Head, final_name, finals_name, read_head

SPEC = a_spec(rules=["UC", "APR"])


class PatientCluster(ScriptedCluster):
    def wait(self, seconds: float) -> None:
        assert seconds > 0


@pytest.fixture
def store() -> MemoryStore:
    store = MemoryStore()
    undisturbed(store, SPEC)
    return store


def head_of(store: MemoryStore, name: str = "tiny") -> Head:
    head = read_head(store, name)
    assert head
    return head


def a_baseline(store: MemoryStore, method="random", seed: int = 0) -> Contender:
    head, cluster = head_of(store), PatientCluster(store)
    record = run_baseline(head, method, seed, 12, store=store, cluster=cluster, slots=2, watch=lambda _: None)
    return of_baseline(head, record, store)


def others(store: MemoryStore, contender: Contender, seeds: int) -> list[Result]:
    tasks = [contender.task(seed) for seed in range(1, seeds + 1)]
    results = measure(tasks, store, PatientCluster(store), max_attempts=1)
    return [results[task.key] for task in tasks]


def test_the_order_is_that_from_other_seeds_and_not_that_of_the_choice(store):
    head = head_of(store)
    contenders = [of_search(head, store), a_baseline(store), a_baseline(store, "greedy")]
    claimed = {one.name: one.accuracy for one in contenders}
    found = [others(store, one, 3) for one in contenders]
    # The choice of the last is made out to be the best of all.
    contenders[-1] = contenders[-1]._replace(accuracy=Fraction(1))
    comparison = compared(contenders, found)
    means = [row.others.mean for row in comparison.rows if row.others]
    assert comparison.unranked is None
    assert means == sorted(means, reverse=True)
    assert len(means) == 3
    for row in comparison.rows:
        results = found[[one.name for one in contenders].index(row.contender.name)]
        assert row.others
        assert row.others.mean == sum(Fraction(r.correct, r.total) for r in results) / 3
        assert {r.replicate for r in results} == {1, 2, 3}, "0 is the one that chose"
    assert comparison.lead
    assert comparison.lead[0] == means[0] - means[1]
    assert claimed["tiny"] == of_search(head, store).accuracy


def test_an_answer_that_was_only_chosen_is_not_ranked(store):
    contenders = [of_search(head_of(store), store), a_baseline(store)]
    comparison = compared(contenders, [others(store, contenders[0], 2), []])
    assert [row.contender.name for row in comparison.rows] == ["tiny", "tiny:random-0"], "as they were named"
    assert comparison.unranked
    assert comparison.unranked.startswith("tiny:random-0: not measured from other seeds")
    assert comparison.lead is None


def test_what_was_measured_in_different_ways_is_not_ranked_and_it_says_where_they_differ(store):
    longer = a_spec(name="longer", rules=["UC"], training=Training(epochs=20, lr=0.2).model_dump())
    run_to_end(open_controller(store, PatientCluster(store), longer))
    contenders = [of_search(head_of(store, name), store) for name in ("tiny", "longer")]
    comparison = compared(contenders, [others(store, one, 2) for one in contenders])
    assert comparison.unranked == (
        "tiny and longer were not measured alike, so their accuracies do not compare: "
        "training.epochs: 10, 20; training.lr: 0.1, 0.2"
    )
    assert [row.contender.name for row in comparison.rows] == ["tiny", "longer"]


def test_runs_of_a_method_give_its_spread_over_its_draws(store):
    contenders = [a_baseline(store, "random", seed) for seed in range(3)]
    comparison = compared(contenders, [others(store, one, 1) for one in contenders])
    (group,) = comparison.groups
    assert (group.name, group.chosen.seeds) == ("tiny:random", 3)
    accuracies = [one.accuracy for one in contenders if one.accuracy is not None]
    assert group.chosen.mean == sum(accuracies) / 3
    assert group.others
    assert group.others.seeds == 3


def test_a_network_that_was_given_was_not_chosen_and_cost_nothing(store):
    given = of_network(head_of(store), "1,5 / 1", store)
    assert (given.accuracy, given.spent, str(given.network)) == (None, None, "1,5 / 1")
    with pytest.raises(InvalidSpec, match="network: got '7 / 1'"):
        of_network(head_of(store), "7 / 1", store)


def test_worker_time_counts_every_network_whoever_trained_it(store):
    greedy = a_baseline(store, "greedy")
    assert greedy.spent
    assert greedy.spent.worker_seconds == greedy.spent.measured, "one second each"
    assert greedy.spent.trained + greedy.spent.reused == greedy.spent.measured
    searched = of_search(head_of(store), store).spent
    assert searched
    assert searched.worker_seconds == searched.measured == searched.trained


def test_a_baseline_of_an_earlier_search_of_this_name_is_refused(store):
    head = head_of(store)
    record = run_baseline(
        head, "random", 0, 5, store=store, cluster=PatientCluster(store), slots=2, watch=lambda _: None
    )
    with pytest.raises(InvalidSpec, match="of an earlier search tiny"):
        of_baseline(head, record.model_copy(update={"protocol_sha256": "0" * 64}), store)


def test_the_final_accuracy_is_that_of_this_network_on_its_own_skeleton(store):
    found = of_search(head_of(store), store)
    assert found.final is None
    short = a_protocol(SPEC)
    protocol = FinalProtocol(
        draw=FinalDraw(dataset="digits", held_out="test"),
        training=Training(epochs=200),
        data_sha256="0" * 64,
        test_sha256="1" * 64,
        device="cpu",
        threads=1,
        versions=short.versions,
    )
    final = Final(
        of="best", space=found.space, network=str(found.network), protocol=protocol, source=found.source, seeds=3
    )
    other = final.model_copy(update={"network": str(found.space.start)})
    index = Finals(search="tiny", writer="test", finals=(final, other))
    store.put(finals_name("tiny"), index.model_dump_json().encode(), expected=None)
    for seed, correct in ((0, 900), (1, 910)):
        fields = a_result(found.task(1)).model_dump(mode="json") | {"key": final.key(seed), "replicate": seed}
        fields |= {"correct": correct, "correct_top5": correct, "weights_sha256": "2" * 64, "train_images": 100}
        result = FinalResult.model_validate(fields)
        store.put(final_name(result.key), result.model_dump_json().encode(), expected=None)
    again = of_search(head_of(store), store).final
    assert again
    assert (again.mean, again.seeds) == (Fraction(905, 1000), 2), "the third has not ended"
