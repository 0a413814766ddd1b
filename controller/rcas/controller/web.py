"""What the controller serves over HTTP: /metrics, /healthz, /readyz, /state/<namespace>/<search>, /report/...."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from rcas.errors import RcasError

REQUEST_S = 20.0
"""How long a peer may take over its request: every connection holds a thread."""
_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answers:
    """Where the answers come from. Called from other threads: they only read.

    Attributes:
        alive: whether the loop still turns. ready: whether it has turned once.
        state: the head object of (namespace, search) as last committed; None if there is none.
        report: its report as JSON; None likewise.
    """

    registry: CollectorRegistry
    alive: Callable[[], bool]
    ready: Callable[[], bool]
    state: Callable[[str, str], bytes | None]
    report: Callable[[str, str], bytes | None] = lambda _namespace, _search: None


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A peer that is slow or goes away is no news; the rest is a bug."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


class _Quiet(WSGIRequestHandler):
    timeout = REQUEST_S

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Probes every few seconds are no news."""


def serve(port: int, answers: Answers) -> WSGIServer:
    """Start to serve in a thread; `shutdown()` ends it.

    Raises:
        OSError: the port is taken.
    """
    metrics = make_wsgi_app(answers.registry)

    def application(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        if environ.get("REQUEST_METHOD") != "GET":
            start("405 Method Not Allowed", [("Content-Type", _TEXT), ("Allow", "GET")])
            return [b"GET only\n"]
        if path == "/metrics":
            return metrics(environ, start)
        status, kind, body = _answer(path, answers)
        # A list of its own: the server adds headers to it.
        start(status, [("Content-Type", kind)])
        return [body]

    server = make_server("", port, application, server_class=_Server, handler_class=_Quiet)
    threading.Thread(target=server.serve_forever, daemon=True, name="web").start()
    return server


def _answer(path: str, answers: Answers) -> tuple[str, str, bytes]:
    if path in {"/healthz", "/readyz"}:
        good = answers.alive() if path == "/healthz" else answers.ready()
        return ("200 OK", _TEXT, b"ok\n") if good else ("503 Service Unavailable", _TEXT, b"not ok\n")
    match path.split("/"):
        case ["", "state", namespace, search]:
            return _of_search(answers.state, namespace, search)
        case ["", "report", namespace, search]:
            return _of_search(answers.report, namespace, search)
        case _:
            return (
                "404 Not Found",
                _TEXT,
                b"/metrics, /healthz, /readyz, /state/<namespace>/<search>, /report/<namespace>/<search>\n",
            )


def _of_search(ask: Callable[[str, str], bytes | None], namespace: str, search: str) -> tuple[str, str, bytes]:
    try:
        found = ask(namespace, search)
    except RcasError as error:
        return "503 Service Unavailable", _TEXT, f"{error}\n".encode()
    if found is None:
        return "404 Not Found", _TEXT, b"no such search, or nothing is known of it yet\n"
    return "200 OK", _JSON, found
