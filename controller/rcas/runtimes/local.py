"""Trainings on this machine: persistent worker processes that are replaced when they die."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO

from pydantic import ValidationError

from rcas.errors import InvalidSpec, Unavailable
from rcas.evaluation import DataSource, Description, Draw, Task
from rcas.final import FinalDraw, FinalTask
from rcas.location import S3Location
from rcas.messages import (
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    WORKER_VARIABLE,
    Assignment,
    Event,
    FinalAssignment,
    Question,
)
from rcas.runtimes.base import Attempt, Outcome
from rcas.runtimes.orders import assignment_of, place_in
from rcas.runtimes.trainer import ask, worker_environment
from rcas.space import Space
from rcas.stores.file import FileStore

STOP_GRACE_S = 20.0
"""How long a worker may take to write its checkpoint before it is killed."""


class LocalCluster:
    """At most `workers` processes, each training one evaluation at a time with `threads` threads.

    Args:
        store: where results and checkpoints go.
        logs: folder for what the workers print.
        workers: processes at most; started when there is work for them.
        threads: CPU threads of each.
    """

    def __init__(self, store: FileStore | S3Location, logs: Path, *, workers: int, threads: int) -> None:
        self._place, self._logs = place_in(store), logs
        self._environment = worker_environment(threads)
        self._workers: list[Worker | None] = [None] * workers
        self._waiting: deque[tuple[str, Task | FinalTask]] = deque()
        self._ended: dict[str, Attempt] = {}
        self._selector = selectors.DefaultSelector()

    def __enter__(self) -> LocalCluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def launch(self, name: str, task: Task | FinalTask) -> None:
        """See `Cluster.launch`."""
        if name not in {attempt.name for attempt in self.observe()}:
            self._waiting.append((name, task))
            self._hand_out()

    def observe(self) -> list[Attempt]:
        """See `Cluster.observe`."""
        for worker in self._living():
            for attempt in worker.read():
                self._ended[attempt.name] = attempt
            if worker.process.poll() is not None:
                self._bury(worker)
        self._hand_out()
        running = [worker.attempt for worker in self._living() if worker.attempt]
        waiting = [Attempt(name, task.key) for name, task in self._waiting]
        return [*self._ended.values(), *running, *waiting]

    def cancel(self, name: str) -> None:
        """See `Cluster.cancel`."""
        self._waiting = deque(waiting for waiting in self._waiting if waiting[0] != name)
        for worker in self._living():
            if worker.attempt and worker.attempt.name == name:
                worker.ask_to_stop()

    def forget(self, name: str) -> None:
        """See `Cluster.forget`."""
        self._ended.pop(name, None)

    def wait(self, seconds: float) -> None:
        """See `Cluster.wait`."""
        self._selector.select(seconds)

    def close(self) -> None:
        """Ask every worker for a checkpoint and its end; kill those that do not come to one."""
        living = self._living()
        for worker in living:
            worker.ask_to_stop()
        deadline = time.monotonic() + STOP_GRACE_S
        for worker in living:
            with contextlib.suppress(subprocess.TimeoutExpired):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            worker.process.kill()
            worker.process.wait()
            self._bury(worker)
        self._selector.close()

    def _living(self) -> list[Worker]:
        return [worker for worker in self._workers if worker]

    def _hand_out(self) -> None:
        for slot, worker in enumerate(self._workers):
            if not self._waiting:
                return
            if worker is None:
                try:
                    worker = Worker(slot, self._logs, self._environment)
                except OSError as error:
                    raise Unavailable(f"cannot start a worker: {error}") from error
                self._workers[slot] = worker
                self._selector.register(worker.events, selectors.EVENT_READ)
            if worker.free():
                name, task = self._waiting.popleft()
                worker.assign(name, assignment_of(task, self._place))

    def _bury(self, worker: Worker) -> None:
        for attempt in worker.read():
            self._ended[attempt.name] = attempt
        if worker.attempt:
            attempt = worker.attempt._replace(outcome=worker.outcome(), message=worker.last_words())
            self._ended[attempt.name] = attempt
        self._selector.unregister(worker.events)
        worker.close()
        self._workers[worker.slot] = None


class Worker:
    """One `python -m rcas_trainer serve` process."""

    def __init__(self, slot: int, logs: Path, environment: Mapping[str, str]) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.slot = slot
        self.attempt: Attempt | None = None
        self._log_path = logs / f"worker-{slot}.log"
        self._log_start = self._log_path.stat().st_size if self._log_path.exists() else 0
        with self._log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "rcas_trainer", "serve"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**environment, WORKER_VARIABLE: str(slot)},
                # Ctrl-C must reach the controller alone: it decides when workers write their checkpoints.
                start_new_session=True,
            )
        assert self.process.stdin
        assert self.process.stdout
        self._assignments: IO[bytes] = self.process.stdin
        self.events: IO[bytes] = self.process.stdout
        os.set_blocking(self.events.fileno(), False)
        self._unread = b""

    def free(self) -> bool:
        """Whether it can be given work. One that was asked to stop cannot, even if it finished its work first."""
        return self.attempt is None and not self._assignments.closed and self.process.poll() is None

    def assign(self, name: str, assignment: Assignment | FinalAssignment) -> None:
        """Hand over work; a worker that is dead by now is noticed at the next observation."""
        self.attempt = Attempt(name, assignment.task.key, epochs=assignment.task.protocol.training.epochs)
        with contextlib.suppress(BrokenPipeError):
            self._assignments.write(assignment.model_dump_json().encode() + b"\n")
            self._assignments.flush()

    def read(self) -> list[Attempt]:
        """Take in what it has said since; returns the attempts that ended."""
        while chunk := self.events.read(65536):
            self._unread += chunk
        *lines, self._unread = self._unread.split(b"\n")
        ended = list[Attempt]()
        for line in lines:
            # Only the result object counts, so a line that is no event, whoever printed it, is no loss.
            with contextlib.suppress(ValidationError):
                if attempt := self._take_in(Event.model_validate_json(line)):
                    ended.append(attempt)
        return ended

    def _take_in(self, event: Event) -> Attempt | None:
        attempt = self.attempt
        if attempt is None or event.key not in {None, attempt.key}:
            return None
        if event.event == "epoch":
            self.attempt = attempt._replace(
                epoch=event.epoch or 0, correct=event.correct or 0, total=event.total or 0
            )
        if event.event in {"ready", "epoch"}:
            return None
        self.attempt = None
        outcome: Outcome = "finished" if event.event == "finished" else event.reason or "error"
        return attempt._replace(outcome=outcome, message=event.message or "")

    def ask_to_stop(self) -> None:
        """End of input means: write a checkpoint and exit."""
        with contextlib.suppress(BrokenPipeError):
            self._assignments.close()

    def outcome(self) -> Outcome:
        """Why it ended, by its exit code."""
        if self.process.returncode == EXIT_INTERRUPTED:
            return "interrupted"
        return "invalid" if self.process.returncode == EXIT_INVALID else "error"

    def last_words(self) -> str:
        """How it ended and the last line that it printed."""
        code = self.process.returncode
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        with self._log_path.open("rb") as log:
            log.seek(max(self._log_start, log.seek(0, os.SEEK_END) - 4096))
            lines = log.read().decode(errors="replace").strip().splitlines()
        return f"worker ended with {how}" + (f": {lines[-1]}" if lines else "")

    def close(self) -> None:
        """Let go of its pipes."""
        self.ask_to_stop()
        self.events.close()


def describe(source: DataSource, draw: Draw | FinalDraw, space: Space | None) -> Description:
    """Ask a trainer process what this machine and the data set are.

    Raises:
        InvalidSpec: the data cannot be used, or the trainer is not installed.
        SearchFailed: the process ended otherwise.
    """
    try:
        return ask(
            "describe", Question(source=source, draw=draw, space=space), Description, cannot="describe the data"
        )
    except InvalidSpec as error:
        raise InvalidSpec.relayed(_in_words_of_the_spec(str(error))) from None


def _in_words_of_the_spec(line: str) -> str:
    """A trainer's complaint with the names that the fields have in the spec that the user wrote."""
    return re.sub(r"^(source|draw)\.", "data.", line).replace("space.num_classes:", "space.classes:", 1)
