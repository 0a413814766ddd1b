"""What the experiments are made with: searches, baselines, short and final trainings on this machine, each kept in a store."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from experiments.records import Counts, Measured, Method
from rcas.baselines.methods import Method as Baseline
from rcas.clock import SystemClock
from rcas.controller.baseline import run_baseline
from rcas.controller.local import run_locally
from rcas.controller.trainings import measure
from rcas.errors import SearchFailed
from rcas.evaluation import Result, Task, evaluation_key
from rcas.runtimes.local import LocalCluster
from rcas.search import Search
from rcas.space import Network, Space
from rcas.spec import SearchSpec
from rcas.state import Head, read_head
from rcas.stores.file import FileStore

Say = Callable[[str], None]


class Searched(NamedTuple):
    """A search that is done."""

    head: Head
    search: Search

    @property
    def best(self) -> Network:
        """Its answer."""
        point = self.search.result.best
        assert point
        return point.network


class Bench:
    """Runs what is asked for, unless the store has it already.

    Args:
        store: keeps everything.
        workers: trainings at once.
        say: is told what goes on.
    """

    def __init__(self, store: FileStore, workers: int, say: Say) -> None:
        self.store, self.workers, self._say = store, workers, say

    def search(self, spec: SearchSpec) -> Searched:
        """Run a search to its end."""
        spec = spec.model_copy(update={"parallelism": self.workers})
        writer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        done = run_locally(spec, self.store, SystemClock(), writer, lambda _controller, _step: None)
        head = read_head(self.store, spec.name)
        assert head
        self._say(f"{spec.name}: {done.search.result.evaluations} evaluations, {done.search.result.best}")
        return Searched(head, done.search)

    def baseline(self, searched: Searched, method: Baseline, trainings: int) -> tuple[Space, Method]:
        """The answer of a method under the budget and the protocol of a search, and the space that it lies in."""
        with self._cluster(searched) as cluster:
            record = run_baseline(
                searched.head,
                method,
                0,
                trainings,
                store=self.store,
                cluster=cluster,
                slots=self.workers,
                watch=lambda _news: None,
            )
        if record.chosen is None:
            raise SearchFailed(f"{method} found no network")
        network, _, cost = record.chosen
        counts = next(Counts(correct, total) for name, correct, total in record.results if name == str(network))
        self._say(f"{searched.head.name}: {method} after {len(record.results)} trainings: {network}")
        method_found = Method(
            name=method,
            network=str(network),
            params=cost.params,
            madds=cost.madds,
            chosen_by=counts,
            trainings=len(record.results),
            worker_s=record.worker_seconds,
        )
        return record.space, method_found

    def evaluations(
        self, searched: Searched, space: Space, networks: Iterable[Network], replicates: Iterable[int]
    ) -> dict[Network, list[Result]]:
        """Short trainings of each network, one for each replicate; replicate 0 is the one that a search chooses by."""
        numbers, protocol = list(replicates), searched.head.state.protocol
        tasks = {
            network: [
                Task(
                    key=evaluation_key(space, network, protocol.sha256, replicate),
                    space=space,
                    network=str(network),
                    protocol=protocol,
                    replicate=replicate,
                    source=searched.head.state.spec.data.source(),
                )
                for replicate in numbers
            ]
            for network in networks
        }
        with self._cluster(searched) as cluster:
            wanted = [task for each in tasks.values() for task in each]
            found = measure(wanted, self.store, cluster, max_attempts=searched.head.state.spec.max_attempts)
        return {network: [found[task.key] for task in each] for network, each in tasks.items()}

    def _cluster(self, searched: Searched) -> LocalCluster:
        logs = self.store.path(f"searches/{searched.head.name}/logs")
        return LocalCluster(self.store, logs, workers=self.workers, threads=searched.head.state.protocol.threads)


def counts(results: Sequence[Result]) -> tuple[Counts, ...]:
    """Images that were right, of each."""
    return tuple(Counts(result.correct, result.total) for result in results)


def measured(space: Space, network: Network) -> Measured:
    """A network of which only the cost is known so far."""
    cost = space.cost(network)
    return Measured(network=str(network), params=cost.params, madds=cost.madds)
