"""What the controller does about failures, rivals, foreign results and searches that share a store."""

from __future__ import annotations

import pytest

from controller.harness import (
    ScriptedCluster,
    a_protocol,
    a_spec,
    decisions,
    open_controller,
    put_once,
    run_to_end,
    undisturbed,
)
from controller.memory_store import MemoryStore
from rcas.errors import CorruptState, Fenced, SearchFailed
from rcas.evaluation import Task
from rcas.runtimes.base import Attempt
from rcas.state import read_head


def start_task(spec) -> Task:
    search = spec.search(a_protocol(spec).sha256)
    network = search.problem.space.start
    return Task(key=search.key(network), space=search.problem.space, network=str(network), protocol=a_protocol(spec))


def fails(outcome, times):
    """A script: the first `times` attempts to end fail."""
    left = iter(range(times))

    def script(_, task):
        return Attempt("", task.key, outcome, "last words") if next(left, None) is not None else None

    return script


def test_failed_attempts_are_tried_again_and_counted():
    store = MemoryStore()
    controller = open_controller(store, ScriptedCluster(store, script=fails("error", 2)), a_spec(), slots=1)
    run_to_end(controller)
    assert controller.counters.failures == 2
    assert decisions(controller) == decisions(undisturbed(MemoryStore(), a_spec()))


def test_an_evaluation_that_always_fails_stops_the_search_with_its_last_words():
    store = MemoryStore()
    cluster = ScriptedCluster(store, script=fails("out-of-memory", 10**6))
    with pytest.raises(SearchFailed, match="last words"):
        run_to_end(open_controller(store, cluster, a_spec(max_attempts=4), slots=1))
    assert len(cluster.launched) == 4
    head = read_head(store, "tiny")
    assert head is not None
    assert (head.state.phase, head.state.counters.failures) == ("Failed", 4)
    assert "last words" in head.state.message

    controller = open_controller(store, ScriptedCluster(store), a_spec(), slots=1)
    run_to_end(controller)
    head = read_head(store, "tiny")
    assert head is not None
    assert (head.state.phase, head.state.message) == ("Complete", "")


def test_an_invalid_task_is_not_tried_again():
    store = MemoryStore()
    cluster = ScriptedCluster(store, script=fails("invalid", 10**6))
    with pytest.raises(SearchFailed, match="cannot be run"):
        run_to_end(open_controller(store, cluster, a_spec(), slots=1))
    assert len(cluster.launched) == 1


def test_interruptions_are_no_failures():
    store = MemoryStore()
    cluster = ScriptedCluster(store, script=fails("interrupted", 20))
    controller = open_controller(store, cluster, a_spec(max_attempts=1), slots=1)
    run_to_end(controller)
    assert (controller.counters.interruptions, controller.counters.failures) == (20, 0)


def test_a_claim_to_have_finished_without_a_result_is_a_failure():
    store = MemoryStore()
    cluster = ScriptedCluster(store, script=fails("finished", 1))
    controller = open_controller(store, cluster, a_spec(), slots=1)
    run_to_end(controller)
    assert controller.counters.failures == 1


def test_a_result_counts_whatever_the_attempt_says_of_itself():
    store = MemoryStore()

    def writes_and_fails(_, task):
        put_once(store, task)
        return Attempt("", task.key, "error", "killed after the write")

    controller = open_controller(store, ScriptedCluster(store, script=writes_and_fails), a_spec(), slots=2)
    run_to_end(controller)
    assert controller.counters.failures == 0
    assert controller.counters.trained == controller.search.result.evaluations


def test_two_attempts_at_one_evaluation_count_once():
    store = MemoryStore()

    class Twice(ScriptedCluster):
        """Every attempt that ends is seen a second time, under another name and as a failure."""

        def observe(self):
            seen = super().observe()
            again = [a._replace(name=f"{a.name}-again", outcome="error") for a in seen if a.outcome is not None]
            return [*seen, *again]

    controller = open_controller(store, Twice(store), a_spec())
    run_to_end(controller)
    assert controller.counters.trained == controller.search.result.evaluations
    assert controller.counters.failures == 0


def test_the_older_of_two_controllers_is_fenced_and_the_newer_goes_on():
    store = MemoryStore()
    older = open_controller(store, ScriptedCluster(store), a_spec(), writer="older")
    older.step()
    newer = open_controller(store, ScriptedCluster(store), a_spec(), writer="newer")
    with pytest.raises(Fenced):
        run_to_end(older)
    run_to_end(newer)
    assert decisions(newer) == decisions(undisturbed(MemoryStore(), a_spec()))


def test_searches_that_share_a_store_and_a_protocol_train_nothing_twice():
    store = MemoryStore()
    first = open_controller(store, ScriptedCluster(store), a_spec())
    run_to_end(first)
    cluster = ScriptedCluster(store)
    second = open_controller(store, cluster, a_spec(name="second", rules=["UC"], max_blocks=1))
    run_to_end(second)
    assert cluster.launched == []
    assert second.counters.reused == second.search.result.evaluations > 0
    assert (second.counters.trained, first.counters.reused) == (0, 0)


def test_what_another_search_trained_while_this_one_was_held_is_not_trained_again():
    store = MemoryStore()
    cluster = ScriptedCluster(store)
    held = open_controller(store, cluster, a_spec())
    held.paused = True
    held.step()
    run_to_end(open_controller(store, ScriptedCluster(store), a_spec(name="other")))
    held.paused = False
    run_to_end(held)
    assert cluster.launched == []


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"protocol_sha256": "1" * 64}, "protocol_sha256"),
        ({"params": 1}, "params"),
        ({"madds": 1}, "madds"),
        ({"epochs": 1}, "epochs"),
        ({"network": "1,1 / 1"}, "network"),
        ({"network": "9 / 9"}, "network"),
    ],
)
def test_a_tampered_result_is_refused_by_name(changes, field):
    store = MemoryStore()
    task = start_task(a_spec())
    put_once(store, task, **changes)
    with pytest.raises(CorruptState, match=field) as refused:
        run_to_end(open_controller(store, ScriptedCluster(store), a_spec()))
    assert f"results/{task.key}.json" in str(refused.value)


def test_a_diverged_training_is_a_result():
    store = MemoryStore()
    put_once(store, start_task(a_spec()), diverged=True, epochs=1, loss=None, train_loss=None)
    run_to_end(open_controller(store, ScriptedCluster(store), a_spec()))


def test_never_more_attempts_at_once_than_slots_and_none_without_committed_intent():
    store = MemoryStore()

    class Watched(ScriptedCluster):
        def launch(self, name, task):
            head = read_head(store, "tiny")
            assert head is not None
            assert name.endswith(f"-{head.state.attempts[task.key].started}")
            super().launch(name, task)
            assert len(self.running) <= 3

    run_to_end(open_controller(store, Watched(store), a_spec(), slots=3))
