"""Reads what a report is made from out of a store."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib.metadata import version

from rcas.baselines.record import Record
from rcas.errors import CorruptState
from rcas.evaluation import Result, evaluation_key
from rcas.final import Final, FinalResult
from rcas.noise import Counts
from rcas.report.build import build
from rcas.report.model import Report
from rcas.search import Search
from rcas.space import Network, Space
from rcas.state import Head, read_baselines, read_final, read_finals, read_result
from rcas.stores.base import Store

KEPT = 20_000
"""Results kept in memory at most."""
MOST_OTHERS = 20
"""Trainings of one network from other seeds that are read at most."""
_AT_ONCE = 8
"""Results read at once: each is a request to the store."""


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
        others, baselines = dict[str, list[Counts]](), self._baselines(head)
        for space, network in (*_answers(head), *((one.space, one.chosen[0]) for one in baselines if one.chosen)):
            key = evaluation_key(space, network, head.state.search.protocol, head.state.search.replicate)
            others[key] = self._others(space, network, head)
        return build(
            head,
            self._read(head),
            now=now,
            version=version("rcas"),
            others=others,
            finals=self._finals(head),
            baselines=baselines,
        )

    def _others(self, space: Space, network: Network, head: Head) -> list[Counts]:
        """(right, in all) of its trainings from the seeds after the search's, up to the first that is not there."""
        found = list[Counts]()
        for replicate in range(head.state.search.replicate + 1, MOST_OTHERS + 1):
            key = evaluation_key(space, network, head.state.search.protocol, replicate)
            result = self._results.get(key) or self._one(key)
            if result is None or result.network != str(network):
                break
            self._results[key] = result
            found.append((result.correct, result.total))
        return found

    def _finals(self, head: Head) -> list[tuple[Final, list[FinalResult]]]:
        with suppress(CorruptState):
            index = read_finals(self._store, head.name)
            return [(final, list(self._of(final))) for final in index.finals] if index else []
        return []

    def _of(self, final: Final) -> Iterator[FinalResult]:
        for key in final.keys:
            with suppress(CorruptState):
                result = read_final(self._store, key)
                if result and result.network == final.network:
                    yield result

    def _baselines(self, head: Head) -> list[Record]:
        with suppress(CorruptState):
            return [
                record
                for record in read_baselines(self._store, head.name)
                if record.protocol_sha256 == head.state.search.protocol
            ]
        return []

    def _read(self, head: Head) -> dict[str, Result]:
        stored = head.state.search
        names = map(stored.space.network, stored.results)
        keys = [evaluation_key(stored.space, one, stored.protocol, stored.replicate) for one in names]
        known = {key: self._results[key] for key in keys if key in self._results}
        missing = [key for key in keys if key not in known]
        if missing:
            with ThreadPoolExecutor(_AT_ONCE) as readers:
                read = zip(missing, readers.map(self._one, missing), strict=True)
                known |= {key: result for key, result in read if result}
            if len(self._results) > KEPT:
                self._results.clear()
            self._results |= known
        return known

    def _one(self, key: str) -> Result | None:
        with suppress(CorruptState):
            return read_result(self._store, key)
        return None


def _answers(head: Head) -> Iterator[tuple[Space, Network]]:
    """The start network and what the rules have come to: those whose other seeds say whether to trust the search."""
    search = Search.from_snapshot(head.state.search)
    reached = [path.path[-1].network for path in search.result.rules.values() if path.path]
    yield from ((search.problem.space, network) for network in dict.fromkeys([search.problem.space.start, *reached]))
