"""`rcasctl page`, and the option `--page` of commands that search: the live page of this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager, nullcontext
from typing import Any
from urllib.parse import quote

import click

from rcas.cli.options import store_option
from rcas.clock import SystemClock
from rcas.errors import InvalidSpec
from rcas.page.local import DEFAULT_PORT, address_of, listening, showing
from rcas.stores.base import Store
from rcas.stores.opening import open_store

Show = Callable[[Store, str], Any]
"""Begins to serve a search of a store, as a context."""


def _port(_context: click.Context, option: click.Parameter, value: str | None) -> int | None:
    """The port that a command was given. Any text can come after `--page`: what was meant as SPEC, too."""
    if value is None or (value.isascii() and value.isdigit() and int(value) <= 65_535):
        return None if value is None else int(value)
    name = option.opts[0]
    hint = f"; SPEC goes before {name}" if name == "--page" else ""
    raise InvalidSpec(name, got=value, allowed=f"a port up to 65535, or 0 for any that is free{hint}")


page_option = click.option(
    "--page",
    is_flag=False,
    flag_value=str(DEFAULT_PORT),
    metavar="[PORT]",
    callback=_port,
    help=f"Serve a live page of the search to this machine's browser; PORT: {DEFAULT_PORT}, 0 for any that is free.",
)


@contextmanager
def page_of_search(port: int | None) -> Generator[Show]:
    """Take the port of `--page` before anything else is done; what it gives serves a search. None: no page.

    Raises:
        InvalidSpec: the port is taken.
    """
    if port is None:
        yield lambda _store, _search: nullcontext()
        return
    with listening(port, "--page") as server:

        def show(store: Store, search: str) -> Any:
            click.echo(f"Its page: {address_of(server)}searches/{quote(search)}", err=True)
            return showing(server, store, SystemClock(), begun=search)

        yield show


@click.command()
@store_option
@click.option(
    "--port", callback=_port, default=str(DEFAULT_PORT), show_default=True, metavar="PORT", help="0: any free one."
)
def page(store: str, port: int) -> None:
    """Serve the searches of a store as live pages to this machine's browser, until Ctrl-C. It only reads."""
    opened = open_store(store, create=False)
    with listening(port, "--port") as server, showing(server, opened, SystemClock()):
        click.echo(f"The searches of {store}: {address_of(server)}   (Ctrl-C ends it)", err=True)
        threading.Event().wait()
