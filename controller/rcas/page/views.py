"""What is sent: each page is made at most once per change of what it shows, and at most every few seconds."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from html import escape

from rcas.clock import Clock
from rcas.errors import RcasError, Unavailable, one_line
from rcas.page.frame import Shown, document, moment
from rcas.page.listing import listing
from rcas.page.once import Once
from rcas.page.source import Row, Seen, Source
from rcas.state import ENDED, Head, parse_head

log = logging.getLogger("rcas")

Render = Callable[[Head, str], str]
"""(head, shown name) to HTML of the main part of a search's page. May raise RcasError."""


class Views:
    """The pages of a source. Called from many threads.

    Args:
        source: which searches there are.
        render: makes a search's page from its state.
        clock: says how old things are.
        keep_s: seconds between two looks at the source for the same page.
    """

    def __init__(self, source: Source, render: Render, clock: Clock, keep_s: float) -> None:
        self._source, self._render, self._clock, self.keep_s = source, render, clock, keep_s
        self._names = Once(_Steady(source.names), clock, keep_s)
        self._list = Once(_ListPage(source, clock, keep_s), clock, keep_s)
        self._pages = dict[str, Once[Shown]]()
        self._lock = threading.Lock()

    def listing(self) -> Shown:
        """The list of searches.

        Raises:
            RcasError: the source gives nothing, and never did.
        """
        return self._list.get()

    def search(self, name: str) -> Shown | None:
        """The page of one search; None if there is no such.

        Raises:
            RcasError: nothing is known of it, and never was.
        """
        names = set(self._names.get())
        with self._lock:
            # Only of searches that there are: whatever else is asked for takes no memory.
            self._pages = {known: page for known, page in self._pages.items() if known in names}
            if name not in names:
                return None
            if name not in self._pages:
                page = _SearchPage(name, self._source, self._render, self._clock, self.keep_s)
                self._pages[name] = Once(page, self._clock, self.keep_s)
            page = self._pages[name]
        return page.get()


class _Steady:
    """The names as last known while the source does not answer."""

    def __init__(self, names: Callable[[], list[str]]) -> None:
        self._ask, self._last = names, None

    def __call__(self) -> list[str]:
        try:
            self._last: list[str] | None = self._ask()
        except Unavailable:
            if self._last is None:
                raise
        return self._last


class _ListPage:
    def __init__(self, source: Source, clock: Clock, keep_s: float) -> None:
        self._source, self._clock, self._keep_s = source, clock, keep_s
        self._last: tuple[list[Row], float] | None = None

    def __call__(self) -> Shown:
        notice = ""
        try:
            self._last = self._source.rows(), self._clock.now()
        except Unavailable as error:
            if self._last is None:
                raise
            notice = stale(error, self._last[1])
        return document("Searches - rcas", listing(self._last[0]), every_s=self._keep_s, notice=notice)


RARELY_S = 60.0
"""Between two reports of one state that does not change any more by itself: final trainings may have been added."""


class _SearchPage:
    def __init__(self, name: str, source: Source, render: Render, clock: Clock, keep_s: float) -> None:
        self._name, self._source, self._render, self._clock, self._keep_s = name, source, render, clock, keep_s
        self._made: tuple[object, str, bool] | None = None
        self._made_at = self._seen_at = 0.0

    def __call__(self) -> Shown:
        notice = ""
        try:
            self._look()
        except Unavailable as error:
            if self._made is None:
                raise
            notice = stale(error, self._seen_at)
        except RcasError as error:
            notice = f"The state of this search cannot be read: {one_line(error)}"
        except Exception as error:
            log.exception("the page of a search cannot be made", extra={"search": self._name})
            notice = f"This page cannot be made: {type(error).__name__}, a bug of rcas; the log has more."
        _, main, over = self._made or (None, f"<h1>{escape(self._name)}</h1>", False)
        up = "../" * (1 + self._name.count("/"))
        return document(
            f"{self._name} - rcas", main, every_s=self._keep_s, up=up, notice=notice, over=over and not notice
        )

    def _look(self) -> None:
        seen = self._source.look(self._name)
        now_s = self._clock.now()
        found = (seen.told, seen.stored.version if seen.stored else None) if seen else None
        rests = self._made is not None and self._made[2] and not 0 <= now_s - self._made_at < RARELY_S
        if self._made is None or self._made[0] != found or rests:
            self._made, self._made_at = (found, *self._main(seen)), now_s
        self._seen_at = now_s

    def _main(self, seen: Seen | None) -> tuple[str, bool]:
        if seen is None:
            return f"<h1>{escape(self._name)}</h1>\n<p>This search has gone.</p>", True
        if seen.stored is None:
            phase, message = seen.told or ("Pending", "The trainer starts and reads the data.")
            words = message or f"The search is {phase.lower()}."
            return (
                f'<h1>{escape(self._name)}</h1>\n<p aria-live="polite">Nothing is decided yet. {escape(words)}</p>',
                False,
            )
        head = parse_head(seen.stored.data, seen.search)
        if seen.told and seen.told[0] != "Pending":
            phase, message = seen.told
            head = head.model_copy(
                update={"state": head.state.model_copy(update={"phase": phase, "message": message})}
            )
        return self._render(head, self._name), head.state.phase in ENDED


def stale(error: Exception, seen_at: float) -> str:
    """What a page says that cannot be brought up to date. `seen_at`: of what it shows, in seconds since 1970."""
    return f"This is how it was at {moment(seen_at)}, for nothing newer can be read: {one_line(error)}"
