"""`rcasctl latency`: how long networks take on this machine."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator
from contextlib import contextmanager
from fractions import Fraction
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import Progress
from rich.table import Table

from rcas.budget import format_latency
from rcas.cli.options import json_option, read_spec, read_table
from rcas.cli.render import open_console
from rcas.errors import InvalidSpec
from rcas.latency import MOST_BLOCKS, LatencyTable, latency_of_network, parts_of
from rcas.messages import PartsAnswer, PartsQuestion
from rcas.runtimes.measuring import time_parts
from rcas.space import Network, Space
from rcas.wording import counted

spec_option = click.option(
    "--space",
    "spec",
    required=True,
    metavar="SPEC",
    type=click.Path(path_type=Path),
    help="A spec; its space and its activation are taken.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    default=1,
    show_default=True,
    metavar="N",
    help="CPU threads of a pass.",
)
batch_option = click.option(
    "--batch", type=click.IntRange(1, 65_536), default=1, show_default=True, metavar="N", help="Images of a pass."
)
runs_option = click.option(
    "--runs",
    type=click.IntRange(1, 100_000),
    default=50,
    show_default=True,
    metavar="N",
    help="Timed passes of each.",
)

cpu_time_option = click.option(
    "--cpu-time",
    is_flag=True,
    help="Count only the time for which the one thread has the processor: on a machine that does other work too.",
)


@click.group()
def latency() -> None:
    """Measure how long networks take on this machine, as a further budget of a search."""


@latency.command()
@spec_option
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path, allow_dash=True), help="'-' prints it."
)
@threads_option
@batch_option
@runs_option
@cpu_time_option
def table(spec: Path, output: Path, threads: int, batch: int, runs: int, cpu_time: bool) -> None:
    """Write how long each part takes that a network of a space may have: stem, blocks and heads.

    A spec names the file as `latency: {table: FILE}`; then it may say `budget: {latency: 12ms}`.
    """
    asked = _question(spec, threads, batch, runs, cpu_time=cpu_time)
    _refuse_folder(output)
    made = _measured(asked).table
    text = made.model_dump_json(indent=1) + "\n"
    if str(output) == "-":
        click.echo(text, nl=False)
        return
    _write(output, text)
    start = format_latency(latency_of_network(made, asked.space, asked.space.start))
    click.echo(f"Wrote {output}: {counted(len(made.ns), 'part')}, the start network takes {start} by their sum.")


@latency.command()
@spec_option
@click.option("--table", "path", type=click.Path(path_type=Path), help="One measured before, to be checked as well.")
@click.option("--network", "networks", multiple=True, metavar="NETWORK", help="Default: a few of growing size.")
@threads_option
@batch_option
@runs_option
@cpu_time_option
@json_option
def check(
    spec: Path,
    path: Path | None,
    networks: tuple[str, ...],
    threads: int,
    batch: int,
    runs: int,
    cpu_time: bool,
    as_json: bool,
) -> None:
    """Compare the sum over a network's parts with the whole network, measured in the same run."""
    before = read_table(path) if path else None
    asked = _question(spec, threads, batch, runs, cpu_time=cpu_time)
    chosen = [asked.space.network(text) for text in networks] or _growing(asked.space)
    answer = _measured(asked.model_copy(update={"networks": tuple(map(str, chosen))}))
    fastest = LatencyTable.of(
        {part: timing.fastest_ns for part, timing in zip(parts_of(asked.space), answer.parts, strict=True)}
    )
    tables = {"sum": answer.table, "fastest_sum": fastest} | ({"given": before} if before else {})
    rows: list[dict[str, Any]] = [
        {"network": str(network), "whole_ns": timing.median_ns, "fastest_whole_ns": timing.fastest_ns}
        | {f"{name}_ns": latency_of_network(table, asked.space, network) for name, table in tables.items()}
        for network, timing in zip(chosen, answer.networks, strict=True)
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    shown = Table(box=None)
    shown.add_column("network")
    for column in ("whole", "sum", "/ whole", "fastest whole", "sum", "/ whole"):
        shown.add_column(column, justify="right")
    if before:
        shown.add_column("given table", justify="right")
        shown.add_column("/ whole", justify="right")
    for row in rows:
        cells = [row["network"]]
        for whole, total in (("whole_ns", "sum_ns"), ("fastest_whole_ns", "fastest_sum_ns")):
            cells += [format_latency(row[whole]), format_latency(row[total]), f"{row[total] / row[whole]:.2f}"]
        if before:
            cells += [format_latency(row["given_ns"]), f"{row['given_ns'] / row['whole_ns']:.2f}"]
        shown.add_row(*cells)
    console = open_console()
    console.print(shown)
    about = f"{counted(runs, 'pass', 'passes')} with {counted(threads, 'thread')}, {counted(batch, 'image')} each"
    console.print(
        f"Medians of {about}, all in turns, on {escape(answer.table.machine) or 'this machine'}.\n"
        "Where other programs want the processor too, a long pass waits for it more often than short ones do; then "
        "compare the fastest, or count CPU time (--cpu-time)."
    )


def _question(spec: Path, threads: int, batch: int, runs: int, *, cpu_time: bool) -> PartsQuestion:
    if cpu_time and threads > 1:
        raise InvalidSpec(
            "--cpu-time", got=f"{threads} threads", allowed="one thread: the time of others is not seen"
        )
    read = read_spec(spec)
    space = read.space.build()
    count = len(parts_of(space))
    if count > MOST_BLOCKS:
        raise InvalidSpec("space", got=f"{count:,} parts to measure", allowed=f"at most {MOST_BLOCKS:,}")
    return PartsQuestion(
        space=space,
        activation=read.training.activation,
        threads=threads,
        batch=batch,
        runs=runs,
        clock="cpu" if cpu_time else "wall",
    )


def _measured(asked: PartsQuestion) -> PartsAnswer:
    """Let the trainer measure, with the progress on standard error."""
    with measuring(asked.runs) as done:
        return time_parts(asked, done)


@contextmanager
def measuring(rounds: int) -> Generator[Callable[[int], None]]:
    """A bar on standard error, if that is a terminal. Gives what is to be called with the rounds done so far."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("Measuring in turns", total=rounds)
        yield lambda done: progress.update(bar, completed=done)


def _growing(space: Space) -> list[Network]:
    """The start network, two on the way, and the space filled, with block types in turns."""
    return [_filled(space, share) for share in (Fraction(0), Fraction(1, 3), Fraction(2, 3), Fraction(1))]


def _filled(space: Space, share: Fraction) -> Network:
    types = cycle(space.block_types)
    return Network(
        tuple(
            (*stage.start, *islice(types, round(share * (stage.positions - len(stage.start)))))
            for stage in space.stages
        )
    )


def _refuse_folder(path: Path) -> None:
    """Before minutes are spent on what cannot be written."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        raise InvalidSpec("output", got=str(path), allowed="a file in a folder that is there")


def _write(path: Path, text: str) -> None:
    """Write the whole file or none."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise InvalidSpec("output", got=str(path), allowed=f"a writable file ({error.strerror})") from None
