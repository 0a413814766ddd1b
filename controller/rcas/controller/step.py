"""The controller: one sequential step over the ports, for one search.

Order within a step: collect results, decide, commit (results told and attempts intended), then launch. Whatever is
cut off in between is found again in the store: a result that was written, or an attempt that was intended.
"""

from __future__ import annotations

from dataclasses import dataclass

from rcas.errors import CorruptState, SearchFailed
from rcas.evaluation import Protocol, Result, Task
from rcas.runtimes.base import Attempt, Cluster
from rcas.search import Evaluation, Search
from rcas.space import Network
from rcas.spec import SearchSpec
from rcas.state import Attempts, Ledger, Phase, SearchState, read_result, result_name
from rcas.stores.base import Store


@dataclass(frozen=True, slots=True)
class Collected:
    """A result that became known in a step. `reused`: it was in the store before this search asked for it."""

    evaluation: Evaluation
    result: Result
    reused: bool


@dataclass(frozen=True, slots=True)
class Step:
    """What one step found and did.

    Attributes:
        failed: attempts that ended without a result.
        running: attempts under way; when the search has finished, speculation that nobody waits for.
    """

    collected: tuple[Collected, ...]
    failed: tuple[Attempt, ...]
    running: tuple[Attempt, ...]
    finished: bool


def new_state(spec: SearchSpec, protocol: Protocol, now_s: float) -> SearchState:
    """The state of a search that nobody has worked on. `now_s`: seconds since 1970."""
    return SearchState(spec=spec, protocol=protocol, created=now_s, search=spec.search(protocol.sha256).snapshot())


class Controller:
    """Drives one search. The caller has taken the search over with `ledger`.

    Args:
        state: as the ledger read or created it; a failed search is tried again.
        slots: trainings at once.
        spec: overrides of the stored spec that cannot change an accuracy (parallelism, data path ...).
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        cluster: Cluster,
        state: SearchState,
        *,
        slots: int,
        spec: SearchSpec,
    ) -> None:
        self._ledger, self._store, self._cluster, self._slots = ledger, store, cluster, slots
        self.spec, self.protocol, self._created = spec, state.protocol, state.created
        self.search = Search.from_snapshot(state.search)
        self.counters = state.counters
        self._attempts = {key: tried.model_copy(update={"failed": 0}) for key, tried in state.attempts.items()}
        self._looked_up = set[str]()
        self._dirty = state.phase == "Failed"

    def step(self) -> Step:
        """Take in what happened, decide, and launch what is worth running now.

        Raises:
            SearchFailed: an evaluation cannot succeed; the state says so too.
            Fenced, Unavailable, CorruptState: see `rcas.errors`.
        """
        collected, failed = list[Collected](), list[Attempt]()
        observed = self._cluster.observe()
        running = {attempt.key: attempt for attempt in observed if attempt.outcome is None}
        for attempt in observed:
            # Of two attempts at one evaluation the second to end has nothing to add.
            if attempt.outcome is None or self.search.has_been_told(attempt.key):
                continue
            found = self._collect(attempt.key, reused=False)
            if found:
                collected.append(found)
            else:
                failed.append(attempt)
                self._count_failure(attempt)
        wanted = self._wanted(collected)
        free = max(0, self._slots - len(running))
        launches = [evaluation for evaluation in wanted if evaluation.key not in running][:free]
        for evaluation in launches:
            self._intend(evaluation)
        if self.search.done:
            # What still runs was speculation that no decision needed: the caller ends it.
            self._attempts.clear()
        if self._dirty:
            self._commit("Complete" if self.search.done else "Running")
        for attempt in observed:
            if attempt.outcome is not None:
                self._cluster.forget(attempt.name)
        for evaluation in launches:
            self._launch(evaluation)
        return Step(tuple(collected), tuple(failed), tuple(running.values()), self.search.done)

    def _wanted(self, collected: list[Collected]) -> list[Evaluation]:
        """What to run now. Results that the store has already are collected on the way."""
        while True:
            wanted = self.search.ask(self._slots, speculate=self.spec.speculate)
            new = [evaluation.key for evaluation in wanted if evaluation.key not in self._looked_up]
            self._looked_up.update(new)
            found = [result for key in new if (result := self._collect(key, reused=True))]
            if not found:
                return wanted
            collected += found

    def _collect(self, key: str, *, reused: bool) -> Collected | None:
        result = read_result(self._store, key)
        if result is None:
            return None
        network = self.search.network_of(key)
        assert network
        self._check(result, network)
        self.search.tell(key, correct=result.correct, total=result.total)
        # A result of an attempt that an earlier controller launched is this search's own training.
        reused = reused and key not in self._attempts
        self._attempts.pop(key, None)
        seconds = result.seconds.data + result.seconds.training + result.seconds.validation
        self.counters = self.counters.add(reused=1) if reused else self.counters.add(trained=1, busy_seconds=seconds)
        self._dirty = True
        return Collected(Evaluation(key, network), result, reused)

    def _check(self, result: Result, network: Network) -> None:
        """Refuse a result object that a trainer of this search cannot have written."""
        cost = self.search.problem.space.cost(network)
        epochs = self.protocol.training.epochs
        claims = {
            "network": (result.network, str(network)),
            "protocol_sha256": (result.protocol_sha256, self.protocol.sha256),
            "params": (result.params, cost.params),
            "madds": (result.madds, cost.madds),
            "epochs": (result.epochs, result.epochs if result.diverged else epochs),
        }
        for field, (found, expected) in claims.items():
            if found != expected:
                raise CorruptState(f"{result_name(result.key)}: {field} is {found}, but this search's is {expected}")

    def _count_failure(self, attempt: Attempt) -> None:
        self._dirty = True
        if attempt.outcome == "interrupted":
            self.counters = self.counters.add(interruptions=1)
            return
        self.counters = self.counters.add(failures=1)
        tried = self._attempts[attempt.key]
        words = attempt.message or "it said that it finished, but there is no result"
        tried = tried.model_copy(update={"failed": tried.failed + 1, "last_words": words})
        self._attempts[attempt.key] = tried
        if attempt.outcome == "invalid":
            self._fail(f"the evaluation of {tried.network} cannot be run: {words}")
        if tried.failed >= self.spec.max_attempts:
            self._fail(f"the evaluation of {tried.network} failed {tried.failed} times: {words}")

    def _fail(self, message: str) -> None:
        self._commit("Failed", message)
        raise SearchFailed(message)

    def _intend(self, evaluation: Evaluation) -> None:
        tried = self._attempts.get(evaluation.key) or Attempts(network=str(evaluation.network))
        self._attempts[evaluation.key] = tried.model_copy(update={"started": tried.started + 1})
        self._dirty = True

    def _launch(self, evaluation: Evaluation) -> None:
        task = Task(
            key=evaluation.key,
            space=self.search.problem.space,
            network=str(evaluation.network),
            protocol=self.protocol,
            replicate=self.search.replicate,
            source=self.spec.data.source(),
        )
        self._cluster.launch(f"{evaluation.key[:16]}-{self._attempts[evaluation.key].started}", task)

    def _commit(self, phase: Phase, message: str = "") -> None:
        self._ledger.commit(
            SearchState(
                spec=self.spec,
                protocol=self.protocol,
                created=self._created,
                phase=phase,
                message=message,
                search=self.search.snapshot(),
                attempts=self._attempts,
                counters=self.counters,
            )
        )
        self._dirty = False
