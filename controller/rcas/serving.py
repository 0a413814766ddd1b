"""HTTP for reading: a thread for each connection, no more of them than the process can bear."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from socketserver import TCPServer, ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

REQUEST_S = 20.0
"""How long a peer may take over its request: every connection holds a thread."""
MOST_CONNECTIONS = 64
"""At once, of one server. More are closed unheard."""

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Server(ThreadingMixIn, WSGIServer):
    """See the module."""

    daemon_threads = True
    request_queue_size = MOST_CONNECTIONS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        super().__init__(*arguments, **named)

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, for which some machines take half a minute."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = "rcas", self.server_address[1]
        self.setup_environ()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hand the connection to a thread if there may be one more."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve it."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that is slow or goes away is no news; the rest is a bug."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class QuietHandler(WSGIRequestHandler):
    """Drops slow peers and logs nothing: probes and pages ask every few seconds."""

    timeout = REQUEST_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Nothing."""


def listen(host: str, port: int) -> WSGIServer:
    """Take the port; nobody is answered yet. `host`: "" for all addresses.

    Raises:
        OSError: the port is taken.
    """
    return make_server(host, port, _nothing, server_class=Server, handler_class=QuietHandler)


def start(server: WSGIServer, application: Application, name: str) -> None:
    """Begin to answer, in a thread of this `name`. `shutdown()` ends it."""
    server.set_app(application)
    threading.Thread(target=server.serve_forever, daemon=True, name=name).start()


def serve(host: str, port: int, application: Application, name: str) -> WSGIServer:
    """Both of them."""
    server = listen(host, port)
    start(server, application, name)
    return server


def _nothing(_environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    start_response("503 Service Unavailable", [])
    return []
