"""A finished search in a store of memory, and its report."""

from __future__ import annotations

from typing import Any

from controller.harness import ScriptedCluster, a_result, a_spec, open_controller, run_to_end
from controller.memory_store import MemoryStore
from rcas.evaluation import Result, Task, evaluation_key
from rcas.report import Gatherer, Report
from rcas.state import Head, read_head, result_name

BEGAN = 1_000.0
NAME = "tiny"


def a_store(steps: int | None = None, **spec: Any) -> MemoryStore:
    """A search that is done, or has made so many steps."""
    store = MemoryStore()
    controller = open_controller(store, ScriptedCluster(store), a_spec(**spec))
    if steps is None:
        run_to_end(controller)
    for _ in range(steps or 0):
        controller.step()
    return store


def head_of(store: MemoryStore) -> Head:
    head = read_head(store, NAME)
    assert head
    return head


def report_of(store: MemoryStore) -> Report:
    return Gatherer(store).report(head_of(store), now=BEGAN + 500)


def change_result(store: MemoryStore, key: str, **fields: Any) -> None:
    found = Result.model_validate_json(store.objects[result_name(key)])
    store.objects[result_name(key)] = found.model_copy(update=fields).model_dump_json().encode()


def add_seeds(store: MemoryStore, network: str, count: int, **fields: Any) -> None:
    """Results of a network from the seeds 1 to `count`."""
    state = head_of(store).state
    space = state.search.space
    for replicate in range(1, count + 1):
        key = evaluation_key(space, space.network(network), state.protocol.sha256, replicate)
        task = Task(key=key, space=space, network=network, protocol=state.protocol, replicate=replicate)
        store.objects[result_name(key)] = a_result(task, **fields).model_dump_json().encode()
