"""`rcasctl run`: a search on this machine."""

from __future__ import annotations

import os
import shlex
import socket
from pathlib import Path
from typing import Any

import click

from rcas.cli.options import open_folder, operational_options, read_spec, spec_argument
from rcas.cli.page import Show, page_of_search, page_option
from rcas.cli.progress import open_progress
from rcas.cli.render import print_result
from rcas.clock import SystemClock
from rcas.controller.local import run_locally
from rcas.controller.step import Controller
from rcas.spec import SearchSpec, build_spec
from rcas.state import head_name


@click.command()
@spec_argument
@operational_options
@page_option
@click.option("--budget-params", metavar="COUNT", help="Instead of the spec's, such as 3.4M.")
@click.option("--budget-madds", metavar="COUNT", help="Instead of the spec's, such as 300M.")
def run(
    spec: Path,
    store: str,
    as_json: bool,
    parallelism: int | None,
    page: int | None,
    budget_params: str | None,
    budget_madds: str | None,
) -> None:
    """Search on this machine, or go on with a search that was stopped.

    The same command goes on where it was, whatever ended it: Ctrl-C, kill -9 or a power cut.
    """
    given = {"params": budget_params, "madds": budget_madds}
    budget = {name: value for name, value in given.items() if value is not None}
    final = override(read_spec(spec), parallelism=parallelism, budget=budget)
    flags = [word for name, value in budget.items() for word in (f"--budget-{name}", value)]
    again = shlex.join(["rcasctl", "run", str(spec), "--store", store, *flags])
    with page_of_search(page) as show:
        search_and_print(final, store, as_json=as_json, again=again, show=show)


def override(spec: SearchSpec, *, parallelism: int | None = None, budget: dict[str, Any] | None = None) -> SearchSpec:
    """The spec with values from the command line in their places.

    Raises:
        InvalidSpec: a value that is not allowed.
    """
    data = spec.model_dump(mode="json")
    if parallelism is not None:
        data["parallelism"] = parallelism
    data["budget"] |= budget or {}
    return build_spec(data)


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
