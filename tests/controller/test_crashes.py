"""The controller killed before and after every single I/O: what it decides in the end stays the same."""

from __future__ import annotations

from typing import Any

import pytest

from controller.harness import (
    ScriptedCluster,
    a_spec,
    decisions,
    open_controller,
    run_to_end,
    undisturbed,
)
from controller.memory_store import MemoryStore
from rcas.spec import SearchSpec
from rcas.state import read_head


class Crash(BaseException):
    """The process is gone; nothing may catch it."""


class CrashPoint:
    """Counts calls and ends the process before or after the n-th."""

    def __init__(self, at: int | None, *, after: bool) -> None:
        self.at, self.after, self.calls = at, after, 0

    def wrap(self, target: Any, methods: tuple[str, ...]) -> Any:
        point = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                inner = getattr(target, name)
                return point.around(inner) if name in methods else inner

        return Wrapped()

    def around(self, inner: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.at and not self.after:
                raise Crash
            outcome = inner(*args, **kwargs)
            if self.calls == self.at:
                raise Crash
            return outcome

        return call


SPECS = {
    "plain": a_spec(),
    "confirmed": a_spec(rules=["APR"], replicates=2, confirm={"most": 3}, max_blocks=1),
}


def run_with_crash(real: MemoryStore, point: CrashPoint, spec: SearchSpec, slots: int, seed: int) -> None:
    store = point.wrap(real, ("get", "put", "delete"))
    cluster = ScriptedCluster(real, seed)
    controller = open_controller(
        store, point.wrap(cluster, ("launch", "observe", "forget", "cancel")), spec, slots=slots, writer="first"
    )
    run_to_end(controller)


@pytest.mark.parametrize("kind", SPECS)
@pytest.mark.parametrize("slots", [1, 4])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_crash_at_any_io_changes_no_decision_and_trains_nothing_twice(kind, slots, after):
    spec = SPECS[kind]
    expected = decisions(undisturbed(MemoryStore(), spec))
    counting = CrashPoint(None, after=False)
    run_with_crash(MemoryStore(), counting, spec, slots, seed=0)
    assert counting.calls > 50
    for at in range(1, counting.calls + 1):
        store = MemoryStore()
        with pytest.raises(Crash):
            run_with_crash(store, CrashPoint(at, after=after), spec, slots, seed=0)
        controller = open_controller(store, ScriptedCluster(store, seed=at), spec, slots=slots, writer="second")
        run_to_end(controller)
        assert decisions(controller) == expected, f"crash at call {at}"
        evaluations = controller.search.result.evaluations
        assert controller.counters.trained + controller.counters.reused == evaluations, f"crash at call {at}"
        head = read_head(store, "tiny")
        assert head is not None
        assert head.state.phase == "Complete"
        assert head.state.attempts == {}


@pytest.mark.parametrize("kind", SPECS)
def test_the_order_in_which_results_come_in_changes_no_decision(kind):
    expected = decisions(undisturbed(MemoryStore(), SPECS[kind]))
    for seed in range(20):
        store = MemoryStore()
        controller = open_controller(store, ScriptedCluster(store, seed), SPECS[kind], slots=1 + seed % 6)
        run_to_end(controller)
        assert decisions(controller) == expected
