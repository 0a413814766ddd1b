"""`rcasctl logs`: what a training of a cluster prints."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import click
from rich.table import Table
from rich.text import Text

from rcas.cli.cluster import Target, cluster_options, cluster_search_argument
from rcas.cli.render import open_console

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.trainings import Training


@click.command()
@cluster_search_argument
@click.argument("evaluation", required=False)
@click.option("-f", "--follow", is_flag=True, help="Wait for the start, and print until the end.")
@cluster_options
def logs(search: str, evaluation: str | None, follow: bool, target: Target) -> None:
    """Print the log of a running training; without EVALUATION of the only one, or else list them.

    EVALUATION is the beginning of its key, its network such as "1,5 / 1", or `describe` for the look at the data. The
    log goes with the Job once the result is committed; `rcasctl status` keeps the last words of a failure.
    """
    remote = target.open()
    from rcas.runtimes.kubernetes.trainings import find_training, log_lines, trainings_of

    found = remote.search(search)
    trainings = trainings_of(remote.api, found)
    if evaluation is None and len(trainings) != 1:
        _list(trainings)
        return
    chosen = find_training(trainings, evaluation) if evaluation is not None else trainings[0]
    for line in log_lines(remote.api, found, chosen, follow=follow, wait=_wait):
        click.echo(line)


def _list(trainings: list[Training]) -> None:
    if not trainings:
        click.echo("No training runs. The log of one goes with its Job once its result is committed.", err=True)
        return
    table = Table(box=None)
    for column in ("evaluation", "attempt", "state", "network"):
        table.add_column(column)
    for one in trainings:
        table.add_row(one.key[:16], str(one.attempt), Text(one.state), one.network or "looks at the data")
    open_console().print(table)


def _wait(seconds: float) -> None:
    threading.Event().wait(seconds)
