"""The controller: one sequential step over the ports, for one search.

Order within a step: collect results, decide, clear their checkpoints away, commit (results told and attempts
intended), then cancel, forget and launch. Whatever is cut off in between is found again in the store: a result that
was written, or an attempt that was intended. After an error the controller is not to be used again; open a new one on
the state in the store.
"""

from __future__ import annotations

from dataclasses import dataclass

from rcas.clock import Clock
from rcas.controller.limits import CANCELLED, PAUSED, Hold, exceeded
from rcas.controller.trainings import require_result_of
from rcas.errors import SearchFailed
from rcas.evaluation import Protocol, Result, Task
from rcas.runtimes.base import Attempt, Cluster
from rcas.search import Evaluation, Search
from rcas.spec import SearchSpec
from rcas.state import Attempts, Ledger, Phase, SearchState, checkpoint_name, read_result
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
        ended: attempts that ended since the last step, with a result or without.
        failed: those of them that ended without.
        running: attempts under way; when the search has finished, speculation that nobody waits for.
        phase: of the search after the step. message: why it is held, for people.
    """

    collected: tuple[Collected, ...]
    ended: tuple[Attempt, ...]
    failed: tuple[Attempt, ...]
    running: tuple[Attempt, ...]
    phase: Phase
    message: str = ""

    @property
    def finished(self) -> bool:
        """Whether every decision is taken."""
        return self.phase == "Complete"


def new_state(spec: SearchSpec, protocol: Protocol, now_s: float) -> SearchState:
    """The state of a search that nobody has worked on. `now_s`: seconds since 1970."""
    return SearchState(spec=spec, protocol=protocol, created=now_s, search=spec.search(protocol.sha256).snapshot())


class Controller:
    """Drives one search. The caller has taken the search over with `ledger`.

    Args:
        state: as the ledger read or created it; a failed search is tried again.
        spec: overrides of the stored spec that cannot change an accuracy (parallelism, limits, data path ...).
        slots: trainings at once.

    Attributes:
        paused, cancelled: what the user wants; may be set between steps, as may `spec` and `slots`.
    """

    def __init__(
        self,
        ledger: Ledger,
        store: Store,
        cluster: Cluster,
        clock: Clock,
        state: SearchState,
        *,
        slots: int,
        spec: SearchSpec,
    ) -> None:
        self._ledger, self._store, self._cluster, self._clock = ledger, store, cluster, clock
        self.spec, self.slots, self.protocol, self._created = spec, slots, state.protocol, state.created
        self.paused = self.cancelled = False
        self.search = Search.from_snapshot(state.search)
        self.counters = state.counters
        self._attempts = dict(state.attempts)
        if state.phase == "Failed":
            self._attempts = {key: tried.model_copy(update={"failed": 0}) for key, tried in state.attempts.items()}
        self._looked_up = set[str]()
        self._committed: tuple[Phase, str] = state.phase, state.message
        self._dirty = False

    def step(self) -> Step:
        """Take in what happened, decide, and launch what is worth running now.

        Raises:
            SearchFailed: an evaluation cannot succeed; the state says so too.
            Fenced, Unavailable, CorruptState: see `rcas.errors`.
        """
        observed = self._cluster.observe()
        running = {attempt.key: attempt for attempt in observed if attempt.outcome is None}
        collected, ended, failed = self._take_in([attempt for attempt in observed if attempt.outcome])
        read = {attempt.key for attempt in ended}
        while True:
            wanted = self._wanted(collected, read)
            hold = self._hold(running)
            useless = [a for a in running.values() if (hold and hold.cancels) or not self.search.may_need(a.key)]
            launches = [] if hold else self._worth_launching(wanted, running, len(useless))
            # While it waited for a slot another search may have trained it.
            waited = [evaluation.key for evaluation in launches if evaluation.key not in read]
            if not self._look_up(waited, collected, read):
                break
        for evaluation in launches:
            self._intend(evaluation)
        for attempt in useless:
            self._give_up(attempt, keep_intent=hold is not None)
        phase: Phase = hold.phase if hold else "Complete" if self.search.done else "Running"
        for item in collected:
            # A trainer deletes its checkpoint itself, unless it was killed between its result and that. Once a result
            # is committed nobody looks again, so this comes before.
            self._store.delete(checkpoint_name(item.evaluation.key))
        self._commit(phase, hold.message if hold else "")
        for attempt in useless:
            self._cluster.cancel(attempt.name)
        for attempt in observed:
            if attempt.outcome is not None:
                self._cluster.forget(attempt.name)
        for evaluation in launches:
            self._launch(evaluation)
        return Step(
            tuple(collected),
            tuple(ended),
            tuple(failed),
            tuple(running.values()),
            phase,
            hold.message if hold else "",
        )

    def _take_in(self, observed: list[Attempt]) -> tuple[list[Collected], list[Attempt], list[Attempt]]:
        """(results that became known, attempts that ended, those of them that left no result)."""
        collected, ended, failed = list[Collected](), list[Attempt](), list[Attempt]()
        for attempt in observed:
            # Of two attempts at one evaluation the second to end has nothing to add, nor has one that was given up.
            if attempt.key not in self._attempts:
                # One that is needed all the same is another controller's: a commit shows which of the two is fenced.
                self._dirty |= self.search.may_need(attempt.key) or not self.search.network_of(attempt.key)
                continue
            ended.append(attempt)
            found = self._collect(attempt.key, reused=False)
            if found:
                collected.append(found)
                self._count(gpu_seconds=attempt.gpu_seconds)
            elif _number(attempt) > self._attempts[attempt.key].counted:
                failed.append(attempt)
                self._count(gpu_seconds=attempt.gpu_seconds)
                self._count_failure(attempt)
        return collected, ended, failed

    def _wanted(self, collected: list[Collected], read: set[str]) -> list[Evaluation]:
        """What to run now. Results that the store has already are collected on the way."""
        while True:
            wanted = self.search.ask(self.slots, speculate=self.spec.speculate)
            new = [evaluation.key for evaluation in wanted if evaluation.key not in self._looked_up]
            if not self._look_up(new, collected, read):
                return wanted

    def _look_up(self, keys: list[str], collected: list[Collected], read: set[str]) -> bool:
        """Collect those of the results that the store has; whether there is any. `read`: looked up in this step."""
        read.update(keys)
        self._looked_up.update(keys)
        found = [result for key in keys if (result := self._collect(key, reused=True))]
        collected += found
        return bool(found)

    def _hold(self, running: dict[str, Attempt]) -> Hold | None:
        if self._committed[0] == "Cancelled":
            # For good, whatever has ended since, and whether or not this controller has heard of it.
            return CANCELLED
        if self.search.done:
            return None
        if self.cancelled:
            return CANCELLED
        if self.paused:
            return PAUSED
        gpu_seconds = self.counters.gpu_seconds + sum(attempt.gpu_seconds for attempt in running.values())
        age_s = self._clock.now() - self._created
        return exceeded(self.spec.limits, self.counters, gpu_seconds=gpu_seconds, age_s=age_s)

    def _worth_launching(
        self, wanted: list[Evaluation], running: dict[str, Attempt], useless: int
    ) -> list[Evaluation]:
        free = self.slots - len(running) + useless
        if self.spec.limits.evaluations is not None:
            free = min(free, self.spec.limits.evaluations - self.counters.trained - len(running) + useless)
        return [evaluation for evaluation in wanted if evaluation.key not in running][: max(0, free)]

    def _collect(self, key: str, *, reused: bool) -> Collected | None:
        result = read_result(self._store, key)
        if result is None:
            return None
        network = self.search.network_of(key)
        assert network
        evaluation = Evaluation(key, network, replicate=self.search.replicate_of(key))
        require_result_of(self._task(evaluation), result)
        self.search.tell(key, correct=result.correct, total=result.total)
        # A result of an attempt that an earlier controller launched is this search's own training.
        reused = reused and key not in self._attempts
        self._attempts.pop(key, None)
        seconds = result.seconds.data + result.seconds.training + result.seconds.validation
        self._count(**({"reused": 1} if reused else {"trained": 1, "busy_seconds": seconds}))
        return Collected(evaluation, result, reused)

    def _count(self, **amounts: float) -> None:
        self.counters = self.counters.add(**amounts)
        self._dirty = True

    def _count_failure(self, attempt: Attempt) -> None:
        tried = self._attempts[attempt.key].model_copy(update={"counted": _number(attempt)})
        self._attempts[attempt.key] = tried
        if attempt.outcome in {"interrupted", "lost"}:
            self._count(interruptions=1)
            return
        self._count(failures=1)
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

    def _give_up(self, attempt: Attempt, *, keep_intent: bool) -> None:
        """Count what an attempt held that is cancelled now; a held search takes it up again later."""
        self._count(gpu_seconds=attempt.gpu_seconds)
        tried = self._attempts.pop(attempt.key, None)
        if tried and keep_intent:
            self._attempts[attempt.key] = tried.model_copy(update={"counted": _number(attempt)})

    def _launch(self, evaluation: Evaluation) -> None:
        name = f"{evaluation.key[:16]}-{self._attempts[evaluation.key].started}"
        self._cluster.launch(name, self._task(evaluation))

    def _task(self, evaluation: Evaluation) -> Task:
        return Task(
            key=evaluation.key,
            space=self.search.problem.space,
            network=str(evaluation.network),
            protocol=self.protocol,
            replicate=evaluation.replicate,
            source=self.spec.data.source(),
        )

    def _commit(self, phase: Phase, message: str = "") -> None:
        """Write the state if it has changed."""
        if self.search.done:
            # What still runs was speculation that no decision needed: the caller ends it.
            self._attempts.clear()
        if not self._dirty and self._committed == (phase, message):
            return
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
        self._committed = phase, message


def _number(attempt: Attempt) -> int:
    """Which attempt at its evaluation it is, from 1."""
    return int(attempt.name.rpartition("-")[2])
