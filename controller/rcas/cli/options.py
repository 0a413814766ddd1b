"""Options that several commands share."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from rcas.errors import InvalidSpec, RcasError
from rcas.latency import TABLE_LIMIT_BYTES, LatencyTable
from rcas.location import SCHEME
from rcas.spec import SearchSpec, build_spec, explain, parse_fields
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
    return build_spec(read_fields(path))


def read_fields(path: Path) -> dict[Any, Any]:
    """The fields in the file at `path`, which may be a part of a spec only, with the latencies that it names.

    Raises:
        InvalidSpec: a file cannot be read, or says something that is not allowed.
    """
    fields = parse_fields(read_text(path), str(path))
    latency = fields.get("latency")
    if isinstance(latency, dict) and isinstance(latency.get("table"), str):
        fields["latency"] = {**latency, "table": table_fields(path.parent / latency["table"])}
    return fields


def read_table(path: Path) -> LatencyTable:
    """The table of latencies in the file at `path`.

    Raises:
        InvalidSpec: it cannot be read, or says something that is not allowed.
    """
    fields = table_fields(path)
    try:
        return LatencyTable.model_validate(fields)
    except ValidationError as error:
        raise explain(error, fields) from None


def table_fields(path: Path) -> dict[str, Any]:
    """What stands in the file of a table of latencies, not checked yet.

    Raises:
        InvalidSpec: it cannot be read, is no JSON or too large.
    """
    try:
        with path.open("rb") as file:
            data = file.read(TABLE_LIMIT_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "unreadable").lower()
        raise InvalidSpec("latency.table", got=str(path), allowed=f"a readable file ({reason})") from None
    try:
        found = json.loads(data) if len(data) <= TABLE_LIMIT_BYTES else None
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        allowed = f"what `rcasctl latency table` writes, JSON of at most {TABLE_LIMIT_BYTES:,} bytes"
        raise InvalidSpec("latency.table", got=str(path), allowed=allowed)
    return found


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
