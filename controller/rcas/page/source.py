"""Which searches there are, and what is known of each: of a store here, of a namespace in the controller."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Protocol

from rcas.clock import Clock
from rcas.costs import Cost
from rcas.errors import CorruptState
from rcas.search import Search
from rcas.state import ENDED, Head, head_name, parse_head, search_names
from rcas.stores.base import Store, Stored

RARELY_S = 30.0
"""Between two looks at a search that has ended: it may have been deleted and begun anew."""


@dataclass(frozen=True, slots=True)
class Row:
    """A search in the list.

    Attributes:
        name: as it is asked for.
        phase: as a status says it; `Pending` before anything is decided, `Unreadable` if its state is.
        message: why it is as it is.
        created: seconds since 1970; None if it is not known.
        blocks: accepted by the rule that is farthest. evaluations: known results.
        accuracy: of the best network, of 1. cost: its cost.
    """

    name: str
    phase: str
    message: str = ""
    created: float | None = None
    blocks: int = 0
    evaluations: int = 0
    accuracy: float | None = None
    cost: Cost | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of one search.

    Attributes:
        search: its name in the store.
        told: phase and message if somebody knows them better than the state.
        stored: its head object; None before there is one.
    """

    search: str
    told: tuple[str, str] | None
    stored: Stored | None


class Source(Protocol):
    """Knows searches. Called from many threads; every method may raise Unavailable."""

    def names(self) -> list[str]:
        """Of all searches, cheaply."""
        ...

    def rows(self) -> list[Row]:
        """One for each search."""
        ...

    def look(self, name: str) -> Seen | None:
        """What there is of a search; None if it has just gone."""
        ...


class StoreSource:
    """The searches in a store. `begun`: one of them that may have no state yet."""

    def __init__(self, store: Store, clock: Clock, begun: str | None = None) -> None:
        self._store, self._clock, self._begun = store, clock, begun
        self._rows: dict[str, tuple[Row, str, float]] = {}
        self._lock = threading.Lock()

    def names(self) -> list[str]:
        """See `Source.names`."""
        found = search_names(self._store)
        return found if self._begun is None or self._begun in found else [*found, self._begun]

    def rows(self) -> list[Row]:
        """See `Source.rows`. Of searches that have ended the state is seldom read again."""
        with self._lock:
            self._rows = {name: self._row(name) for name in self.names()}
            return [row for row, _, _ in self._rows.values()]

    def _row(self, name: str) -> tuple[Row, str, float]:
        known = self._rows.get(name)
        now_s = self._clock.now()
        if known and known[0].phase in ENDED and 0 <= now_s - known[2] < RARELY_S:
            return known
        stored = self._store.get(head_name(name))
        if stored is None:
            return Row(name, "Pending"), "", now_s
        if known and known[1] == stored.version:
            return known[0], known[1], now_s
        try:
            row = row_of(parse_head(stored.data, name))
        except CorruptState as error:
            row = Row(name, "Unreadable", str(error))
        return row, stored.version, now_s

    def look(self, name: str) -> Seen | None:
        """See `Source.look`."""
        stored = self._store.get(head_name(name))
        return Seen(name, None, stored) if stored or name == self._begun else None


def row_of(head: Head) -> Row:
    """What a state says."""
    found = Search.from_snapshot(head.state.search).result
    best = found.best
    return Row(
        name=head.name,
        phase=head.state.phase,
        message=head.state.message,
        created=head.state.created,
        blocks=max((len(rule.path) - 1 for rule in found.rules.values() if rule.path), default=0),
        evaluations=found.evaluations,
        accuracy=float(best.accuracy) if best else None,
        cost=best.cost if best else None,
    )
