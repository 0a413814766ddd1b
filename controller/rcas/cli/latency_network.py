"""`rcasctl latency network`: whole networks, as torch runs them and as exported files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from rich.table import Table

from rcas.architecture import Architecture
from rcas.budget import format_latency
from rcas.cli.latency import batch_option, measuring, threads_option
from rcas.cli.options import json_option, read_spec
from rcas.cli.places import Place, complete_search, late_place_options
from rcas.cli.render import open_console
from rcas.errors import InvalidSpec
from rcas.export.formats import FILE_NAMES
from rcas.runtimes.measuring import time_networks
from rcas.search import Search
from rcas.timing import NetworksAnswer, NetworksQuestion
from rcas.wording import counted

_SUFFIXES = tuple(Path(FILE_NAMES[one]).suffix for one in ("safetensors", "torchscript", "onnx"))
"""Of files that hold a network and can be run; the Python file runs as the weights do."""


@click.command("network")
@click.argument("sources", metavar="[SEARCH|FILE|FOLDER]...", nargs=-1, shell_complete=complete_search)
@click.option("--network", "networks", multiple=True, metavar="NETWORK", help='Such as "5,3 / 5,2"; needs --space.')
@click.option(
    "--space", "spec", metavar="SPEC", type=click.Path(path_type=Path), help="A spec; its space and activation."
)
@threads_option
@batch_option
@click.option("--runs", type=click.IntRange(1, 100_000), default=100, show_default=True, help="Timed passes of each.")
@click.option(
    "--warm-up", type=click.IntRange(0, 100_000), default=10, show_default=True, help="Passes before them of each."
)
@late_place_options
@json_option
def network(
    sources: tuple[str, ...],
    networks: tuple[str, ...],
    spec: Path | None,
    threads: int,
    batch: int,
    runs: int,
    warm_up: int,
    place_opener: Callable[[], Place],
    as_json: bool,
) -> None:
    """Measure how long whole networks take on this machine's CPU.

    SEARCH is the best network of a search so far, FILE weights or an exported file, FOLDER all files of an export.
    All are timed in turns, so that they can be compared although the machine is busy.
    """
    files = [file for source in sources for file in _files(source)]
    searches = [source for source in sources if not _files(source)]
    built = [*_of_spec(networks, spec), *(_best(place_opener(), search) for search in searches)]
    if not built and not files:
        raise InvalidSpec("network", got="nothing", allowed="a search, a file, a folder, or --network with --space")
    asked = NetworksQuestion(
        networks=tuple(built), files=tuple(files), threads=threads, batch=batch, runs=runs, warm_up=warm_up
    )
    with measuring(runs) as done:
        answer = time_networks(asked, done)
    if as_json:
        click.echo(answer.model_dump_json())
    else:
        _print(asked, answer)


def _files(source: str) -> list[str]:
    """The files that `source` means; none if it is the name of a search."""
    path = Path(source)
    if path.suffix in _SUFFIXES:
        return [source]
    if path.is_dir():
        found = (path / name for name in FILE_NAMES.values())
        return [str(file) for file in found if file.suffix in _SUFFIXES and file.is_file()]
    return []


def _of_spec(networks: tuple[str, ...], path: Path | None) -> list[Architecture]:
    if not networks:
        return []
    if path is None:
        raise InvalidSpec("--space", got="nothing", allowed="a spec, in whose space the network lies")
    spec = read_spec(path)
    space = spec.space.build()
    return [
        Architecture(
            space=space,
            network=str(space.network(text)),
            activation=spec.training.activation,
            mean=(0.0,) * space.input[0],
        )
        for text in networks
    ]


def _best(place: Place, search: str) -> Architecture:
    state = place.head(search).state
    found = Search.from_snapshot(state.search)
    best, space = found.result.best, found.problem.space
    if best is None:
        raise InvalidSpec("search", got=search, allowed="one that has measured a network")
    return Architecture(
        space=space,
        network=str(best.network),
        activation=state.spec.training.activation,
        mean=(0.0,) * space.input[0],
    )


def _print(asked: NetworksQuestion, answer: NetworksAnswer) -> None:
    table = Table(box=None)
    for column in ("network", "run by", "bytes", "median", "quartiles", "fastest"):
        table.add_column(column, justify="left" if column in {"network", "run by"} else "right")
    for one in answer.timed:
        times = one.times
        quartiles = f"{format_latency(times.lower_quartile_ns)} - {format_latency(times.upper_quartile_ns)}"
        table.add_row(
            one.name,
            one.runtime,
            "" if one.size_bytes is None else f"{one.size_bytes:,}",
            format_latency(times.median_ns),
            quartiles,
            format_latency(times.fastest_ns),
        )
    console = open_console()
    console.print(table)
    about = f"{counted(asked.runs, 'pass', 'passes')} after {asked.warm_up} to warm up"
    what = f"{counted(asked.batch, 'image')} each, with {counted(asked.threads, 'thread')}"
    console.print(f"{about}, {what}, all in turns, on {answer.machine or 'this machine'}.")
