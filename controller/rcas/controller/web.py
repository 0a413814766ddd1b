"""What the controller serves over HTTP: /metrics, /healthz, /readyz, /state/<namespace>/<search>, /report/...."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIServer

from prometheus_client import CollectorRegistry, make_wsgi_app

from rcas import serving
from rcas.errors import RcasError

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

    return serving.serve("", port, application, "web")


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
