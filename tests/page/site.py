"""A served page over a store in memory, whose searches a test brings forward."""

from __future__ import annotations

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from controller.harness import FixedClock, ScriptedCluster, a_spec, open_controller
from controller.memory_store import MemoryStore
from rcas import serving
from rcas.clock import SystemClock
from rcas.controller.step import Controller
from rcas.errors import Unavailable
from rcas.page.application import application
from rcas.page.render import Renderer
from rcas.page.source import StoreSource
from rcas.page.views import Views
from rcas.stores.base import Store, Stored

KEEP_S = 0.2
BEGAN_S = 1_780_000_000.0


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


class FickleStore(MemoryStore):
    """Does not answer while it is `away`."""

    def __init__(self) -> None:
        super().__init__()
        self.away = False
        self.asked = 0

    def get(self, name: str) -> Stored | None:
        self._answer()
        return super().get(name)

    def names(self, prefix: str) -> list[str]:
        self._answer()
        return super().names(prefix)

    def _answer(self) -> None:
        self.asked += 1
        if self.away:
            raise Unavailable("the bucket does not answer")


def begun(store: Store, name: str = "tiny", steps: int = 0, **changes: Any) -> Controller:
    """A search that has made so many steps."""
    spec = a_spec(name=name, **changes)
    controller = open_controller(store, ScriptedCluster(store), spec, clock=FixedClock(BEGAN_S))
    for _ in range(steps):
        controller.step()
    return controller


class Site:
    """The server, which can be stopped and started again on its port."""

    def __init__(self, views: Views, hosts: tuple[str, ...] = ()) -> None:
        self._application = application(views, hosts)
        self.port = 0
        self.start()

    def start(self) -> None:
        self._server = serving.serve("127.0.0.1", self.port, self._application, "page")
        self.port = self._server.server_port

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, method: str = "GET", **headers: str) -> Answer:
        """One request; a header's name has '_' for '-'."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders()
            found = connection.getresponse()
            return Answer(found.status, dict(found.getheaders()), found.read())
        finally:
            connection.close()


@contextmanager
def served(
    store: Store, *, keep_s: float = KEEP_S, hosts: tuple[str, ...] = (), begun: str | None = None
) -> Iterator[Site]:
    """Serve the searches of a store."""
    clock = SystemClock()
    site = Site(Views(StoreSource(store, clock, begun), Renderer(store, clock), clock, keep_s), hosts)
    try:
        yield site
    finally:
        site.stop()
