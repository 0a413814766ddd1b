"""What the controller serves over HTTP: /metrics, /healthz, /readyz, and /state/<namespace>/<search>."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from rcas.errors import RcasError

log = logging.getLogger("rcas")
_TEXT = [("Content-Type", "text/plain; charset=utf-8")]
_JSON = [("Content-Type", "application/json")]


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the answers come from. Called from other threads: they only read.

    Attributes:
        alive: whether the loop still turns. ready: whether it has turned once.
        state: the head object of (namespace, search) as last committed; None if there is none.
    """

    registry: CollectorRegistry
    alive: Callable[[], bool]
    ready: Callable[[], bool]
    state: Callable[[str, str], bytes | None]


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes every few seconds are no news."""


def serve(port: int, answers: Answers) -> WSGIServer:
    """Start to serve in a thread; `shutdown()` ends it."""
    metrics = make_wsgi_app(answers.registry)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if path == "/metrics":
            return metrics(environ, start)
        if path in {"/healthz", "/readyz"}:
            good = answers.alive() if path == "/healthz" else answers.ready()
            start("200 OK" if good else "503 Service Unavailable", _TEXT)
            return [b"ok\n" if good else b"not ok\n"]
        if path.startswith("/state/"):
            return _state(path.removeprefix("/state/").split("/"), start)
        start("404 Not Found", _TEXT)
        return [b"/metrics, /healthz, /readyz, /state/<namespace>/<search>\n"]

    def _state(parts: list[str], start: Callable[..., Any]) -> Iterable[bytes]:
        try:
            found = answers.state(*parts) if len(parts) == 2 else None
        except RcasError as error:
            start("503 Service Unavailable", _TEXT)
            return [f"{error}\n".encode()]
        start("200 OK" if found else "404 Not Found", _JSON if found else _TEXT)
        return [found or b"no such search, or nothing is known of it yet\n"]

    server = make_server("", port, application, server_class=_Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True, name="web").start()
    return server
