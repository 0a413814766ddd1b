"""The trainer's commands: `python -m rcas_trainer train | serve | describe | parts | networks | export | job`."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO, TypeVar

import click
from pydantic import BaseModel, ValidationError

from rcas.errors import InvalidSpec, RcasError
from rcas.evaluation import Task
from rcas.export.formats import Order
from rcas.messages import (
    EXIT_INTERRUPTED,
    EXIT_INVALID,
    EXIT_OUT_OF_MEMORY,
    Assignment,
    PartsQuestion,
    Question,
    Round,
)
from rcas.timing import NetworksQuestion
from rcas_trainer.errors import Interrupted, OutOfMemory, first_line, invalid, log
from rcas_trainer.fetch import local_source
from rcas_trainer.memory import keep_freed_memory
from rcas_trainer.patience import never
from rcas_trainer.worker import StopRequest

M = TypeVar("M", bound=BaseModel)
_TORCH_PACKAGES = ("torch", "torchvision", "sklearn", "numpy", "safetensors")


@click.group()
def main() -> None:
    """Train networks of a search space and measure them.

    Exit codes: 0 done, 2 the input cannot be used, 3 out of memory, 75 stopped with a checkpoint.
    """
    keep_freed_memory()


@main.command()
@click.argument("task_path", metavar="TASK.json", type=click.Path(path_type=Path))
@click.option("--result", required=True, help="Where the result goes, once: a path or an s3:// URL.")
@click.option("--checkpoint", required=True, help="Where to keep the state: a path or an s3:// URL.")
def train(task_path: Path, result: str, checkpoint: str) -> None:
    """Train the network of one task and write its result.

    SIGTERM writes a checkpoint and exits with 75; the same command goes on from it.
    """
    with exit_codes():
        task = _parsed(Task, "task", _text_of(task_path))
        assignment = Assignment(task=task, result=result, checkpoint=checkpoint)
        from rcas_trainer import job

        job.train(assignment, _listening())


@main.command("job")
def carry_out() -> None:
    """Carry out the assignment or the inquiry in $RCAS_JOB: what a Job's container does.

    Results and checkpoints may be s3:// URLs. SIGTERM writes a checkpoint and exits with 75.
    """
    with exit_codes():
        stop = _listening()
        from rcas_trainer import job

        job.run(stop)


@main.command()
def serve() -> None:
    """Train assignments from standard input, one JSON line each, until it ends."""
    with exit_codes():
        from rcas_trainer import worker

        sys.exit(worker.serve())


@main.command()
@click.argument("question", metavar="[QUESTION.json]", type=click.File(), default="-")
def describe(question: TextIO) -> None:
    """Print what this machine and its data are, as JSON.

    The question is JSON with `draw`, and `source` and `space` if wanted; read from standard input by default.
    """
    with exit_codes():
        asked = _parsed(Question, "question", question.read())
        from rcas_trainer.data import describe

        with local_source(asked.source, asked.draw.dataset, never) as source:
            click.echo(describe(source, asked.draw, asked.space).model_dump_json())


@main.command()
@click.argument("order", metavar="[ORDER.json]", type=click.File(), default="-")
def export(order: TextIO) -> None:
    """Write trained weights as plain files that load without rcas; print what was written and checked, as JSON.

    The order is JSON with `weights`, `folder`, `formats` and `title`; read from standard input by default.
    """
    with exit_codes():
        asked = _parsed(Order, "order", order.read())
        from rcas_trainer.export import export

        click.echo(export(asked).model_dump_json())


@main.command()
@click.argument("question", metavar="[QUESTION.json]", type=click.File(), default="-")
def parts(question: TextIO) -> None:
    """Time every part that a network of a space may have, and whole networks beside them.

    The question is a `PartsQuestion` as JSON; read from standard input by default. Prints a JSON line for every
    round, then one with the answer.
    """
    with exit_codes():
        asked = _parsed(PartsQuestion, "question", question.read())
        from rcas_trainer.parts import time_parts

        answer = time_parts(asked, lambda rounds: click.echo(Round(rounds=rounds).model_dump_json()))
        click.echo(answer.model_dump_json())


@main.command()
@click.argument("question", metavar="[QUESTION.json]", type=click.File(), default="-")
def networks(question: TextIO) -> None:
    """Time whole networks in turns, built or as exported files.

    The question is a `NetworksQuestion` as JSON; read from standard input by default. Prints a JSON line for every
    round, then one with the answer.
    """
    with exit_codes():
        asked = _parsed(NetworksQuestion, "question", question.read())
        from rcas_trainer.latency import time_networks

        answer = time_networks(asked, lambda rounds: click.echo(Round(rounds=rounds).model_dump_json()))
        click.echo(answer.model_dump_json())


@contextmanager
def exit_codes() -> Generator[None]:
    """Exit as `rcas.messages` says, with one line on standard error instead of a traceback."""
    try:
        yield
    except InvalidSpec as error:
        log(str(error))
        sys.exit(EXIT_INVALID)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _TORCH_PACKAGES:
            raise
        log(f"{error.name} is not installed; install the trainer with: pip install 'rcas[trainer]'")
        sys.exit(EXIT_INVALID)
    except OutOfMemory as error:
        log(str(error))
        sys.exit(EXIT_OUT_OF_MEMORY)
    except Interrupted as error:
        log(str(error))
        sys.exit(EXIT_INTERRUPTED)
    except RcasError as error:
        log(str(error))
        sys.exit(1)
    except Exception as error:
        traceback.print_exception(error)
        log(f"{type(error).__name__}: {first_line(error)}")
        sys.exit(1)


def _listening() -> StopRequest:
    stop = StopRequest()
    stop.listen()
    return stop


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec("task", got=str(path), allowed=f"a readable JSON file ({first_line(error)})") from error


def _parsed(model: type[M], what: str, text: str) -> M:
    try:
        return model.model_validate_json(text)
    except ValidationError as error:
        raise invalid(what, error) from error


def _run() -> None:
    """The command line, and for a Job an end that does not take torch apart first: that takes half a second."""
    try:
        main()
    except SystemExit as end:
        if sys.argv[1:2] == ["job"] and isinstance(end.code, int):
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(end.code)
        raise


if __name__ == "__main__":
    _run()
