"""Where the searches are that a command looks at: in a store, or in a cluster."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import click

from rcas.cli.cluster import Target, cluster_options, searches_starting_with
from rcas.cli.options import DEFAULT_STORE, complete_from_store, find_search
from rcas.cli.rows import Row, row_of_resource, row_of_state
from rcas.errors import InvalidSpec, Unavailable
from rcas.report import Gatherer, Report, parse_report
from rcas.search import Search
from rcas.state import Head, parse_head, search_names
from rcas.stores.opening import open_store


class Undecided(Unavailable):
    """The state of a search is not there, or cannot be had now. `row`: what is known of it nevertheless."""

    def __init__(self, message: str, row: Row) -> None:
        super().__init__(message)
        self.row = row


class Place(Protocol):
    """Knows searches."""

    def rows(self) -> list[Row]:
        """A row for each of them."""
        ...

    def head(self, search: str) -> Head:
        """The state of one of them, with its envelope.

        Raises:
            InvalidSpec: there is no such search.
            Undecided: its state is not to be had now.
        """
        ...

    def report(self, search: str, now: float) -> Report:
        """The report of one of them. `now`: seconds since 1970.

        Raises:
            InvalidSpec: there is no such search.
            Undecided: its state is not to be had now.
        """
        ...


class StorePlace:
    """The searches in a store."""

    def __init__(self, url: str) -> None:
        self.url = url

    def rows(self) -> list[Row]:
        """See `Place.rows`."""
        heads = [self.head(name) for name in search_names(open_store(self.url, create=False))]
        return [row_of_state(head, Search.from_snapshot(head.state.search)) for head in heads]

    def head(self, search: str) -> Head:
        """See `Place.head`."""
        return find_search(self.url, search)[1]

    def report(self, search: str, now: float) -> Report:
        """See `Place.report`."""
        store, head = find_search(self.url, search)
        return Gatherer(store).report(head, now)


class ClusterPlace:
    """The searches of a namespace. Their states come from the controller."""

    def __init__(self, target: Target) -> None:
        self.target, self.remote = target, target.open()

    def rows(self) -> list[Row]:
        """See `Place.rows`."""
        return [row_of_resource(search) for search in self.remote.searches()]

    def head(self, search: str) -> Head:
        """See `Place.head`. Name, phase and message are the resource's: it also tells what no state can keep."""
        resource = self.remote.search(search)
        row = row_of_resource(resource)
        try:
            data = self.remote.head(resource)
        except Unavailable as error:
            raise Undecided(str(error), row) from error
        if data is None:
            raise Undecided("nothing is decided yet", row)
        head = parse_head(data, resource.id)
        told = {} if row["phase"] == "Pending" else {"phase": row["phase"], "message": row["message"]}
        return head.model_copy(update={"name": resource.name, "state": head.state.model_copy(update=told)})

    def report(self, search: str, now: float) -> Report:
        """See `Place.report`. The controller makes it, for it has the store; `now` is its own clock's."""
        del now
        resource = self.remote.search(search)
        row = row_of_resource(resource)
        try:
            data = self.remote.report(resource)
        except Unavailable as error:
            raise Undecided(str(error), row) from error
        if data is None:
            raise Undecided("nothing is decided yet", row)
        report = parse_report(data)
        told = {} if row["phase"] == "Pending" else {"phase": row["phase"], "message": row["message"]}
        return report.model_copy(update={"search": resource.name, **told})


STORE_HELP = (
    "Folder or s3://bucket/prefix. Without it: the cluster if -n, --context or --kubeconfig is given, "
    f"else ./{DEFAULT_STORE} if it is there, else the kubeconfig's cluster."
)


def place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Options that say where to look; the command gets the `place`."""

    @functools.wraps(function)
    def command(*args: Any, place_opener: Callable[[], Place], **kwargs: Any) -> Any:
        return function(*args, place=place_opener(), **kwargs)

    return late_place_options(command)


def late_place_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """As `place_options`, for a command that may not need a place: it gets a `place_opener`."""

    @functools.wraps(function)
    def command(*args: Any, store: str | None, target: Target, **kwargs: Any) -> Any:
        return function(*args, place_opener=functools.partial(open_place, store, target), **kwargs)

    option = click.option(
        "--store", envvar="RCAS_STORE", show_envvar=True, type=click.Path(), metavar="STORE", help=STORE_HELP
    )
    return option(cluster_options(command))


def open_place(store: str | None, target: Target) -> Place:
    """The place that the options mean.

    Raises:
        InvalidSpec: there is nothing to look at.
    """
    if store:
        return StorePlace(store)
    if target.given:
        return ClusterPlace(target)
    if Path(DEFAULT_STORE).is_dir():
        return StorePlace(DEFAULT_STORE)
    try:
        return ClusterPlace(target)
    except InvalidSpec as error:
        allowed = f"a folder that a search was run in; for a cluster {error.allowed}"
        raise InvalidSpec("store", got=DEFAULT_STORE, allowed=allowed) from None


def complete_search(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of searches for the tab key, of the place that the options so far mean."""
    given: dict[str, Any] = context.params
    store, named = given.get("store"), any(given.get(name) for name in ("namespace", "context", "kubeconfig"))
    if store or (not named and Path(DEFAULT_STORE).is_dir()):
        return complete_from_store(store or DEFAULT_STORE, incomplete)
    return searches_starting_with(incomplete, given)


search_argument = click.argument("search", metavar="SEARCH", shell_complete=complete_search)
