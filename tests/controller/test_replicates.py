"""Searches that train a network from several seeds, driven by the real controller; and a head that 0.1 wrote."""

from __future__ import annotations

from pathlib import Path

import pytest

from controller.harness import (
    ScriptedCluster,
    a_spec,
    decisions,
    open_controller,
    put_once,
    run_to_end,
    undisturbed,
)
from controller.memory_store import MemoryStore
from rcas.errors import CorruptState
from rcas.state import head_name, read_head

HEAD_OF_0_1 = Path(__file__).parent / "head_of_0_1.json"
"""Of the search `tiny` with the rules UC and APR, 13 networks known and 3 blocks accepted, before `replicates`."""


def test_a_search_stored_before_there_were_replicates_goes_on_as_it_would_have():
    spec, store = a_spec(rules=["UC", "APR"]), MemoryStore()
    store.objects[head_name("tiny")] = HEAD_OF_0_1.read_bytes()
    before = read_head(store, "tiny")
    assert before is not None
    assert before.model_dump_json().encode() == HEAD_OF_0_1.read_bytes(), "nothing is added to what has no replicates"
    controller = open_controller(store, ScriptedCluster(store), spec, writer="newer")
    run_to_end(controller)
    assert decisions(controller) == decisions(undisturbed(MemoryStore(), spec))
    head = read_head(store, "tiny")
    assert head is not None
    assert before.state.search.results.items() <= head.state.search.results.items()


def test_every_network_is_trained_from_as_many_seeds_as_replicates_says():
    store = MemoryStore()
    cluster = ScriptedCluster(store)
    controller = open_controller(store, cluster, a_spec(replicates=3, speculate=False), slots=4)
    run_to_end(controller)
    known = controller.search.known
    assert {len(known.trainings(network)) for network in known} == {3}
    assert len(cluster.launched) == controller.counters.trained == controller.search.evaluations == 3 * len(known)


def test_more_replicates_reuse_the_trainings_of_fewer():
    store = MemoryStore()
    first = open_controller(store, ScriptedCluster(store), a_spec(max_blocks=0))
    run_to_end(first)
    second = open_controller(store, ScriptedCluster(store), a_spec(name="second", replicates=2, max_blocks=0))
    run_to_end(second)
    assert (second.counters.reused, second.counters.trained) == (1, 1)


def test_a_result_of_another_seed_than_its_key_says_is_refused():
    store = MemoryStore()

    class Liar(ScriptedCluster):
        def launch(self, name, task):
            put_once(store, task, replicate=task.replicate + 1)
            super().launch(name, task)

    with pytest.raises(CorruptState, match=r"replicate is \d, but this search's is \d"):
        run_to_end(open_controller(store, Liar(store), a_spec(replicates=2)))
