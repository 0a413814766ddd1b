"""A process that trains one assignment after the other, so that imports and data are paid for once."""

from __future__ import annotations

import os
import queue
import signal
import threading
import time
import traceback
from collections.abc import Callable
from typing import TextIO

from pydantic import ValidationError

from rcas.errors import InvalidSpec
from rcas.messages import EXIT_INTERRUPTED, Assignment, Event, FinalAssignment
from rcas_trainer import STARTED_S
from rcas_trainer.errors import Interrupted, OutOfMemory, first_line, invalid, log
from rcas_trainer.memory import give_back_memory


class StopRequest:
    """Set by SIGTERM or by whoever else wants the process to end; SIGINT is left to the controller.

    Ctrl-C reaches every process of a terminal, and it is the controller that decides what to do about it.
    """

    def __init__(self) -> None:
        self._asked = threading.Event()

    def listen(self, then: Callable[[], None] = lambda: None) -> None:
        """Take over the process's signals; `then` is called after SIGTERM, inside the signal handler."""

        def terminate(_signal: int, _frame: object) -> None:
            self.ask()
            then()

        signal.signal(signal.SIGTERM, terminate)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ask(self) -> None:
        """Ask for the end. Safe in a signal handler."""
        self._asked.set()

    def __call__(self) -> bool:
        """Whether the end was asked for."""
        return self._asked.is_set()


class Worker:
    """Assignments in as JSON lines, events out as JSON lines."""

    def __init__(self, output: TextIO, stop: StopRequest) -> None:
        self._output, self._stop = output, stop
        self._unpaid_startup_s = 0.0

    def emit(self, event: Event) -> None:
        """Write one line; a reader that is gone asks for the end just as EOF does."""
        try:
            self._output.write(event.model_dump_json(exclude_none=True) + "\n")
            self._output.flush()
        except OSError:
            self._stop.ask()

    def warm_up(self) -> None:
        """Pay for the imports and for torch's first step, then say so."""
        from rcas_trainer.warm import take_a_tiny_step

        take_a_tiny_step()
        self._unpaid_startup_s = time.monotonic() - STARTED_S
        self.emit(Event(event="ready"))

    def carry_out(self, line: bytes) -> None:
        """Train one assignment and tell how it went.

        Raises:
            Interrupted: asked to stop on the way.
        """
        key = None
        try:
            assignment = parse_assignment(line)
            key = assignment.task.key
            startup_s, self._unpaid_startup_s = self._unpaid_startup_s, 0.0
            self._train(assignment, startup_s)
        except Interrupted:
            raise
        except Exception as error:
            self.emit(failure(key, error))
        else:
            self.emit(Event(event="finished", key=key))
            return
        give_back_memory()

    def _train(self, assignment: Assignment | FinalAssignment, startup_s: float) -> None:
        if isinstance(assignment, FinalAssignment):
            from rcas_trainer.finish import finish

            finish(assignment, stop=self._stop, report=self.emit, startup_s=startup_s)
        else:
            from rcas_trainer.evaluate import evaluate

            evaluate(assignment, stop=self._stop, report=self.emit, startup_s=startup_s)


def serve() -> int:
    """Carry out assignments from standard input until it ends. Returns the exit code.

    SIGTERM and the end of standard input (the controller ended, however) stop a training at its next batch,
    with a checkpoint.
    """
    stop = StopRequest()
    lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    stop.listen(then=lambda: lines.put(None))
    worker = Worker(_protocol_output(), stop)
    threading.Thread(target=_read_lines, args=(lines, stop), daemon=True).start()
    worker.warm_up()
    while (line := lines.get()) is not None:
        try:
            worker.carry_out(line)
        except Interrupted as error:
            log(first_line(error))
            return EXIT_INTERRUPTED
    return 0


def parse_assignment(line: bytes) -> Assignment | FinalAssignment:
    """Read one line of standard input.

    Raises:
        InvalidSpec: it is not an assignment.
    """
    # Only a final training keeps weights; one model for each, so that a complaint names the field alone.
    model = FinalAssignment if b'"weights":' in line else Assignment
    try:
        return model.model_validate_json(line)
    except ValidationError as error:
        raise invalid("assignment", error) from error


def failure(key: str | None, error: Exception) -> Event:
    """The event of a failed assignment. Unexpected errors leave their traceback on standard error."""
    if isinstance(error, InvalidSpec):
        return Event(event="failed", key=key, reason="invalid", message=str(error))
    if isinstance(error, OutOfMemory):
        return Event(event="failed", key=key, reason="out-of-memory", message=str(error))
    traceback.print_exception(error)
    message = f"{type(error).__name__}: {first_line(error)}"
    return Event(event="failed", key=key, reason="error", message=message)


def _protocol_output() -> TextIO:
    """The real standard output, alone: whatever a library prints goes to standard error from now on."""
    output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return output


def _read_lines(lines: queue.SimpleQueue[bytes | None], stop: StopRequest) -> None:
    # Not sys.stdin: its lock, held while this thread waits, can abort Python when the main thread ends. A last
    # line without its end is half of what a dying controller wrote.
    begun = b""
    try:
        while chunk := os.read(0, 1 << 16):
            *whole, begun = (begun + chunk).split(b"\n")
            for line in filter(bytes.strip, whole):
                lines.put(line)
    except OSError as error:
        log(f"standard input cannot be read: {first_line(error)}")
    stop.ask()
    lines.put(None)
