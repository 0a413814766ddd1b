"""Pause, cancel and limits: what a held search does, and that it goes on to the same decisions."""

from __future__ import annotations

import pytest

from controller.harness import (
    FixedClock,
    ScriptedCluster,
    a_spec,
    decisions,
    open_controller,
    run_to_end,
    undisturbed,
)
from controller.memory_store import MemoryStore
from rcas.controller.step import Step
from rcas.runtimes.base import Attempt
from rcas.state import read_head


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


class GpuCluster(ScriptedCluster):
    """Each attempt holds a GPU for 1000 s."""

    def observe(self) -> list[Attempt]:
        return [attempt._replace(gpu_seconds=1000.0) for attempt in super().observe()]


def phase_in(store: MemoryStore) -> tuple[str, str]:
    head = read_head(store, "tiny")
    assert head
    return head.state.phase, head.state.message


def test_a_pause_ends_what_runs_and_starts_nothing_until_it_is_over(store):
    expected = decisions(undisturbed(MemoryStore(), a_spec()))
    cluster = ScriptedCluster(store)
    controller = open_controller(store, cluster, a_spec(), slots=4)
    controller.step()
    controller.paused = True
    assert controller.step().phase == "Paused"
    launched = list(cluster.launched)
    assert cluster.running == {}
    for _ in range(5):
        assert controller.step().phase == "Paused"
    assert cluster.launched == launched
    assert phase_in(store)[0] == "Paused"
    controller.paused = False
    run_to_end(controller)
    assert decisions(controller) == expected


def test_a_search_paused_by_one_controller_goes_on_under_the_next(store):
    expected = decisions(undisturbed(MemoryStore(), a_spec()))
    first = open_controller(store, ScriptedCluster(store), a_spec(), slots=4)
    first.step()
    first.paused = True
    first.step()
    second = open_controller(store, ScriptedCluster(store), a_spec(), slots=4, writer="second")
    run_to_end(second)
    assert decisions(second) == expected
    assert second.counters.failures == 0


def test_a_cancelled_search_says_so_and_keeps_what_it_found(store):
    cluster = ScriptedCluster(store)
    controller = open_controller(store, cluster, a_spec(), slots=4)
    for _ in range(6):
        controller.step()
    controller.cancelled = True
    controller.step()
    assert cluster.running == {}
    head = read_head(store, "tiny")
    assert head
    assert head.state.phase == "Cancelled"
    assert len(head.state.search.results) >= 5


@pytest.mark.parametrize("slots", [1, 3, 8])
def test_not_one_training_more_than_the_limit_and_raising_it_goes_on(store, slots):
    expected = decisions(undisturbed(MemoryStore(), a_spec()))
    limited = a_spec(limits={"evaluations": 7})
    cluster = ScriptedCluster(store)
    controller = open_controller(store, cluster, limited, slots=slots)
    step = until_held(controller)
    assert step.message.startswith("limits.evaluations: 7")
    assert len(cluster.launched) == controller.counters.trained == 7
    assert phase_in(store) == ("LimitReached", step.message)
    controller.spec = a_spec(limits={"evaluations": 10_000})
    run_to_end(controller)
    assert decisions(controller) == expected


def test_hours_count_from_the_beginning_of_the_search(store):
    clock = FixedClock()
    controller = open_controller(store, ScriptedCluster(store), a_spec(limits={"hours": 2}), clock=clock)
    clock.now_s = 7199
    assert controller.step().phase == "Running"
    clock.now_s = 7200
    step = controller.step()
    assert (step.phase, step.message) == ("LimitReached", "limits.hours: 2 hours are over")


def test_gpu_hours_count_what_runs_and_what_failed_too(store):
    def fails(_number: int, task: object) -> Attempt:
        return Attempt("", task.key, "error", "broken")  # type: ignore[attr-defined]

    spec = a_spec(limits={"gpu_hours": 1}, max_attempts=100)
    controller = open_controller(store, GpuCluster(store, script=fails), spec, slots=1)
    step = until_held(controller)
    assert step.message == "limits.gpu_hours: 1 GPU-hours are used"
    # Three attempts of 1000 s are below 3600 s, so a fourth began.
    assert (controller.counters.failures, controller.counters.gpu_seconds) == (4, 4000)


def until_held(controller) -> Step:
    for _ in range(200):
        step = controller.step()
        if step.phase == "LimitReached":
            return step
    raise AssertionError("no limit was reached")


def test_speculation_that_no_decision_can_use_any_more_is_ended_and_never_asked_for_again(store):
    expected = decisions(undisturbed(MemoryStore(), a_spec()))
    cluster = ScriptedCluster(store, seed=1)
    controller = open_controller(store, cluster, a_spec(), slots=12)
    run_to_end(controller)
    assert decisions(controller) == expected
    cancelled = [name.rpartition("-")[0] for name in cluster.cancelled]
    assert len(cancelled) > 3
    assert len({name.rpartition("-")[0] for name in cluster.launched}) == len(cluster.launched)
    assert cluster.running == {}
    assert controller.counters.interruptions == 0


def test_a_failure_counts_once_although_the_controller_dies_before_it_has_cleared_it_away(store, monkeypatch):
    def dies(_name: str) -> None:
        raise KeyboardInterrupt

    def fails_first(number: int, task: object) -> Attempt | None:
        return Attempt("", task.key, "error", "broken") if number == 1 else None  # type: ignore[attr-defined]

    cluster = ScriptedCluster(store, script=fails_first)
    controller = open_controller(store, cluster, a_spec(), slots=1)
    controller.step()
    with monkeypatch.context() as patch:
        patch.setattr(cluster, "forget", dies)
        with pytest.raises(KeyboardInterrupt):
            controller.step()
    successor = open_controller(store, cluster, a_spec(), slots=1, writer="second")
    run_to_end(successor)
    assert successor.counters.failures == 1
