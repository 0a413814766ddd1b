"""The page on this machine: for its own browser only, as long as a command runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from typing import Any
from wsgiref.simple_server import WSGIServer

from rcas import serving
from rcas.clock import Clock
from rcas.errors import InvalidSpec
from rcas.page.application import application
from rcas.page.render import Renderer
from rcas.page.source import StoreSource
from rcas.page.views import Views
from rcas.serving import Application
from rcas.stores.base import Store

ADDRESS = "127.0.0.1"
DEFAULT_PORT = 8765
KEEP_S = 2.0
"""Between two looks of a browser, and between two of the page at the store."""


@contextmanager
def listening(port: int, option: str) -> Generator[WSGIServer]:
    """Hold the port on 127.0.0.1 until the end; 0 takes any free one. `option`: of the command, for the message.

    Raises:
        InvalidSpec: it is taken.
    """
    try:
        server = serving.listen(ADDRESS, port)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise InvalidSpec(option, got=str(port), allowed=f"a free port ({reason}); 0 takes any") from None
    try:
        yield server
    finally:
        server.server_close()


@contextmanager
def showing(server: WSGIServer, store: Store, clock: Clock, begun: str | None = None) -> Generator[None]:
    """Serve the searches of the store. `begun`: one of them that may have no state yet.

    Who looks at the end is given the time to see it.
    """
    views = Views(StoreSource(store, clock, begun), Renderer(store, clock), clock, KEEP_S)
    visitors = _Visitors(application(views), clock)
    serving.start(server, visitors, "page")
    try:
        yield
        visitors.see_off()
    finally:
        server.shutdown()


def address_of(server: WSGIServer) -> str:
    """Where a browser finds the page."""
    return f"http://{ADDRESS}:{server.server_port}/"


class _Visitors:
    """Knows when somebody asked last."""

    def __init__(self, answer: Application, clock: Clock) -> None:
        self._answer, self._clock = answer, clock
        self._asked_at = float("-inf")

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        self._asked_at = self._clock.now()
        return self._answer(environ, start)

    def see_off(self) -> None:
        """Wait until who is looking has had the last state, which a look may miss by as long as a page is kept."""
        pause, ended_at = threading.Event(), self._clock.now()
        if ended_at - self._asked_at > 3 * KEEP_S:
            return
        for _ in range(int(3 * KEEP_S / 0.25)):
            pause.wait(0.25)
            if self._asked_at > ended_at + KEEP_S:
                # Its answer is on its way.
                pause.wait(0.5)
                return
