"""The live page of a namespace's searches, on a port of its own."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime

from rcas.clock import Clock
from rcas.costs import Cost
from rcas.page.application import application
from rcas.page.render import Renderer
from rcas.page.source import Row, Seen
from rcas.page.views import Views
from rcas.resource import Resource
from rcas.serving import Application
from rcas.state import head_name
from rcas.stores.base import Store

KEEP_S = 5.0
"""Between two looks of a browser, and between two of the page at the store for the same search."""


class NamespaceSource:
    """The searches of the controller's last list. Their states are read from the store as committed.

    Args:
        searches: gives that list.
        store: with their states.
    """

    def __init__(self, searches: Callable[[], Sequence[Resource]], store: Store) -> None:
        self._searches, self._store = searches, store

    def names(self) -> list[str]:
        """See `Source.names`."""
        return [search.name for search in self._searches()]

    def rows(self) -> list[Row]:
        """See `Source.rows`. Their statuses say enough, so no state is read."""
        return [_row(search) for search in self._searches()]

    def look(self, name: str) -> Seen | None:
        """See `Source.look`."""
        for search in self._searches():
            if search.name == name:
                told = search.status().phase, search.message
                return Seen(search.id, told, self._store.get(head_name(search.id)))
        return None


def _row(search: Resource) -> Row:
    status = search.status()
    known = status.params is not None and status.madds is not None
    return Row(
        name=search.name,
        phase=status.phase,
        message=search.message,
        created=datetime.fromisoformat(search.created).timestamp() if search.created else None,
        blocks=status.accepted,
        evaluations=status.evaluations,
        accuracy=float(status.best.removesuffix("%")) / 100 if status.best else None,
        cost=Cost(status.params or 0, status.madds or 0) if known else None,
    )


def page_of(
    hosts: Collection[str], searches: Callable[[], Sequence[Resource]], store: Store, clock: Clock
) -> Application:
    """What answers on the page's port. `hosts`: see `application`."""
    return application(Views(NamespaceSource(searches, store), Renderer(store, clock), clock, KEEP_S), hosts)
