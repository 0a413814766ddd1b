"""A proxy before a real S3 service that breaks requests as told: answers that are lost were really given."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from contextlib import suppress
from email.utils import formatdate
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any, NamedTuple
from urllib.parse import urlsplit


class Answer(NamedTuple):
    """What the client is told."""

    status: int
    headers: Mapping[str, str] = {}
    body: bytes = b""


class Fault(NamedTuple):
    """What happens to one request.

    Attributes:
        carried_out: the service gets the request first.
        before: called before that.
        answer: instead of the service's own: given it, what the client is told; DROP: the connection ends;
            STALL: nothing is said until the client gives up; CUT: half of the service's answer.
    """

    carried_out: bool
    answer: Callable[[Answer | None], Answer] | str
    before: Callable[[], object] = lambda: None


DROP, STALL, CUT = "drop", "stall", "cut"


def error(status: int, code: str = "", message: str = "said the test", **headers: str) -> Callable[[object], Answer]:
    """An answer as S3 gives it to a request that failed."""
    body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>" if code else ""
    return lambda _: Answer(status, {"Date": formatdate(usegmt=True), **headers}, body.encode())


class Request(NamedTuple):
    """What a client sent."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Proxy:
    """Forwards to `endpoint`; the next requests of the `methods` meet the `faults`, one each.

    `requests` has all that came.
    """

    def __init__(self, endpoint: str = "", tls: ssl.SSLContext | None = None) -> None:
        self.upstream = urlsplit(endpoint).netloc
        self.faults = list[Fault]()
        self.methods = {"GET", "PUT", "DELETE"}
        self.requests = list[Request]()
        self._over = Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.endpoint = f"{'https' if tls else 'http'}://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Proxy:
        Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._server.server_close()

    def expect(self, *faults: Fault, method: str | None = None) -> None:
        """Forget the past; break the next requests, or the next of one method."""
        self.faults, self.methods = list(faults), {method} if method else {"GET", "PUT", "DELETE"}
        self.requests.clear()

    def asked(self) -> list[str]:
        """The methods of the requests that came."""
        return [request.method for request in self.requests]

    def _forward(self, request: Request) -> Answer:
        connection = HTTPConnection(self.upstream, timeout=60)
        try:
            connection.request(request.method, request.path, request.body, dict(request.headers))
            response = connection.getresponse()
            return Answer(response.status, dict(response.getheaders()), response.read())
        finally:
            connection.close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> bool:
        """Deal with one request; whether its connection can go on."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        request = Request(handler.command, handler.path, dict(handler.headers), body)
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults and request.method in self.methods else Fault(True, _as_it_is)
        fault.before()
        given = self._forward(request) if fault.carried_out else None
        if callable(fault.answer):
            _send(handler, fault.answer(given))
            return True
        if fault.answer == STALL:
            self._over.wait(30)
        if fault.answer == CUT:
            assert given
            _send(handler, given, of=len(given.body) // 2)
        return False

    def _handler(proxy) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self) -> None:
                self.close_connection = True
                with suppress(OSError):  # The client has gone, as it should where a test stalls it.
                    self.close_connection = not proxy._answer(self)

            do_PUT = do_DELETE = do_HEAD = do_GET  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002

        return Handler


def _as_it_is(given: Answer | None) -> Answer:
    assert given
    return given


def _send(handler: BaseHTTPRequestHandler, answer: Answer, of: int | None = None) -> None:
    handler.send_response_only(answer.status)
    for name, value in answer.headers.items():
        if name.lower() not in {"content-length", "transfer-encoding", "connection"}:
            handler.send_header(name, value)
    if answer.status != 204:
        handler.send_header("Content-Length", str(len(answer.body)))
    handler.end_headers()
    handler.wfile.write(answer.body[:of])
    handler.wfile.flush()
