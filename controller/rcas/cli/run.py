"""`rcasctl run`: a search on this machine."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path

import click

from rcas.cli.options import open_folder, operational_options, read_fields, spec_argument
from rcas.cli.page import Show, page_of_search, page_option
from rcas.cli.progress import open_progress
from rcas.cli.render import print_result
from rcas.cli.submit import budget_flags, with_flags
from rcas.clock import SystemClock
from rcas.controller.local import run_locally
from rcas.controller.step import Controller
from rcas.spec import SearchSpec, build_spec
from rcas.state import head_name


@click.command()
@spec_argument
@operational_options
@page_option
@budget_flags
def run(
    spec: Path, store: str, as_json: bool, parallelism: int | None, page: int | None, **budget: str | None
) -> None:
    """Search on this machine, or go on with a search that was stopped.

    The same command goes on where it was, whatever ended it: Ctrl-C, kill -9 or a power cut.
    """
    final = build_spec(with_flags(read_fields(spec), {**budget, "parallelism": parallelism}))
    flags = [word for flag, value in budget.items() if value for word in (f"--{flag.replace('_', '-')}", value)]
    again = shlex.join(["rcasctl", "run", str(spec), "--store", store, *flags])
    with page_of_search(page) as show:
        search_and_print(final, store, as_json=as_json, again=again, show=show)


def search_and_print(spec: SearchSpec, store: str, *, as_json: bool, again: str, show: Show) -> Controller:
    """Run a search to its end with its progress on the terminal and on a page, then print its result.

    `again` is the command that goes on with it.
    """
    opened = open_folder(store)
    if not as_json and opened.get(head_name(spec.name)) is None:
        click.echo(f"Search {spec.name} begins in {store}: the trainer starts and reads the data ...", err=True)
    writer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    with show(opened, spec.name):
        with open_progress(as_json=as_json, again=again) as progress:
            controller = run_locally(spec, opened, SystemClock(), writer, progress.update)
        print_result(spec.name, controller.search, as_json=as_json)
    return controller
