"""Single trainings through a cluster: launched, tried again when they fail, believed only if their results fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

from rcas.errors import CorruptState, SearchFailed
from rcas.evaluation import Result, Task
from rcas.final import FinalResult, FinalTask
from rcas.runtimes.base import Attempt, Cluster
from rcas.state import (
    checkpoint_name,
    final_checkpoint_name,
    final_name,
    read_final,
    read_result,
    read_weights,
    result_name,
)
from rcas.stores.base import Store

POLL_S = 2.0
T = TypeVar("T", bound=Task | FinalTask)


def result_of(store: Store, task: Task | FinalTask) -> Result | None:
    """The result of a task, or None if there is none yet; of a final training a `FinalResult` with its weights kept.

    Raises:
        CorruptState: what is there cannot be the result of this task.
    """
    result = read_result(store, task.key) if isinstance(task, Task) else read_final(store, task.key)
    if result:
        require_result_of(task, result)
    if isinstance(result, FinalResult):
        read_weights(store, result)
    return result


def require_result_of(task: Task | FinalTask, result: Result) -> None:
    """Refuse a result object that a trainer of this task cannot have written.

    Raises:
        CorruptState: with the field that shows it.
    """
    cost = task.space.cost(task.space.network(task.network))
    claims = {
        "network": (result.network, task.network),
        "protocol_sha256": (result.protocol_sha256, task.protocol.sha256),
        "replicate": (result.replicate, task.replicate),
        "params": (result.params, cost.params),
        "madds": (result.madds, cost.madds),
        "epochs": (result.epochs, result.epochs if result.diverged else task.protocol.training.epochs),
    }
    for field, (found, expected) in claims.items():
        if found != expected:
            if isinstance(task, Task):
                raise CorruptState(f"{result_name(result.key)}: {field} is {found}, but this search's is {expected}")
            raise CorruptState(f"{final_name(result.key)}: {field} is {found}, but {expected} was asked for")


class Trainings(Generic[T]):
    """Tasks under way.

    Args:
        store: where results come to lie.
        cluster: runs them; nothing else uses it meanwhile.
        max_attempts: failures of one task after which it is given up.
    """

    def __init__(self, store: Store, cluster: Cluster, *, max_attempts: int) -> None:
        self._store, self._cluster, self._max_attempts = store, cluster, max_attempts
        self._tasks = dict[str, T]()
        self._started, self._failed = dict[str, int](), dict[str, int]()

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def start(self, task: T) -> None:
        """Launch a task that is not under way."""
        number = self._started.get(task.key, 0) + 1
        self._started[task.key], self._tasks[task.key] = number, task
        self._cluster.launch(f"{task.key[:16]}-single-{number}", task)

    def collect(self) -> list[tuple[T, Result]]:
        """Those that have ended since; what was interrupted or failed is launched again.

        Raises:
            SearchFailed: one failed too often, or its input cannot be used.
            CorruptState: a result that is none of its task.
        """
        found = list[tuple[T, Result]]()
        for attempt in self._cluster.observe():
            task = self._tasks.get(attempt.key)
            if attempt.outcome is None:
                continue
            self._cluster.forget(attempt.name)
            if task is None:
                continue
            result = result_of(self._store, task)
            del self._tasks[task.key]
            if result:
                # A trainer deletes its checkpoint itself, unless it was killed between its result and that.
                self._store.delete(
                    checkpoint_name(task.key) if isinstance(task, Task) else final_checkpoint_name(task.key)
                )
                found.append((task, result))
            else:
                self._require_another_try(task, attempt)
                self.start(task)
        return found

    def wait(self) -> None:
        """Return when something may have ended, after a moment at the latest."""
        self._cluster.wait(POLL_S)

    def _require_another_try(self, task: Task | FinalTask, attempt: Attempt) -> None:
        if attempt.outcome in {"interrupted", "lost"}:
            return
        failed = self._failed[task.key] = self._failed.get(task.key, 0) + 1
        words = attempt.message or "it said that it finished, but there is no result"
        if attempt.outcome == "invalid":
            raise SearchFailed(f"the evaluation of {task.network} cannot be run: {words}")
        if failed >= self._max_attempts:
            raise SearchFailed(f"the evaluation of {task.network} failed {failed} times: {words}")


def measure(tasks: Iterable[T], store: Store, cluster: Cluster, *, max_attempts: int) -> Mapping[str, Result]:
    """Results of all tasks by key. Those that the store has are not trained again.

    Raises:
        SearchFailed, CorruptState: see `Trainings.collect`.
    """
    trainings = Trainings[T](store, cluster, max_attempts=max_attempts)
    results = dict[str, Result]()
    for task in tasks:
        result = result_of(store, task)
        if result:
            results[task.key] = result
        elif task.key not in trainings:
            trainings.start(task)
    while len(trainings):
        results.update((task.key, result) for task, result in trainings.collect())
        if len(trainings):
            trainings.wait()
    return results
