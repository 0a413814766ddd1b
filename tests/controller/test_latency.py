"""A search under a budget of latency by the real controller: replaced after every step, and told to a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from controller.harness import ScriptedCluster, a_spec, decisions, open_controller, run_to_end, undisturbed
from controller.memory_store import MemoryStore
from rcas.controller.metrics import Metrics
from rcas.controller.status import Report, status_of
from rcas.latency import BlockPart, LatencyTable, latency_of_network, parts_of
from rcas.resource import Resource, StateRef, Status
from rcas.spec import SearchSpec

LIMIT_NS = 1500


def timed(**fields: Any) -> tuple[SearchSpec, LatencyTable]:
    space = a_spec().space.build()
    times = {part: 100 + 37 * index for index, part in enumerate(parts_of(space)) if isinstance(part, BlockPart)}
    table = LatencyTable.of(dict.fromkeys(parts_of(space), 5) | times)
    given = {"table": table.model_dump(mode="json")}
    return a_spec(budget={"latency": LIMIT_NS}, latency=given, rules=["UC", "ALR", "AMR"], **fields), table


@pytest.mark.parametrize("fields", [{}, {"confirm": {"most": 3}}, {"replicates": 2, "confirm": {"most": 4}}])
def test_a_controller_that_is_replaced_after_every_step_decides_the_same(fields):
    spec, table = timed(**fields)
    plain = undisturbed(MemoryStore(), spec)
    store, seeds = MemoryStore(), iter(range(1000))
    cluster = ScriptedCluster(store, seed=next(seeds))
    while True:
        controller = open_controller(store, cluster, spec, writer=f"writer-{next(seeds)}")
        if controller.step().finished:
            break
    assert decisions(controller) == decisions(plain)
    paths = [rule.path for rule in controller.search.result.rules.values()]
    assert max(map(len, paths)) > 2
    for path in paths:
        for point in path:
            assert point.cost.latency == latency_of_network(table, controller.search.problem.space, point.network)
            assert point.cost.latency <= LIMIT_NS


def test_status_and_metrics_say_the_latency_of_the_best_network():
    store, metrics, spec = MemoryStore(), Metrics(), timed()[0]
    controller = open_controller(store, ScriptedCluster(store), spec)
    metadata = {"name": "tiny", "namespace": "lab", "uid": "u"}
    for step in run_to_end(controller):
        metrics.step(Resource({"metadata": metadata, "spec": {}}), controller, step, 1.0)
    best = controller.search.result.best
    assert best
    state = StateRef(url="s3://bucket/prefix", name="lab/tiny/u")
    status = status_of(Report("Complete", "Complete", "", controller.search), Status(), state, 1, 0.0)
    assert status.latency_ns == best.cost.latency
    labels = {"search": "tiny", "kind": "latency"}
    used = metrics.registry.get_sample_value("rcas_budget_used_ratio", labels)
    assert used == pytest.approx(best.cost.latency / LIMIT_NS)
