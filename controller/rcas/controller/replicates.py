"""The same networks trained again from other seeds: how much of a gain is noise."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from rcas.controller.step import Controller
from rcas.errors import SearchFailed
from rcas.evaluation import Task, evaluation_key
from rcas.runtimes.base import Cluster
from rcas.space import Network
from rcas.state import read_result
from rcas.stores.base import Store

POLL_S = 2.0


def measure_replicates(
    controller: Controller, store: Store, cluster: Cluster, networks: Iterable[Network], replicates: Iterable[int]
) -> dict[Network, list[Fraction]]:
    """Accuracies of each network from other seeds: replicate 0 is the one that the search chose by.

    Results that the store has are not trained again.

    Raises:
        SearchFailed: a training failed.
    """
    space, protocol = controller.search.problem.space, controller.protocol
    tasks = {
        (network, replicate): Task(
            key=evaluation_key(space, network, protocol.sha256, replicate),
            space=space,
            network=str(network),
            protocol=protocol,
            replicate=replicate,
            source=controller.spec.data.source(),
        )
        for network in networks
        for replicate in replicates
    }
    missing = {task.key for task in tasks.values() if read_result(store, task.key) is None}
    for task in tasks.values():
        if task.key in missing:
            cluster.launch(f"{task.key[:16]}-replicate", task)
    while missing:
        for attempt in cluster.observe():
            if attempt.outcome is not None:
                if read_result(store, attempt.key) is None:
                    raise SearchFailed(f"a replicate failed: {attempt.message}")
                missing.discard(attempt.key)
                cluster.forget(attempt.name)
        if missing:
            cluster.wait(POLL_S)
    accuracies = dict[Network, list[Fraction]]()
    for (network, _), task in tasks.items():
        result = read_result(store, task.key)
        assert result
        accuracies.setdefault(network, []).append(Fraction(result.correct, result.total))
    return accuracies
