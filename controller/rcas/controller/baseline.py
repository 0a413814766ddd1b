"""A baseline from its beginning, or from where it was killed, to its record.

Every decision is a function of results in the store, so going on is asking again. Only which of them this baseline
trained itself must be remembered: it is written before they are launched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction

from rcas.baselines.methods import Method, build
from rcas.baselines.record import Record
from rcas.baselines.strategy import Strategy
from rcas.controller.trainings import Trainings, result_of
from rcas.errors import Conflict, Fenced
from rcas.evaluation import Result, Task
from rcas.runtimes.base import Cluster
from rcas.search import Search
from rcas.space import Network
from rcas.state import Head, baseline_name, parse_baseline
from rcas.stores.base import Store


@dataclass(frozen=True, slots=True)
class News:
    """A result that a baseline has taken in. `reused`: the store had it from another search or baseline."""

    record: Record
    done: int
    result: Result
    reused: bool


Watcher = Callable[[News], None]


def run_baseline(
    head: Head,
    method: Method,
    seed: int,
    trainings: int,
    *,
    store: Store,
    cluster: Cluster,
    slots: int,
    watch: Watcher,
    replicates: int = 1,
) -> Record:
    """The record of a method under the budget and the protocol of a search.

    Args:
        head: of the search. Nobody works on it meanwhile.
        method: which.
        seed: of its draws.
        trainings: that it may ask for; of different networks, but for `replicates`.
        store: where the search lies.
        cluster: trains what the store does not have.
        slots: trainings at once.
        watch: called for every result in the order in which it became known.
        replicates: trainings of a network, from the seeds 0, 1, ..., whose pooled counts are its accuracy.

    Raises:
        InvalidSpec: the method is not possible under this budget, or too few trainings for one network.
        SearchFailed: an evaluation cannot succeed.
        Fenced: another process works on the same baseline.
        CorruptState: a result or a record that is none.
    """
    problem = Search.from_snapshot(head.state.search).problem
    strategy = build(method, problem, head.state.spec.rules, limit=trainings // replicates, seed=seed)
    fresh = Record(
        search=head.name,
        method=method,
        seed=seed,
        trainings=trainings,
        replicates=replicates,
        protocol_sha256=head.state.protocol.sha256,
        space=strategy.space,
        budget=problem.budget,
    )
    run = _Run(head, strategy, fresh, store, watch)
    if run.record.stopped is None:
        run.to_the_end(Trainings[Task](store, cluster, max_attempts=head.state.spec.max_attempts), slots)
    return run.record


class _Run:
    def __init__(self, head: Head, strategy: Strategy, fresh: Record, store: Store, watch: Watcher) -> None:
        self._head, self._strategy, self._store, self._watch = head, strategy, store, watch
        self._name = baseline_name(fresh.search, fresh.method, fresh.seed)
        self._results = dict[Network, dict[int, Result]]()
        stored = store.get(self._name)
        found = parse_baseline(stored.data, self._name) if stored else None
        self._version = stored.version if stored else None
        # One with another number of trainings trained a part of the same evaluations: they are its own all the same.
        alike = found is not None and found.is_same(fresh.model_copy(update={"trainings": found.trainings}))
        kept = found.launched if found and alike else ()
        self.record = found if found and found.is_same(fresh) else fresh.model_copy(update={"launched": kept})

    def to_the_end(self, trainings: Trainings[Task], slots: int) -> None:
        """Ask, train and tell until the strategy has ended; then write the record."""
        while True:
            self._launch(trainings, slots)
            if not len(trainings):
                break
            found = trainings.collect()
            for task, result in found:
                self._tell(task, result, reused=False)
            if not found:
                trainings.wait()
        answer = self._strategy.answer
        seconds = (result.seconds for results in self._results.values() for result in results.values())
        self._commit(
            results=tuple((str(network), *self._pooled(network)) for network in self._strategy.order),
            answer=None if answer is None else str(answer),
            stopped=self._strategy.stopped,
            worker_seconds=sum(s.data + s.training + s.validation for s in seconds),
        )

    def _launch(self, trainings: Trainings[Task], slots: int) -> None:
        """Start what is asked for and not in the store, as far as there are slots; tell what is in it."""
        while True:
            new = [task for task in self._wanted(slots) if task.key not in trainings]
            found = [(task, result) for task in new if (result := result_of(self._store, task))]
            for task, result in found:
                self._tell(task, result, reused=task.key not in self.record.launched)
            if not found:
                break
        launches = new[: max(0, slots - len(trainings))]
        intended = [task.key for task in launches if task.key not in self.record.launched]
        if intended:
            self._commit(launched=(*self.record.launched, *intended))
        for task in launches:
            trainings.start(task)

    def _wanted(self, n: int) -> Iterator[Task]:
        """Trainings of the first n networks that are asked for, less those that have a result."""
        for network in self._strategy.ask(n):
            known = self._results.get(network, {})
            yield from (self._task(network, seed) for seed in range(self.record.replicates) if seed not in known)

    def _tell(self, task: Task, result: Result, *, reused: bool) -> None:
        network = self._strategy.space.network(task.network)
        known = self._results.setdefault(network, {})
        known[task.replicate] = result
        if len(known) == self.record.replicates:
            self._strategy.tell(network, Fraction(*self._pooled(network)))
        self._watch(News(self.record, sum(map(len, self._results.values())), result, reused))

    def _pooled(self, network: Network) -> tuple[int, int]:
        """(correct, total) over all trainings of a network."""
        results = self._results[network].values()
        return sum(result.correct for result in results), sum(result.total for result in results)

    def _task(self, network: Network, replicate: int) -> Task:
        space, protocol = self._strategy.space, self._head.state.protocol
        return Task(
            key=self.record.key(network, replicate),
            space=space,
            network=str(network),
            protocol=protocol,
            replicate=replicate,
            source=self._head.state.spec.data.source(),
        )

    def _commit(self, **changes: object) -> None:
        record = self.record.model_copy(update=changes)
        try:
            self._version = self._store.put(self._name, record.model_dump_json().encode(), expected=self._version)
        except Conflict:
            raise Fenced(f"another process works on {self._name}; stop it first, or wait for it") from None
        self.record = record
