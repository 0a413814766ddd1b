"""Reads what a report is made from out of a store."""

from __future__ import annotations

from contextlib import suppress
from importlib.metadata import version

from rcas.errors import CorruptState
from rcas.evaluation import Result, evaluation_key
from rcas.report.build import build
from rcas.report.model import Report
from rcas.state import Head, read_result
from rcas.stores.base import Store


class Gatherer:
    """Makes reports of the searches in a store. What it has read of results it keeps, for they never change.

    Args:
        store: only read.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._results = dict[str, Result]()

    def report(self, head: Head, now: float) -> Report:
        """The report of the search whose state is `head`.

        Args:
            head: as stored; its name says where in the store the search lies.
            now: seconds since 1970.

        Raises:
            Unavailable: the store does not answer.
            CorruptState: the parts of the state contradict each other.
        """
        return build(head, self._read(head), now=now, version=version("rcas"))

    def _read(self, head: Head) -> dict[str, Result]:
        stored = head.state.search
        names = map(stored.space.network, stored.results)
        keys = [evaluation_key(stored.space, one, stored.protocol, stored.replicate) for one in names]
        for key in keys:
            if key not in self._results:
                with suppress(CorruptState):
                    result = read_result(self._store, key)
                    self._results |= {key: result} if result else {}
        return {key: self._results[key] for key in keys if key in self._results}
