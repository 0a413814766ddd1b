"""A baseline driven over a store and a scripted cluster: killed anywhere, it comes to the same record."""

from __future__ import annotations

import json
from typing import Any

import pytest

from controller.harness import ScriptedCluster, a_result, a_spec, undisturbed
from controller.memory_store import MemoryStore
from controller.test_crashes import Crash, CrashPoint
from rcas.baselines.methods import METHODS, Method
from rcas.baselines.record import Record
from rcas.controller.baseline import News, run_baseline
from rcas.errors import CorruptState, Fenced, SearchFailed
from rcas.evaluation import Task
from rcas.runtimes.base import Attempt
from rcas.state import Head, baseline_name, checkpoint_name, read_baselines, read_head, read_result, result_name

TRAININGS = 24
SPEC = a_spec(rules=["UC", "APR"])


class PatientCluster(ScriptedCluster):
    """Has all the time in the world."""

    def wait(self, seconds: float) -> None:
        assert seconds > 0


@pytest.fixture(scope="module")
def searched() -> dict[str, bytes]:
    """The objects of a finished search."""
    store = MemoryStore()
    undisturbed(store, SPEC)
    return store.objects


def a_store(objects: dict[str, bytes], *, results: bool = True) -> MemoryStore:
    store = MemoryStore()
    store.objects = {name: data for name, data in objects.items() if results or not name.startswith("results/")}
    return store


def head_in(store: MemoryStore) -> Head:
    head = read_head(store, "tiny")
    assert head
    return head


def baseline(store: Any, method: Method = "evolution", cluster: Any = None, **changes: Any) -> Record:
    arguments = {"seed": 0, "trainings": TRAININGS, "slots": 3, "watch": lambda _: None} | changes
    head = read_head(store, "tiny")
    assert head
    return run_baseline(head, method, store=store, cluster=cluster or PatientCluster(store), **arguments)


def outcome(record: Record) -> Any:
    """All but who trained what."""
    return record.model_dump(exclude={"launched"})


@pytest.mark.parametrize("method", METHODS)
def test_the_record_says_what_was_measured_and_chosen(searched, method):
    store = a_store(searched)
    news = list[News]()
    record = baseline(store, method, watch=news.append)
    assert read_baselines(store, "tiny") == [record]
    assert len(record.results) == len(news) == (1 if method == "mobilenetv2" else len(record.results))
    assert record.trained == sum(not item.reused for item in news)
    assert record.worker_seconds == len(record.results), "one second each"
    accuracies = {network: correct / total for network, correct, total in record.results}
    assert record.chosen
    network, accuracy, cost = record.chosen
    assert record.budget.fits(cost)
    assert float(accuracy) == accuracies[str(network)]
    if method in {"random", "evolution"}:
        assert len(record.results) == TRAININGS
        assert float(accuracy) == max(accuracies.values())


def test_what_the_search_has_trained_is_not_trained_again(searched):
    store = a_store(searched)
    cluster = PatientCluster(store)
    record = baseline(store, "greedy", cluster)
    assert record.trained == len(cluster.launched)
    assert 0 < record.trained < len(record.results)
    again = PatientCluster(store)
    assert baseline(store, "greedy", again) == record
    assert again.launched == []


@pytest.mark.parametrize("method", ["evolution", "greedy"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_io_changes_no_decision_and_no_count(searched, method, after):
    def run(store: MemoryStore, point: CrashPoint) -> Record:
        cluster = point.wrap(PatientCluster(store), ("launch", "observe", "forget"))
        wrapped = point.wrap(store, ("get", "put", "delete", "names"))
        return run_baseline(
            head_in(store), method, 0, 12, store=wrapped, cluster=cluster, slots=3, watch=lambda _: None
        )

    counting = CrashPoint(None, after=False)
    expected = run(a_store(searched, results=False), counting)
    assert counting.calls > 30
    for at in range(1, counting.calls + 1):
        store = a_store(searched, results=False)
        with pytest.raises(Crash):
            run(store, CrashPoint(at, after=after))
        record = baseline(store, method, PatientCluster(store, seed=at), trainings=12)
        assert outcome(record) == outcome(expected), f"crash at call {at}"
        assert record.trained == expected.trained, f"crash at call {at}"


def test_a_network_s_accuracy_is_that_over_all_its_replicates(searched):
    store = a_store(searched)
    once, thrice = baseline(a_store(searched), trainings=8), baseline(store, trainings=25, replicates=3)
    assert [name for name, _, _ in thrice.results] == [name for name, _, _ in once.results], "all are drawn at random"
    assert thrice.asked == 24, "not even one more network fits into 25"
    for name, correct, total in thrice.results:
        results = [read_result(store, thrice.key(thrice.space.network(name), seed)) for seed in range(3)]
        assert (correct, total) == (sum(r.correct for r in results if r), 3000)
    again = PatientCluster(store)
    assert baseline(store, cluster=again, trainings=25, replicates=3) == thrice
    assert again.launched == []


def test_more_trainings_go_on_from_those_before(searched):
    store = a_store(searched)
    short = baseline(store, trainings=20)
    cluster = PatientCluster(store)
    long = baseline(store, cluster=cluster)
    assert long.results[:20] == short.results
    assert long.trained == short.trained + len(cluster.launched)
    assert len(long.results) == TRAININGS


def test_an_attempt_that_fails_is_tried_again_as_often_as_the_spec_says(searched):
    def failing(times: int, outcome: Any):
        failed = dict[str, int]()

        def script(_: int, task: Task) -> Attempt | None:
            failed[task.key] = failed.get(task.key, 0) + 1
            return Attempt("", task.key, outcome, "no memory") if failed[task.key] <= times else None

        return script

    store = a_store(searched)
    expected = baseline(a_store(searched))
    assert baseline(store, cluster=PatientCluster(store, script=failing(2, "out-of-memory"))) == expected
    store = a_store(searched)
    assert baseline(store, cluster=PatientCluster(store, script=failing(9, "interrupted"))) == expected
    for outcome_, words in (("error", "failed 3 times: no memory"), ("invalid", "cannot be run: no memory")):
        store = a_store(searched)
        with pytest.raises(SearchFailed, match=words):
            baseline(store, cluster=PatientCluster(store, script=failing(9, outcome_)))
        assert read_baselines(store, "tiny") == []
        assert baseline(store) == expected, "the same again, once the cause is mended"


@pytest.mark.parametrize(
    "claim", [{"network": "1 / 1,1,1"}, {"params": 1}, {"epochs": 3}, {"protocol_sha256": "1" * 64}]
)
def test_a_result_that_cannot_be_of_this_task_is_not_believed(searched, claim):
    class Liar(PatientCluster):
        def observe(self) -> list[Attempt]:
            for name, task in list(self.running.items()):
                self.store.put(
                    result_name(task.key), a_result(task, **claim).model_dump_json().encode(), expected=None
                )
                self.ended[name] = Attempt(name, self.running.pop(name).key, "finished")
            return list(self.ended.values())

    store = a_store(searched)
    with pytest.raises(CorruptState, match=next(iter(claim))):
        baseline(store, "random", Liar(store), seed=5)


def test_two_at_the_same_baseline_do_not_both_write(searched):
    store = a_store(searched, results=False)

    class Rival(PatientCluster):
        def launch(self, name: str, task: Task) -> None:
            super().launch(name, task)
            if len(self.launched) == 1:
                baseline(store)

    with pytest.raises(Fenced, match="another process works on searches/tiny/baselines/evolution-0"):
        baseline(store, cluster=Rival(store))
    assert [record.stopped for record in read_baselines(store, "tiny")] == ["trainings"]


def test_a_checkpoint_that_a_killed_trainer_left_is_cleared_away(searched):
    class Leaving(PatientCluster):
        def launch(self, name: str, task: Task) -> None:
            super().launch(name, task)
            self.store.put(checkpoint_name(task.key), b"half", expected=None)

    store = a_store(searched, results=False)
    baseline(store, cluster=Leaving(store))
    assert store.names("checkpoints/") == []


def test_a_record_of_another_protocol_is_written_over_and_counts_nothing(searched):
    store = a_store(searched)
    record = baseline(store)
    name = baseline_name("tiny", "evolution", 0)
    old = record.model_copy(update={"protocol_sha256": "0" * 64})
    store.objects[name] = old.model_dump_json().encode()
    assert baseline(store).model_copy(update={"launched": record.launched}) == record


@pytest.mark.parametrize(
    "damage",
    [
        {"answer": "1 / 1,1,1,1,1,1"},
        {"results": [["1 / 1", 7, 5]]},
        {"results": [["7 / 1", 1, 5]]},
        {"seed": 1},
        {"surprise": 1},
        {"worker_seconds": 1e300},
    ],
)
def test_a_damaged_record_is_named(searched, damage):
    store = a_store(searched)
    record = baseline(store)
    name = baseline_name("tiny", "evolution", 0)
    store.objects[name] = json.dumps(record.model_dump(mode="json") | damage).encode()
    with pytest.raises(CorruptState, match="searches/tiny/baselines/evolution-0"):
        read_baselines(store, "tiny")
