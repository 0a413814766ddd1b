"""The main part of a search's page: its report."""

from __future__ import annotations

from html import escape

from rcas.search import Search
from rcas.state import Head
from rcas.stores.base import Store
from rcas.wording import counted, percent


class Renderer:
    """Makes it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, head: Head) -> str:
        """HTML."""
        found = Search.from_snapshot(head.state.search).result
        best = found.best
        text = percent(best.accuracy) + f" {best.network}" if best else "nothing yet"
        return (
            f"<h1>{escape(head.name)}</h1><p id='progress' aria-live='polite'>{escape(head.state.phase)}: "
            f"{counted(found.evaluations, 'training')}</p><p>{escape(text)}</p><details><summary>More</summary>x</details>"
        )
