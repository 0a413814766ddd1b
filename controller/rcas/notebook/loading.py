"""A search read from a store: its state, its results, and what they say as tables and figures."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from rcas.errors import InvalidSpec
from rcas.evaluation import Result
from rcas.notebook.tables import Table, durations_table, evaluations_table, gains_table, path_table
from rcas.search import Search, SearchResult
from rcas.state import Head, read_head, read_result, search_names
from rcas.stores.base import Store
from rcas.stores.opening import open_store
from rcas.wording import HELD, percent, used

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure


class LoadedSearch:
    """A search as it was when it was read; `rcas.load` again shows what has happened since. It writes nothing.

    Every table is a sequence of dicts with `to_pandas()`. The results of the trainings are read from the store when a
    table first needs them.

    Attributes:
        head: its state with its envelope.
        search: what is decided.
    """

    def __init__(self, store: Store, head: Head) -> None:
        self._store, self.head = store, head
        self.search = Search.from_snapshot(head.state.search)

    @property
    def name(self) -> str:
        """In its store; of a search of a cluster `namespace/name/uid`."""
        return self.head.name

    @property
    def result(self) -> SearchResult:
        """What has been decided so far."""
        return self.search.result

    @cached_property
    def results(self) -> Mapping[str, Result]:
        """The result objects of its evaluations that are in the store, by key.

        Raises:
            CorruptState: an object there is not a result.
            Unavailable: the store does not answer.
        """
        found = {key: read_result(self._store, key) for key in map(self.search.key, self.search.known)}
        return {key: result for key, result in found.items() if result}

    @cached_property
    def path(self) -> Table:
        """The networks on the rules' paths; see `rcas.notebook.tables.path_table`."""
        return path_table(self.search)

    @cached_property
    def evaluations(self) -> Table:
        """The networks that were measured; see `rcas.notebook.tables.evaluations_table`."""
        return evaluations_table(self.search, self.results)

    @cached_property
    def gains(self) -> Table:
        """The candidates of each decision; see `rcas.notebook.tables.gains_table`."""
        return gains_table(self.search)

    @cached_property
    def durations(self) -> Table:
        """Where the time went; see `rcas.notebook.tables.durations_table`."""
        return durations_table(self.evaluations)

    @property
    def tables(self) -> dict[str, Table]:
        """All tables by name."""
        return {name: getattr(self, name) for name in TABLES}

    def frame(self, table: str) -> pandas.DataFrame:
        """A table by its name as a DataFrame of pandas.

        Raises:
            InvalidSpec: no such table, or pandas is not installed.
        """
        if table not in TABLES:
            raise InvalidSpec("table", got=table, allowed=", ".join(TABLES))
        found: Table = getattr(self, table)
        return found.to_pandas()

    def figure(self, name: str) -> Figure:
        """A figure of matplotlib by its name, for a notebook to show and a script to save.

        Raises:
            InvalidSpec: no such figure, or matplotlib is not installed.
        """
        from rcas.notebook.figures import FIGURES

        if name not in FIGURES:
            raise InvalidSpec("figure", got=name, allowed=", ".join(FIGURES))
        draw: Callable[[LoadedSearch], Figure] = FIGURES[name]
        return draw(self)

    def __repr__(self) -> str:
        return f"<search {self.name}: {self._sentence()}>"

    def _sentence(self) -> str:
        state = "done" if self.search.done else HELD.get(self.head.state.phase, "not done")
        best = self.result.best
        if best is None:
            return f"{state}, nothing is decided yet"
        return (
            f"{state}, best {best.network}, {percent(best.accuracy)}, {used(self.search.problem.budget, best.cost)}"
        )

    def _repr_html_(self) -> str:
        return f"<p><strong>{escape(self.name)}</strong>: {escape(self._sentence())}</p>"


TABLES = ("path", "evaluations", "gains", "durations")


def load_search(store: str | os.PathLike[str] | Store, search: str | None = None) -> LoadedSearch:
    """Read a search; see `rcas.load`."""
    opened = open_store(os.fspath(store), create=False) if isinstance(store, str | os.PathLike) else store
    name = _full_name(search_names(opened), search)
    head = read_head(opened, name)
    if head is None:
        raise InvalidSpec("search", got=name, allowed="a search that is still there")
    return LoadedSearch(opened, head)


def _full_name(names: list[str], wanted: str | None) -> str:
    """The one search that is meant: its name, or that of its resource in a cluster."""
    if wanted in names:
        return wanted
    found = [name for name in names if wanted is None or name.split("/")[1:2] == [wanted]]
    if len(found) != 1:
        allowed = f"the name of one search of the store: {', '.join(names) or 'none there yet'}"
        raise InvalidSpec("search", got=wanted or "nothing", allowed=allowed)
    return found[0]
