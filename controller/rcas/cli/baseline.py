"""`rcasctl baseline`: other ways to choose a network, under the budget and the protocol of a search."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from rcas.baselines.methods import DRAWN, METHODS, Method
from rcas.baselines.record import MOST_TRAININGS, Record
from rcas.budget import format_count
from rcas.cli.options import complete_from_store, find_search, folder_option, json_option, open_folder
from rcas.cli.render import open_console
from rcas.controller.baseline import News, run_baseline
from rcas.controller.local import available_cores
from rcas.errors import InvalidSpec
from rcas.runtimes.local import LocalCluster
from rcas.search import Search
from rcas.state import Head
from rcas.wording import counted, duration, percent

ENDINGS = {
    "trainings": "its trainings are used",
    "exhausted": "no network is left that it has not measured",
    "ended": "its rules ended",
    "single": "it is one network",
}
"""Why a baseline ended, by its `Stopped`."""


def _complete(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    return complete_from_store(context.params.get("store") or "rcas-store", incomplete)


@click.command()
@click.argument("search", metavar="SEARCH", shell_complete=_complete)
@click.option(
    "--method",
    type=click.Choice([*METHODS, "all"]),
    default="all",
    show_default=True,
    help="How to choose; greedy measures every candidate in every round.",
)
@click.option(
    "--trainings",
    type=click.IntRange(1, MOST_TRAININGS),
    metavar="N",
    help="Trainings that each may ask for; default: as many as the search took.",
)
@click.option(
    "--seeds",
    type=click.IntRange(1, 100),
    default=1,
    show_default=True,
    metavar="K",
    help="Runs of each method that draws at random, with the seeds 0 to K - 1.",
)
@click.option("--parallelism", type=click.IntRange(1, 1024), metavar="N", help="Trainings at once.")
@folder_option
@json_option
def baseline(
    search: str,
    method: str,
    trainings: int | None,
    seeds: int,
    parallelism: int | None,
    store: str,
    as_json: bool,
) -> None:
    """Choose a network in another way than SEARCH did, with its budget, its protocol and its number of trainings.

    On this machine. Results that the store has are not trained again. The same command goes on where it was, whatever
    ended it. `rcasctl compare` puts the answers side by side.
    """
    folder = open_folder(store)
    _, head = find_search(store, search)
    limit = trainings or _as_many_as(head)
    slots = parallelism or head.state.spec.parallelism or available_cores()
    console = open_console(quiet=as_json)
    records = list[Record]()
    try:
        # The search itself would train into the same objects.
        with (
            folder.alone(f"searches/{search}/controller"),
            LocalCluster(
                folder,
                folder.path(f"searches/{search}/logs"),
                workers=slots,
                threads=head.state.protocol.threads,
            ) as cluster,
        ):
            for name, seed in _runs(method, seeds):
                record = run_baseline(
                    head,
                    name,
                    seed,
                    limit,
                    store=folder,
                    cluster=cluster,
                    slots=slots,
                    watch=lambda news: _tell(news, as_json=as_json),
                )
                records.append(record)
    except KeyboardInterrupt:
        again = shlex.join(["rcasctl", "baseline", search, "--method", method, "--store", store])
        again += f" --trainings {limit} --seeds {seeds}"
        click.echo(f"\nEverything so far is kept. To go on: {again}", err=True)
        raise
    if as_json:
        click.echo(json.dumps({"event": "records", "records": [record_json(record) for record in records]}))
        return
    console.print(_table(records))
    console.print(
        "\nThe accuracy is the one that it was chosen by: the highest of many is too high on average. "
        f"Next:\n  rcasctl compare {escape(search)} {escape(search)}:all --replicates 5 --store {escape(store)}"
    )


def _as_many_as(head: Head) -> int:
    if head.state.phase != "Complete":
        got = f"{head.name}, which is {head.state.phase}"
        raise InvalidSpec("search", got=got, allowed="a search that is complete; or say --trainings")
    return Search.from_snapshot(head.state.search).result.evaluations


def _runs(method: str, seeds: int) -> Iterator[tuple[Method, int]]:
    for name in METHODS:
        for seed in range(seeds if name in DRAWN else 1):
            if method in {name, "all"}:
                yield name, seed


def _tell(news: News, *, as_json: bool) -> None:
    record, result = news.record, news.result
    if as_json:
        fields: dict[str, Any] = {"method": record.method, "seed": record.seed, "done": news.done}
        fields |= {"reused": news.reused, "result": result.model_dump(mode="json")}
        click.echo(json.dumps({"event": "evaluation", **fields}))
        return
    known = " (known already)" if news.reused else ""
    accuracy = percent(result.correct / result.total)
    click.echo(f"{named(record)}: {news.done} of {record.trainings}  {accuracy}  {result.network}{known}")


def named(record: Record) -> str:
    """The method, and its seed if it draws at random."""
    return f"{record.method} {record.seed}" if record.method in DRAWN else record.method


def record_json(record: Record) -> dict[str, Any]:
    """A record for programs."""
    chosen = record.chosen
    found: dict[str, Any] = {"network": None, "accuracy": None, "params": None, "madds": None}
    if chosen:
        network, accuracy, cost = chosen
        found = {"network": str(network), "accuracy": float(accuracy), "accuracy_exact": str(accuracy)}
        found |= {"params": cost.params, "madds": cost.madds}
    return {
        "search": record.search,
        "method": record.method,
        "seed": record.seed,
        **found,
        "allowed": record.trainings,
        "asked": record.asked,
        "trained": record.trained,
        "reused": record.asked - record.trained,
        "worker_seconds": record.worker_seconds,
        "stopped": record.stopped,
    }


def _table(records: list[Record]) -> Table:
    table = Table(box=None)
    for column in ("method", "accuracy", "params", "MAdds", "measured", "trained", "worker time"):
        table.add_column(column, justify="left" if column == "method" else "right")
    table.add_column("network")
    table.add_column("ended because")
    for record in records:
        cells = ("", "", "")
        if record.chosen:
            _, accuracy, cost = record.chosen
            cells = (percent(accuracy), format_count(cost.params), format_count(cost.madds))
        counts = (counted(len(record.results), "network"), str(record.trained), duration(record.worker_seconds))
        table.add_row(named(record), *cells, *counts, record.answer or "", ENDINGS[record.stopped or "ended"])
    return table
