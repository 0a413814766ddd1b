"""The final trainings of a search: what is asked for is written down first, then launched, then collected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rcas.controller.trainings import require_result_of
from rcas.errors import Conflict, Fenced, SearchFailed
from rcas.evaluation import Attempts
from rcas.final import Final, FinalResult, Finals
from rcas.runtimes.base import Attempt, Cluster
from rcas.state import final_checkpoint_name, finals_name, parse_finals, read_final, read_weights
from rcas.stores.base import Store


class FinalsLedger:
    """The one writer of a search's index of final trainings. `writer`: unique to this process."""

    def __init__(self, store: Store, search: str, writer: str) -> None:
        self._store, self._search, self._writer = store, search, writer
        self._version: str | None = None

    def take_over(self, final: Final, *, retry: bool) -> Finals:
        """The index with `final` in it, written, so that an older writer is fenced.

        Args:
            final: what is asked for now.
            retry: forget failures of earlier attempts.

        Raises:
            CorruptState: what is there is no such index.
            Fenced: another process took over at the same moment.
        """
        stored = self._store.get(finals_name(self._search))
        self._version = stored.version if stored else None
        known = parse_finals(stored.data, self._search) if stored else Finals(search=self._search, writer="")
        attempts = known.attempts
        if retry:
            attempts = {key: tried.model_copy(update={"failed": 0}) for key, tried in attempts.items()}
        changes = {"epoch": known.epoch + 1, "writer": self._writer, "attempts": attempts}
        return self.commit(known.with_final(final).model_copy(update=changes))

    def commit(self, finals: Finals) -> Finals:
        """Replace the index; returns it as written.

        Raises:
            Fenced: another process has written since.
        """
        written = finals.model_copy(update={"seq": finals.seq + 1})
        data, name = written.model_dump_json().encode(), finals_name(self._search)
        try:
            self._version = self._store.put(name, data, expected=self._version)
        except Conflict:
            stored = self._store.get(name)
            # A refused write whose bytes are there succeeded before: only the answer was lost.
            if stored is None or stored.data != data:
                raise Fenced(f"another process works on the final trainings of {self._search}") from None
            self._version = stored.version
        return written


@dataclass(frozen=True, slots=True)
class FinalStep:
    """What is known after a step.

    Attributes:
        results: by seed. collected: seeds whose result became known in this step.
        failed: attempts that ended without a result since the last step. running: attempts under way.
        done: every seed has its result.
    """

    results: Mapping[int, FinalResult]
    collected: tuple[int, ...]
    failed: tuple[Attempt, ...]
    running: tuple[Attempt, ...]
    done: bool


class Retrainer:
    """Trains one network finally, with all its seeds. After an error it is not to be used again.

    Args:
        ledger: of the search's index.
        store: where results and weights are found.
        cluster: that runs the trainings.
        final: what to train. retry: forget failures of earlier attempts.
        slots: trainings at once. max_attempts: tries of one training.
    """

    def __init__(
        self,
        ledger: FinalsLedger,
        store: Store,
        cluster: Cluster,
        final: Final,
        *,
        slots: int,
        max_attempts: int,
        retry: bool = True,
    ) -> None:
        self._ledger, self._store, self._cluster = ledger, store, cluster
        self._slots, self._max_attempts = slots, max_attempts
        self._finals = ledger.take_over(final, retry=retry)
        self.final = next(one for one in self._finals.finals if one.is_same(final))
        self._attempts = dict(self._finals.attempts)
        self._seeds = {key: seed for seed, key in enumerate(self.final.keys)}
        self._results = dict[int, FinalResult]()
        self._to_look_up = set(self._seeds)

    def step(self) -> FinalStep:
        """Take in what happened, and launch what is missing.

        Raises:
            SearchFailed: a training cannot succeed.
            Fenced, Unavailable, CorruptState: see `rcas.errors`.
        """
        observed = self._cluster.observe()
        foreign = [attempt for attempt in observed if attempt.key not in self._seeds]
        ended = [attempt for attempt in observed if attempt.outcome and attempt.key in self._seeds]
        self._to_look_up.update(attempt.key for attempt in ended)
        collected = self._collect()
        failed = [attempt for attempt in ended if self._count(attempt)]
        running = {a.key: a for a in observed if a.outcome is None and a.key in self._seeds}
        missing = [key for key, seed in self._seeds.items() if seed not in self._results and key not in running]
        launches = missing[: max(0, self._slots - len(running))]
        for key in launches:
            tried = self._attempts.get(key) or Attempts(network=self.final.network)
            self._attempts[key] = tried.model_copy(update={"started": tried.started + 1})
        self._commit()
        for attempt in (*foreign, *ended):
            self._cluster.forget(attempt.name)
        for key in launches:
            task = self.final.task(self._seeds[key])
            self._cluster.launch(f"{key[:16]}-{self._attempts[key].started}", task)
        done = len(self._results) == len(self._seeds)
        return FinalStep(dict(self._results), tuple(collected), tuple(failed), tuple(running.values()), done)

    def _collect(self) -> list[int]:
        """Seeds whose result is there now. Their checkpoints go: a killed trainer may have left one."""
        found = list[int]()
        for key in sorted(self._to_look_up, key=self._seeds.__getitem__):
            seed = self._seeds[key]
            result = None if seed in self._results else read_final(self._store, key)
            if result:
                require_result_of(self.final.task(seed), result)
                read_weights(self._store, result)
                self._results[seed] = result
                self._attempts.pop(key, None)
                self._store.delete(final_checkpoint_name(key))
                found.append(seed)
        self._to_look_up.clear()
        return found

    def _count(self, attempt: Attempt) -> bool:
        """Count the end of an attempt; whether it left no result.

        Raises:
            SearchFailed: there is no use in trying again.
        """
        number = int(attempt.name.rpartition("-")[2])
        tried = self._attempts.get(attempt.key)
        if self._seeds[attempt.key] in self._results or tried is None or number <= tried.counted:
            return False
        tried = tried.model_copy(update={"counted": number})
        if attempt.outcome not in {"interrupted", "lost"}:
            words = attempt.message or "it said that it finished, but there is no result"
            tried = tried.model_copy(update={"failed": tried.failed + 1, "last_words": words})
        self._attempts[attempt.key] = tried
        hopeless = attempt.outcome == "invalid" or tried.failed >= self._max_attempts
        if hopeless:
            self._commit()
            how = "cannot be run" if attempt.outcome == "invalid" else f"failed {tried.failed} times"
            seed = self._seeds[attempt.key]
            raise SearchFailed(f"the final training of {tried.network}, seed {seed}, {how}: {tried.last_words}")
        return True

    def _commit(self) -> None:
        """Write the index if the attempts have changed."""
        if self._attempts != self._finals.attempts:
            self._finals = self._ledger.commit(self._finals.model_copy(update={"attempts": dict(self._attempts)}))
