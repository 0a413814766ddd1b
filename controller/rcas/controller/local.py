"""A search on this machine, from spec to end: the embedded default."""

from __future__ import annotations

import os
from collections.abc import Callable

from rcas.clock import Clock
from rcas.controller.step import Controller, Step, new_state
from rcas.errors import InvalidSpec
from rcas.runtimes.local import LocalCluster, describe
from rcas.spec import SearchSpec
from rcas.state import Ledger, SearchState, checkpoint_name
from rcas.stores.file import FileStore

OPERATIONAL_FIELDS = ("parallelism", "max_attempts", "speculate", "limits", "pod", "threads", "device")
"""Fields of a spec that may differ when a search goes on: the stored protocol has settled the last two."""
POLL_S = 2.0

Watcher = Callable[[Controller, Step], None]


def run_locally(spec: SearchSpec, store: FileStore, clock: Clock, writer: str, watch: Watcher) -> Controller:
    """Start the search, or go on with it, until it ends or reaches a limit. `watch` is called after every step.

    Raises:
        InvalidSpec: the data cannot be used, or the search of this name in the store is another one.
        Fenced: another process works on it.
        SearchFailed: an evaluation cannot succeed.
    """
    folder = store.path(f"searches/{spec.name}")
    with store.alone(f"searches/{spec.name}/controller"):
        ledger = Ledger(store, spec.name, writer)
        state = ledger.take_over()
        if state is None:
            state = _begin(spec, clock)
            ledger.create(state)
        else:
            refuse_other_search(state.spec, spec)
        workers = spec.parallelism or state.spec.parallelism or available_cores()
        spec = spec.model_copy(update={"parallelism": workers})
        with LocalCluster(store, folder / "logs", workers=workers, threads=state.protocol.threads) as cluster:
            controller = Controller(ledger, store, cluster, clock, state, slots=workers, spec=spec)
            while True:
                step = controller.step()
                watch(controller, step)
                if step.finished or (step.phase == "LimitReached" and not step.running):
                    break
                cluster.wait(POLL_S)
        for abandoned in step.running:
            store.delete(checkpoint_name(abandoned.key))
        return controller


def _begin(spec: SearchSpec, clock: Clock) -> SearchState:
    found = describe(spec.data.source(), spec.data.draw(), spec.space.build())
    gpus = 0 if spec.device == "cpu" else found.gpus
    workers = spec.parallelism or gpus or available_cores()
    threads = max(1, available_cores() // workers) if spec.threads == "auto" else spec.threads
    settled = spec.model_copy(update={"parallelism": workers})
    return new_state(settled, settled.protocol(found, threads), clock.now())


def refuse_other_search(stored: SearchSpec, given: SearchSpec) -> None:
    """Raise InvalidSpec if the two specs would not give the same search."""
    for field in SearchSpec.model_fields:
        before, now = getattr(stored, field), getattr(given, field)
        if field == "data":
            before, now = before.draw(), now.draw()
        if field not in OPERATIONAL_FIELDS and before != now:
            raise InvalidSpec(
                field,
                got=str(now),
                allowed=f"{before}, as when the search {stored.name} began; give a changed search another name",
            )


def available_cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
