"""What `rcasctl watch` sees of a search, whether it looks at a cluster or into a store."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rcas.cli.cluster import Target
from rcas.cli.options import find_search
from rcas.cli.rows import Row, row_of_resource, row_of_state
from rcas.errors import RcasError, Unavailable
from rcas.messages import Event
from rcas.resource import Resource
from rcas.search import Search
from rcas.space import Network
from rcas.state import Head, head_name, parse_head
from rcas.stores.base import Store

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

POLL_S = 2.0
SILENT_S = 30.0
"""A search that no controller has taken up after so long probably has none."""
STILL_S = 600.0
"""A search in a store whose state has not changed for so long may have no controller."""
EPOCH_LOOKS = 3
"""Every so many looks the logs of the trainings are read."""
MOST_LOGS = 16


class UnderWay(NamedTuple):
    """A training, as far as it is known. epoch, epochs: trained so far, of how many; 0 if not known."""

    network: str
    epoch: int = 0
    epochs: int = 0
    correct: int = 0
    total: int = 0


class View(NamedTuple):
    """A search as it is now.

    Attributes:
        row: what its resource says, or its state where there is no resource.
        head: its state; None if it has none yet, or only the resource can be asked.
        search: what is decided, out of the state.
        new: networks measured since the last look, in their order.
        under_way: in training when the state was written.
        ended: nothing will change any more unless somebody asks for it.
    """

    row: Row
    head: Head | None = None
    search: Search | None = None
    new: tuple[Network, ...] = ()
    under_way: tuple[UnderWay, ...] = ()
    ended: bool = False

    @property
    def evaluations(self) -> int:
        """How many are known. The state is ahead of the resource, whose numbers are written every few seconds."""
        return len(self.search.known) if self.search else self.row["evaluations"]

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self.under_way) if self.search else self.row["running"]


class Look(NamedTuple):
    """What a source says of its search. `note`: something about the looking itself."""

    row: Row
    head: Head | None
    ended: bool
    note: str = ""


class Source(Protocol):
    """One search, looked at again and again."""

    name: str
    hints: tuple[str, ...]
    """What to do next, said when the watching is interrupted."""

    def look(self) -> Look | None:
        """How it is; None if nothing has changed since the last look.

        Raises:
            Unavailable: not to be had now.
            InvalidSpec: there is no such search.
        """
        ...

    def epochs(self) -> Mapping[str, Event]:
        """How far its trainings say they are, by key.

        Raises:
            Unavailable: not to be had now.
        """
        ...


class ClusterSource:
    """A search of a cluster: its resource, its state from the controller, and the logs of its trainings."""

    def __init__(self, remote: Remote, name: str, target: Target) -> None:
        self.name = name
        self.hints = (
            f"To watch it again: {target.command('watch', name)}",
            f"To stop it for now: {target.command('pause', name)}",
        )
        self._remote = remote
        self._version = ""
        self._found: Resource | None = None
        self._waited_s = 0.0

    def look(self) -> Look | None:
        """See `Source.look`."""
        resource = self._found = self._remote.search(self.name)
        self._waited_s = 0.0 if resource.body.get("status") else self._waited_s + POLL_S
        unclaimed = self._waited_s >= SILENT_S
        note = f"no controller takes it up: is there one in {resource.namespace}?" if unclaimed else ""
        version = resource.body["metadata"]["resourceVersion"]
        if version == self._version and not note:
            return None
        head = None
        try:
            data = self._remote.head(resource)
            head = parse_head(data, resource.id) if data else None
            self._version = version
        except Unavailable as error:
            note = note or f"{error}; this is what the resource says"
        return Look(row_of_resource(resource), head, _has_ended(resource), note)

    def epochs(self) -> Mapping[str, Event]:
        """See `Source.epochs`."""
        from rcas.runtimes.kubernetes.trainings import last_epochs

        return last_epochs(self._remote.api, self._found, at_most=MOST_LOGS) if self._found else {}


def _has_ended(resource: Resource) -> bool:
    """Whether it is at its end, and the controller has seen what was last asked of it."""
    status = resource.status()
    if status.phase in {"Complete", "Cancelled"}:
        return True
    return status.phase in {"Failed", "LimitReached"} and status.observedGeneration == resource.generation


class StoreSource:
    """A search in a store, which some controller works on. What its trainings say is told to that one alone."""

    def __init__(self, url: str, name: str) -> None:
        self.name = name
        self.hints = (f"To watch it again: {shlex.join(['rcasctl', 'watch', name, '--store', url])}",)
        self._url = url
        self._store: Store | None = None
        self._version = ""
        self._still_s = 0.0

    def look(self) -> Look | None:
        """See `Source.look`."""
        if self._store is None:
            self._store, _ = find_search(self._url, self.name)
        stored = self._store.get(head_name(self.name))
        if stored is None:
            raise RcasError(f"the search {self.name} is gone: somebody deleted it")
        self._still_s = self._still_s + POLL_S if stored.version == self._version else 0.0
        still = STILL_S <= self._still_s < STILL_S + POLL_S
        if stored.version == self._version and not still:
            return None
        self._version = stored.version
        head = parse_head(stored.data, self.name)
        note = "nothing has changed for 10 minutes: does a controller, or rcasctl run, work on it?" if still else ""
        row = row_of_state(head, Search.from_snapshot(head.state.search))
        return Look(row, head, head.state.phase not in {"Running", "Paused"}, note)

    def epochs(self) -> Mapping[str, Event]:
        """See `Source.epochs`."""
        return {}
