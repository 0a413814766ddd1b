"""A search driven by the real controller with a scripted cluster in place of trainings."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from random import Random
from typing import Any, cast

from rcas.clock import Clock
from rcas.controller.step import Controller, Step, new_state
from rcas.errors import Conflict
from rcas.evaluation import Protocol, Result, Seconds, Task
from rcas.final import FinalResult, FinalTask
from rcas.runtimes.base import Attempt
from rcas.spec import SearchSpec, build_spec
from rcas.state import Ledger, result_name
from rcas.stores.base import Store

TOTAL = 1000


def a_spec(**changes: Any) -> SearchSpec:
    """A search small enough to run in milliseconds, with ties and losses in it."""
    stages = [
        {"channels": 8, "positions": 3, "start": [1]},
        {"channels": 16, "positions": 3, "stride": 2, "start": [1]},
    ]
    space = {"skeleton": "custom", "classes": 10, "input": [1, 8, 8], "stages": stages, "block_types": [1, 2, 5]}
    space |= {"stem": {"channels": 8, "block_channels": 4}, "head": {"channels": 16}}
    base = {"name": "tiny", "space": space, "budget": {"params": "9k"}, "data": {"dataset": "digits"}}
    return build_spec({**base, **changes})


def a_protocol(spec: SearchSpec) -> Protocol:
    return Protocol(
        draw=spec.data.draw(),
        training=spec.training,
        data_sha256="0" * 64,
        device="cpu",
        threads=1,
        versions={"rcas_trainer": "1"},
    )


def accuracy_of(task: Task) -> int:
    """Correct images out of TOTAL: a saturating function of the blocks with a fixed noise for each network."""
    blocks = [int(block) for block in task.network if block.isdigit()]
    noise = int(hashlib.sha256(f"{task.network}|{task.replicate}".encode()).hexdigest()[:8], 16) % 40
    return 500 + 300 * sum(blocks) // (sum(blocks) + 10) + noise


def a_result(task: Task, **changes: Any) -> Result:
    correct = accuracy_of(task)
    cost = task.space.cost(task.space.network(task.network))
    fields: dict[str, Any] = {
        "key": task.key,
        "network": task.network,
        "protocol_sha256": task.protocol.sha256,
        "replicate": task.replicate,
        "correct": correct,
        "correct_top5": correct,
        "total": TOTAL,
        "loss": 1.0,
        "train_loss": 1.0,
        "epochs": task.protocol.training.epochs,
        "diverged": False,
        "seconds": Seconds(startup=0, data=0, training=1, validation=0),
        "images_per_second": 1.0,
        "device": "scripted",
        "versions": {},
        "params": cost.params,
        "madds": cost.madds,
    }
    return Result.model_validate({**fields, **changes})


def a_final_result(task: FinalTask, weights: bytes, **changes: Any) -> FinalResult:
    searched = a_result(cast(Task, task)).model_dump()
    own = {"weights_sha256": hashlib.sha256(weights).hexdigest(), "train_images": 100}
    return FinalResult.model_validate({**searched, **own, **changes})


class FixedClock:
    def __init__(self, now_s: float = 0.0) -> None:
        self.now_s = now_s

    def now(self) -> float:
        return self.now_s


class ScriptedCluster:
    """Finishes one running attempt, drawn by the seed, at every observation.

    `script` says how the n-th attempt to end ends; by default each writes its result.
    """

    def __init__(
        self, store: Store, seed: int = 0, script: Callable[[int, Task], Attempt | None] | None = None
    ) -> None:
        self.store, self.random, self.script = store, Random(seed), script
        self.running: dict[str, Task] = {}
        self.ended: dict[str, Attempt] = {}
        self.launched: list[str] = []
        self.cancelled: list[str] = []

    def launch(self, name: str, task: Task) -> None:
        assert name not in self.launched, "an attempt was launched twice"
        self.launched.append(name)
        self.running[name] = task

    def observe(self) -> list[Attempt]:
        if self.running and not self.ended:
            name = self.random.choice(sorted(self.running))
            task = self.running.pop(name)
            failure = self.script(len(self.launched), task) if self.script else None
            if failure is None:
                put_once(self.store, task)
            self.ended[name] = failure._replace(name=name) if failure else Attempt(name, task.key, "finished")
        return [*self.ended.values(), *(Attempt(name, task.key) for name, task in self.running.items())]

    def forget(self, name: str) -> None:
        self.ended.pop(name, None)

    def cancel(self, name: str) -> None:
        task = self.running.pop(name, None)
        if task:
            self.cancelled.append(name)
            self.ended[name] = Attempt(name, task.key, "interrupted")

    def wait(self, seconds: float) -> None:
        raise AssertionError(f"a scripted cluster has no {seconds} seconds to wait for")


def put_once(store: Store, task: Task, **changes: Any) -> None:
    """Write a result as a trainer does: never over one that is there."""
    try:
        store.put(result_name(task.key), a_result(task, **changes).model_dump_json().encode(), expected=None)
    except Conflict:
        return


def open_controller(
    store: Store,
    cluster: Any,
    spec: SearchSpec,
    *,
    slots: int = 2,
    writer: str = "test",
    clock: Clock | None = None,
) -> Controller:
    ledger = Ledger(store, spec.name, writer)
    state = ledger.take_over()
    if state is None:
        state = new_state(spec, a_protocol(spec), 0.0)
        ledger.create(state)
    return Controller(ledger, store, cluster, clock or FixedClock(), state, slots=slots, spec=spec)


def run_to_end(controller: Controller, steps: int = 1000) -> list[Step]:
    taken = list[Step]()
    for _ in range(steps):
        taken.append(controller.step())
        if taken[-1].finished:
            return taken
    raise AssertionError("the search does not end")


def decisions(controller: Controller) -> Any:
    """All that a search decided, and nothing of how it got there."""
    return [rule.model_dump(mode="json") for rule in controller.search.snapshot().rules]


def undisturbed(store: Store, spec: SearchSpec) -> Controller:
    controller = open_controller(store, ScriptedCluster(store), spec, slots=1)
    run_to_end(controller)
    return controller
