"""A simulated trainer: does to the store what `rcas_trainer.job` does, and ends with its exit codes.

It reads the result first, then its checkpoint, writes a checkpoint after every epoch and when it is stopped, creates
the result once, and removes the checkpoint. The accuracy is a pure function of the task.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol

from controller.harness import TOTAL, a_result
from rcas.evaluation import Task
from rcas.messages import EXIT_INTERRUPTED, Assignment, Inquiry
from simulation.accuracy import correct_of, described
from simulation.bucket import NAME, Bucket
from simulation.timeline import Appointment, Timeline, cancel

READ_S, EPOCH_S, LAST_WORDS_S, RESULT_S = 600.0, 5.0, 15.0, 3600.0
"""The trainer's patience, see rcas_trainer.patience."""


class NoAnswer(Exception):
    """The store did not answer the trainer; the request may have been carried out."""


class Saved(NamedTuple):
    """Who wrote a checkpoint last, and whether the store carried that out late."""

    by: Trainer
    late: bool


class Machine(Protocol):
    """What the trainer runs on. `saved`: the checkpoints, by key."""

    timeline: Timeline
    bucket: Bucket
    saved: dict[str, Saved]

    def trainer_io(self, trainer: Trainer, verb: str, key: str, act: Callable[[], Any]) -> Any:
        """A request to the store. Raises NoAnswer."""
        ...


class Trainer:
    """One container. `ended` is called once, with exit code and last words.

    Attributes:
        unanswered: the store did not answer when, told to end, it looked for what it need not leave.
    """

    def __init__(
        self,
        machine: Machine,
        name: str,
        order: str,
        random: Random,
        epoch_s: float,
        ended: Callable[[int, str], None],
    ) -> None:
        self.name, self.machine, self.random, self.epoch_s = name, machine, random, epoch_s
        self._ended, self._order = ended, parsed(order)
        self.alive, self.stopping, self.killed, self.unanswered = True, False, False, False
        self.epoch, self.resumed, self.seconds = 0, 0, 0.0
        self._next: Appointment | None = None
        self._in_epoch = False
        self._result_stands = False

    def start(self) -> None:
        """The container runs; imports take a while."""
        then = self._begin if isinstance(self._order, Assignment) else self._describe
        self._after(self.random.uniform(0.5, 3), then)

    def terminate(self) -> None:
        """SIGTERM. A training whose result is written only clears away its checkpoint."""
        if self.alive and not self.stopping and not self._result_stands:
            self.stopping = True
            cancel(self._next)
            self._after(self.random.uniform(0, 1), self._interrupted)

    def kill(self, code: int = 137, words: str = "") -> None:
        """SIGKILL, or whatever else ends the process at once."""
        self.killed |= self.alive
        self._exit(code, words)

    # One evaluation.

    def _begin(self) -> None:
        self._patiently("get", self._result, self._get(self._result), READ_S, self._found)

    def _found(self, result: bytes | None) -> None:
        if result is not None:
            self._told()
            return
        self._patiently("get", self._checkpoint, self._get(self._checkpoint), READ_S, self._resume)

    def _resume(self, checkpoint: bytes | None) -> None:
        if checkpoint is not None:
            state = json.loads(checkpoint)
            assert state["key"] == self._task.key
            self.epoch, self.resumed, self.seconds = state["epoch"], state["resumed"] + 1, state["seconds"]
        self._train()

    def _train(self, _answer: Any = None) -> None:
        if self.epoch >= self._task.protocol.training.epochs:
            self._patiently("create", self._result, self._create(self._result, self._content()), RESULT_S, self._told)
            return
        self._in_epoch = True
        self._after(self.epoch_s * self.random.uniform(0.4, 2.0), self._epoch_ends)

    def _epoch_ends(self) -> None:
        self._in_epoch = False
        self.epoch += 1
        self.seconds += self.epoch_s
        self._patiently("put", self._checkpoint, self._save(), EPOCH_S, self._train, must=False)

    def _told(self, _answer: Any = None) -> None:
        self._result_stands = True
        self._patiently("delete", self._checkpoint, self._delete(self._checkpoint), EPOCH_S, self._finish, must=False)

    def _finish(self, _answer: Any = None) -> None:
        self._exit(0, "")

    def _content(self) -> bytes:
        seconds = {"startup": 0.0, "data": 0.0, "training": self.seconds, "validation": 0.0}
        result = a_result(
            self._task, correct=correct_of(self._task), correct_top5=TOTAL, seconds=seconds, resumed=self.resumed
        )
        return result.model_dump_json(indent=1).encode() + b"\n"

    # The description of the data.

    def _describe(self) -> None:
        answer = self._key(self._inquiry.answer)
        content = described().model_dump_json(indent=1).encode() + b"\n"
        self._patiently("create", answer, self._create(answer, content), RESULT_S, self._finish)

    # Its end.

    def _interrupted(self) -> None:
        if self._in_epoch or self.epoch:
            self._patiently("put", self._checkpoint, self._save(), LAST_WORDS_S, self._kept, must=False)
        else:
            self._stopped()

    def _kept(self, saved: bool | None) -> None:
        if saved:
            self._patiently("get", self._result, self._get(self._result), 0, self._remove_needless, must=False)
        else:
            self._stopped()

    def _remove_needless(self, result: bytes | None) -> None:
        """Another attempt may have finished: then nobody would remove what was just kept."""
        if result is None:
            self._stopped()
        else:
            delete = self._delete(self._checkpoint)
            self._patiently("delete", self._checkpoint, delete, EPOCH_S, self._stopped, must=False)

    def _stopped(self, _answer: Any = None) -> None:
        self._exit(EXIT_INTERRUPTED, "stopped")

    def _exit(self, code: int, words: str) -> None:
        if self.alive:
            self.alive = False
            cancel(self._next)
            self._ended(code, f"rcas-trainer: {words}" if words else "")

    # The store.

    def _patiently(
        self,
        verb: str,
        key: str,
        act: Callable[[], Any],
        patience_s: float,
        then: Callable[[Any], None],
        *,
        must: bool = True,
        wait_s: float = 0.5,
    ) -> None:
        """Ask the store; while it does not answer, again, each time after a longer wait."""
        if not self.alive:
            return
        try:
            answer = self.machine.trainer_io(self, verb, key, act)
        except NoAnswer:
            wait = wait_s * self.random.uniform(0.5, 1)
            if wait < patience_s:
                again = lambda: self._patiently(  # noqa: E731
                    verb, key, act, patience_s - wait, then, must=must, wait_s=min(2 * wait_s, 10)
                )
                self._after(wait, again)
            elif must:
                self._exit(1, "the store does not answer")
            else:
                self.unanswered |= self.stopping and verb != "put"
                then(None)
            return
        if self.alive:
            then(answer)

    def _get(self, key: str) -> Callable[[], bytes | None]:
        return lambda: self.machine.bucket.objects.get(key)

    def _delete(self, key: str) -> Callable[[], None]:
        return lambda: self.machine.bucket.delete(key)

    def _create(self, key: str, content: bytes) -> Callable[[], None]:
        def act() -> None:
            # A refusal (412) says that one stands there already, written first.
            if key not in self.machine.bucket.objects:
                self.machine.bucket.put(key, content, none_match=True)

        return act

    def _save(self) -> Callable[[], bool]:
        state = {"key": self._task.key, "epoch": self.epoch, "resumed": self.resumed, "seconds": self.seconds}
        content, sent_at = json.dumps(state).encode(), self.machine.timeline.now

        def act() -> bool:
            self.machine.bucket.put(self._checkpoint, content)
            self.machine.saved[self._checkpoint] = Saved(self, late=self.machine.timeline.now > sent_at)
            return True

        return act

    def _after(self, seconds: float, act: Callable[[], None]) -> None:
        def unless_ended() -> None:
            if self.alive:
                act()

        self._next = self.machine.timeline.after(seconds, unless_ended)

    @property
    def _task(self) -> Task:
        assert isinstance(self._order, Assignment)
        return self._order.task

    @property
    def _inquiry(self) -> Inquiry:
        assert isinstance(self._order, Inquiry)
        return self._order

    @property
    def _result(self) -> str:
        assert isinstance(self._order, Assignment)
        return self._key(self._order.result)

    @property
    def _checkpoint(self) -> str:
        assert isinstance(self._order, Assignment)
        return self._key(self._order.checkpoint)

    def _key(self, url: str) -> str:
        return url.removeprefix(f"s3://{NAME}/")


def parsed(order: str) -> Assignment | Inquiry:
    """What a Job's variable asks for."""
    return (Assignment if "task" in json.loads(order) else Inquiry).model_validate_json(order)
