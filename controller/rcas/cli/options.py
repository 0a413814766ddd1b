"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from rcas.errors import InvalidSpec, RcasError
from rcas.location import SCHEME
from rcas.spec import SearchSpec, parse_spec
from rcas.state import Head, read_head, search_names
from rcas.stores.base import Store
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store

DEFAULT_STORE = "rcas-store"


def _store_option(metavar: str, help_text: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--store",
        envvar="RCAS_STORE",
        default=DEFAULT_STORE,
        show_default=True,
        show_envvar=True,
        type=click.Path(),
        metavar=metavar,
        help=help_text,
    )


store_option = _store_option("STORE", "Folder or s3://bucket/prefix that keeps searches, results and checkpoints.")
folder_option = _store_option("FOLDER", "Folder that keeps searches, results and checkpoints.")
json_option = click.option("--json", "as_json", is_flag=True, help="For programs: JSON on standard output.")
spec_argument = click.argument("spec", metavar="SPEC", type=click.Path(path_type=Path))


def read_spec(path: Path) -> SearchSpec:
    """The spec in the file at `path`.

    Raises:
        InvalidSpec: it cannot be read, or says something that is not allowed.
    """
    return parse_spec(read_text(path), str(path))


def read_text(path: Path) -> str:
    """The text of a file with a spec.

    Raises:
        InvalidSpec: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InvalidSpec("spec", got=str(path), allowed="a text file, YAML or JSON") from None
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise InvalidSpec("spec", got=str(path), allowed=f"a readable file ({reason})") from None


def open_folder(store: str) -> FileStore:
    """The store of a search on this machine.

    Raises:
        InvalidSpec: it is no folder.
    """
    if store.startswith(SCHEME):
        raise InvalidSpec("store", got=store, allowed="a folder, which the processes of this machine can lock")
    return FileStore(store)


def complete_from_store(store: str, text: str) -> list[str]:
    """Names of searches for the tab key; none if there is no store yet, for a message would only disturb."""
    if store.startswith(SCHEME):
        return []  # The tab key must not wait for a network.
    try:
        names = search_names(open_store(store, create=False))
    except RcasError:
        return []
    return [name for name in names if name.startswith(text)]


def find_search(store: str, search: str) -> tuple[Store, Head]:
    """The head of a search.

    Raises:
        InvalidSpec: there is no such search.
        CorruptState: there is something else in its place.
    """
    opened = open_store(store, create=False)
    head = read_head(opened, search)
    if head is None:
        names = ", ".join(search_names(opened)) or "none there yet"
        raise InvalidSpec("search", got=search, allowed=f"a search in {store}: {names}")
    return opened, head


def operational_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Flags of commands that run a search."""
    function = click.option("--parallelism", type=click.IntRange(1, 1024), help="Trainings at once.")(function)
    function = json_option(function)
    return folder_option(function)
