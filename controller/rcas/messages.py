"""What a runtime and a trainer process say to each other.

A worker process gets JSON lines on its standard input and answers on its standard output; a Job's container finds
what it has to do in an environment variable.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from rcas.evaluation import Count, DataSource, Draw, Model, Task
from rcas.final import FinalDraw, FinalTask
from rcas.latency import Clock, LatencyTable
from rcas.space import Space
from rcas.timing import Times

EXIT_INVALID = 2
"""The task or its data cannot be used; trying again cannot help."""
EXIT_OUT_OF_MEMORY = 3
"""Memory of the machine or of the GPU did not suffice."""
EXIT_INTERRUPTED = 75
"""Asked to stop; a checkpoint was written, the same task goes on from it."""

WORKER_VARIABLE = "RCAS_WORKER"
"""Environment variable with the number of a worker on its machine, from 0."""


JOB_VARIABLE = "RCAS_JOB"
"""Environment variable of a Job's container with an `Assignment`, a `FinalAssignment` or an
`Inquiry` as JSON."""


def _kind_of_draw(value: Any) -> str:
    final = "held_out" in value if isinstance(value, dict) else isinstance(value, FinalDraw)
    return "a final training" if final else "a search"


AnyDraw = Annotated[
    Annotated[Draw, Tag("a search")] | Annotated[FinalDraw, Tag("a final training")], Discriminator(_kind_of_draw)
]
"""Told apart before they are read, so that a complaint is about the one that is meant."""


class Question(Model):
    """What a trainer is asked to describe: a data set as a draw and a space see it; for a final the test set too."""

    source: DataSource = DataSource()
    draw: AnyDraw
    space: Space | None = None


class Inquiry(Question):
    """A question whose answer, a `Description`, goes to an object. `answer`: a path, or an s3:// URL."""

    answer: str


class Assignment(Model):
    """Train this, write the result and the checkpoint there. `result`, `checkpoint`: paths, or s3:// URLs."""

    task: Task
    result: str
    checkpoint: str


class FinalAssignment(Model):
    """Train this finally; its weights, its result and its checkpoint go there. All three: paths, or s3:// URLs."""

    task: FinalTask
    weights: str
    result: str
    checkpoint: str


class PartsQuestion(Model):
    """What a trainer is asked to time: every part that a network of a space may have, and whole networks beside them.

    Attributes:
        activation: after every convolution but the linear ones.
        threads: CPU threads of a pass. batch: images of a pass.
        runs: timed passes of each. warm_up: passes of each before them.
        clock: see `LatencyTable`.
        networks: such as `5,1 / 5 / 5,2`.
    """

    space: Space
    activation: Literal["relu6", "relu"] = "relu6"
    threads: Count = 1
    batch: Count = 1
    runs: Count = 50
    warm_up: Annotated[int, Field(ge=0)] = 5
    clock: Clock = "wall"
    networks: Annotated[tuple[str, ...], Field(max_length=100)] = ()


class PartsAnswer(Model):
    """Times of parts and, taken in the same rounds, of whole networks.

    Attributes:
        table: the medians of the parts.
        parts: of each part, in the order of `rcas.latency.parts_of`.
        networks: of each network, in the order asked for.
    """

    table: LatencyTable
    parts: tuple[Times, ...]
    networks: tuple[Times, ...]


class Round(Model):
    """A line before the answer: so many rounds are done."""

    rounds: Count


class Event(Model):
    """One line from a trainer.

    Attributes:
        event: ready (imports are done), epoch (one more is trained and validated), finished (the result object
            is written), failed (it is not; the reason says whether trying again can help).
        correct, total: validation images right so far, of how many.
    """

    event: Literal["ready", "epoch", "finished", "failed"]
    key: str | None = None
    epoch: int | None = None
    epochs: int | None = None
    correct: int | None = None
    total: int | None = None
    reason: Literal["invalid", "out-of-memory", "error"] | None = None
    message: str | None = None


def epoch_line(event: Event) -> str:
    """What a Job's container prints after an epoch: for people, and for `rcasctl watch`."""
    counts = f", {event.correct} of {event.total} right" if event.total else ""
    return f"epoch {event.epoch} of {event.epochs}{counts}"


_EPOCH_LINE = re.compile(
    r"(?:rcas-trainer: )?epoch (\d{1,7}) of (\d{1,7})(?:, (\d{1,12}) of (\d{1,12}) right)?", re.ASCII
)


def parse_epoch_line(line: str) -> Event | None:
    """The event in a line that a container printed; None if it says something else."""
    found = _EPOCH_LINE.fullmatch(line.strip())
    if found is None:
        return None
    epoch, epochs, correct, total = (None if digits is None else int(digits) for digits in found.groups())
    return Event(event="epoch", epoch=epoch, epochs=epochs, correct=correct, total=total)
