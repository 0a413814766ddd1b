"""What the experiments are made with: searches, baselines, short and final trainings, each kept in a store."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

from experiments.records import Counts, Measured, Method
from experiments.size import Size
from rcas.baselines.methods import Method as Baseline
from rcas.clock import SystemClock
from rcas.controller.baseline import run_baseline
from rcas.controller.local import run_locally
from rcas.controller.trainings import measure
from rcas.errors import SearchFailed
from rcas.evaluation import DataSource, Description, Result, Task, evaluation_key
from rcas.final import Final, FinalDraw, FinalProtocol, FinalTask, final_training
from rcas.runtimes.local import LocalCluster, describe
from rcas.search import Search
from rcas.space import Network, Space
from rcas.spec import SearchSpec
from rcas.state import Head, read_head, read_result
from rcas.stores.file import FileStore
from rcas.wording import counted

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


class Placed(NamedTuple):
    """A network in the space that it lies in, which for MobileNetV2 is not the search's."""

    space: Space
    network: Network


class Bench:
    """Runs what is asked for, unless the store has it already.

    Args:
        store: keeps everything.
        workers: trainings at once.
        say: is told what goes on.
    """

    def __init__(self, store: FileStore, workers: int, say: Say) -> None:
        self.store, self.workers, self._say = store, workers, say
        self._descriptions = dict[object, Description]()
        self._clusters = dict[int, LocalCluster]()
        self._open = ExitStack()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def search(self, spec: SearchSpec) -> Searched:
        """Run a search to its end."""
        spec = spec.model_copy(update={"parallelism": self.workers})
        writer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
        done = run_locally(spec, self.store, SystemClock(), writer, lambda _controller, _step: None)
        head = read_head(self.store, spec.name)
        assert head
        searched = Searched(head, done.search)
        self._say(f"{spec.name}: {counted(len(done.search.known), 'network')} measured, best {searched.best}")
        return searched

    def baseline(self, searched: Searched, method: Baseline, trainings: int) -> tuple[Space, Method]:
        """The answer of a method under the budget and the protocol of a search, and the space that it lies in."""
        record = run_baseline(
            searched.head,
            method,
            0,
            trainings,
            store=self.store,
            cluster=self._workers_of(searched),
            slots=self.workers,
            watch=lambda _news: None,
        )
        if record.chosen is None:
            raise SearchFailed(f"{method} found no network")
        network, _, cost = record.chosen
        counts = next(Counts(correct, total) for name, correct, total in record.results if name == str(network))
        self._say(
            f"{searched.head.name}, {method}: {counted(len(record.results), 'network')} measured, best {network}"
        )
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

    def short(self, searched: Searched, placed: Iterable[Placed], replicates: Iterable[int]) -> list[list[Result]]:
        """Short trainings of each network, one for each replicate; a search chooses by replicate 0."""
        numbers, protocol = list(replicates), searched.head.state.protocol
        tasks = [
            [
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
            for space, network in placed
        ]
        return self._measured(searched, tasks)

    def finals(
        self, searched: Searched, placed: Iterable[Placed], size: Size, *, onto_other: bool = False
    ) -> list[list[Result]]:
        """Final trainings of each network, as many as the size says.

        Args:
            searched: gives the device, the threads and, as far as the size does not, the training.
            placed: networks with the spaces that they lie in.
            size: says how they are trained.
            onto_other: with the training and the data of the size's other skeleton.
        """
        finals = [self._final(searched, space, network, size, onto_other) for space, network in placed]
        return self._measured(searched, [[final.task(seed) for seed in range(final.seeds)] for final in finals])

    def _measured(self, searched: Searched, tasks: Sequence[Sequence[Task | FinalTask]]) -> list[list[Result]]:
        wanted, attempts = [task for each in tasks for task in each], searched.head.state.spec.max_attempts
        found = measure(wanted, self.store, self._workers_of(searched), max_attempts=attempts)
        return [[found[task.key] for task in each] for each in tasks]

    def _final(self, searched: Searched, space: Space, network: Network, size: Size, onto_other: bool) -> Final:
        spec, protocol = searched.head.state.spec, searched.head.state.protocol
        data = (size.transfer.data if onto_other else None) or spec.data
        fields = size.final | (size.transfer.training if onto_other else {})
        draw = FinalDraw(
            dataset=data.dataset,
            held_out="test",
            train_per_class=size.final_train_per_class,
            draw_seed=data.draw_seed,
        )
        described = self._described(data.source(), draw, space)
        assert described.test_sha256
        return Final(
            of="given",
            space=space,
            network=str(network),
            protocol=FinalProtocol(
                draw=draw,
                training=final_training("custom", spec.training, fields),
                data_sha256=described.data_sha256,
                test_sha256=described.test_sha256,
                device=protocol.device,
                threads=protocol.threads,
                versions=protocol.versions,
            ),
            source=data.source(),
            seeds=size.final_seeds,
        )

    def _described(self, source: DataSource, draw: FinalDraw, space: Space) -> Description:
        """A trainer process takes seconds to say what is the same for every network."""
        asked = (source, draw, space.input, space.num_classes)
        if asked not in self._descriptions:
            self._descriptions[asked] = describe(source, draw, space)
        return self._descriptions[asked]

    def machine(self, searched: Searched) -> str:
        """The processor that trained, as a trainer names it."""
        search = searched.search
        result = read_result(self.store, search.key(search.problem.space.start))
        assert result
        return result.device

    def _workers_of(self, searched: Searched) -> LocalCluster:
        """Workers with the threads of the search's protocol, kept from call to call: they take seconds to start."""
        threads = searched.head.state.protocol.threads
        if threads not in self._clusters:
            logs = self.store.path("logs")
            cluster = LocalCluster(self.store, logs, workers=self.workers, threads=threads)
            self._clusters[threads] = self._open.enter_context(cluster)
        return self._clusters[threads]


def counts(results: Sequence[Result]) -> tuple[Counts, ...]:
    """Images that were right, of each."""
    return tuple(Counts(result.correct, result.total) for result in results)


def measured(space: Space, network: Network) -> Measured:
    """A network of which only the cost is known so far."""
    cost = space.cost(network)
    return Measured(network=str(network), params=cost.params, madds=cost.madds)
