"""The main part of a search's page: its report."""

from __future__ import annotations

from rcas.clock import Clock
from rcas.report import Gatherer
from rcas.report.html import main_part
from rcas.state import Head
from rcas.stores.base import Store


class Renderer:
    """Makes it. What it reads of results it keeps, for all pages. Called from many threads."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._gatherer, self._clock = Gatherer(store), clock

    def __call__(self, head: Head, name: str) -> str:
        """HTML of the search whose state is `head`, shown as `name`.

        Raises:
            Unavailable: the store does not answer.
            CorruptState: the parts of the state contradict each other.
        """
        report = self._gatherer.report(head, self._clock.now())
        return main_part(report.model_copy(update={"search": name}), live=True)
