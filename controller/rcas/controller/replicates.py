"""The same networks trained again from other seeds: how much of a gain is noise."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from rcas.controller.step import Controller
from rcas.controller.trainings import measure
from rcas.evaluation import Task, evaluation_key
from rcas.runtimes.base import Cluster
from rcas.space import Network
from rcas.stores.base import Store


def measure_replicates(
    controller: Controller, store: Store, cluster: Cluster, networks: Iterable[Network], replicates: Iterable[int]
) -> dict[Network, list[Fraction]]:
    """Accuracies of each network from other seeds: replicate 0 is the one that the search chose by.

    Results that the store has are not trained again.

    Raises:
        SearchFailed: a training failed too often, or cannot be run.
        CorruptState: a result that is none of its training.
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
    results = measure(tasks.values(), store, cluster, max_attempts=controller.spec.max_attempts)
    accuracies = dict[Network, list[Fraction]]()
    for (network, _), task in tasks.items():
        result = results[task.key]
        accuracies.setdefault(network, []).append(Fraction(result.correct, result.total))
    return accuracies
