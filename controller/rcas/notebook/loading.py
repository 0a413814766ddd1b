"""A search read from a store: its state, its results, and what they say as tables and figures."""

from __future__ import annotations

import os
from base64 import b64encode
from functools import cached_property
from html import escape
from typing import TYPE_CHECKING

from rcas.clock import SystemClock
from rcas.errors import InvalidSpec
from rcas.notebook.figures import FIGURES
from rcas.notebook.tables import Table, Tables
from rcas.report.figures import path as path_figure
from rcas.report.gather import Gatherer
from rcas.report.model import Report
from rcas.report.plot import standalone
from rcas.search import Search, SearchResult
from rcas.state import Head, read_head, search_names
from rcas.stores.base import Store
from rcas.stores.opening import open_store
from rcas.wording import HELD, percent, used

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class LoadedSearch:
    """A search as it was when it was read. `rcas.load` again shows what has happened since; nothing is written.

    Attributes:
        head: its state with its envelope.
        search: what is decided.
        tables: all tables by name.
    """

    def __init__(self, store: Store, head: Head) -> None:
        self._store, self.head = store, head
        self.search = Search.from_snapshot(head.state.search)
        self.tables = Tables(lambda: self.report, self.search)

    @property
    def name(self) -> str:
        """In its store; of a search of a cluster `namespace/name/uid`."""
        return self.head.name

    @property
    def result(self) -> SearchResult:
        """What has been decided so far, with exact accuracies."""
        return self.search.result

    @cached_property
    def report(self) -> Report:
        """All that a report says of it, as plain data. Its results are read when it is first asked for.

        Raises:
            Unavailable: the store does not answer.
        """
        return Gatherer(self._store).report(self.head, SystemClock().now())

    @property
    def path(self) -> Table:
        """Every network on the rules' paths."""
        return self.tables["path"]

    @property
    def evaluations(self) -> Table:
        """Every measured network."""
        return self.tables["evaluations"]

    @property
    def candidates(self) -> Table:
        """Every candidate of every decision, with its gain, and the stale gain beside a refreshed one."""
        return self.tables["candidates"]

    def figure(self, name: str = "path") -> Figure:
        """A figure of matplotlib: a notebook shows it, `savefig` keeps it.

        Args:
            name: path, network, spending, gains, choices, timeline or durations, as in a report.

        Raises:
            InvalidSpec: there is no such figure, or matplotlib is not installed.
        """
        if name not in FIGURES:
            raise InvalidSpec("figure", got=name, allowed=", ".join(FIGURES))
        return FIGURES[name](self.report)

    def __repr__(self) -> str:
        return f"<search {self.name}: {self._sentence()}>"

    def _sentence(self) -> str:
        state = "done" if self.search.done else HELD.get(self.head.state.phase, "not done yet")
        best = self.result.best
        if best is None:
            return f"{state}, nothing is decided yet"
        return (
            f"{state}, best {best.network}, {percent(best.accuracy)}, {used(self.search.problem.budget, best.cost)}"
        )

    def _repr_html_(self) -> str:
        """A sentence and the report's figure of the path; as an image, so that its style stays its own."""
        picture = b64encode(standalone(path_figure(self.report)).encode()).decode()
        image = f'<img alt="Accuracy along the accepted path" src="data:image/svg+xml;base64,{picture}">'
        return f"<p><strong>{escape(self.name)}</strong>: {escape(self._sentence())}</p>{image}"


def load_search(store: str | os.PathLike[str] | Store, search: str | None = None) -> LoadedSearch:
    """Read a search; see `rcas.load`."""
    opened = open_store(os.fspath(store), create=False) if isinstance(store, str | os.PathLike) else store
    name = _full_name(search_names(opened), search)
    head = read_head(opened, name)
    if head is None:
        raise InvalidSpec("search", got=name, allowed="one that is still there")
    return LoadedSearch(opened, head)


def _full_name(names: list[str], wanted: str | None) -> str:
    """The one search that is meant: by its name in the store, or by that of its resource in a cluster."""
    if wanted in names:
        return wanted
    found = [name for name in names if wanted is None or name.split("/")[1:2] == [wanted]]
    if len(found) != 1:
        allowed = f"the name of one search in the store: {', '.join(names) or 'none there yet'}"
        raise InvalidSpec("search", got=wanted or "no name", allowed=allowed)
    return found[0]
