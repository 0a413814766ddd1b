"""The official client's connection to the simulated API server, as `rcas.runtimes.kubernetes.api.Api` uses it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from urllib3.exceptions import NewConnectionError, ProtocolError, ReadTimeoutError

from simulation.apiserver import ApiServer, Handled, Object

Send = Callable[[str, str, Callable[[], Handled]], Handled]
"""(verb, path, what the server does) -> its answer: the network between client and server."""
_VERBS = {"GET": "get", "POST": "create", "PATCH": "patch", "DELETE": "delete"}


class Response(NamedTuple):
    """An answer: its HTTP status and its body."""

    status: int
    data: bytes

    def read(self) -> bytes:
        return self.data


class Connection:
    """Stands where `kubernetes.client.ApiClient` would. `sending` hears of each request, whatever becomes of it."""

    def __init__(self, server: ApiServer, send: Send) -> None:
        self._server, self._send = server, send
        self.sending: Callable[[str, Object], None] = lambda _verb, _body: None

    def param_serialize(
        self,
        *,
        method: str,
        resource_path: str,
        query_params: list[tuple[str, Any]],
        body: Object | None,
        **_credentials: Any,
    ) -> tuple[Any, ...]:
        return method, resource_path, dict(query_params), body

    def call_api(
        self, method: str, path: str, query: Object, body: Object | None, *, _request_timeout: Any
    ) -> Response:
        verb = _VERBS[method]
        if "limit" in query:
            verb = "next" if "continue" in query else "list"
        self.sending(verb, body or {})
        return Response(*self._send(verb, path, lambda: self._server.handle(method, path, query, body)))


def _failed(status: int, message: str) -> Callable[[], Handled]:
    body = json.dumps({"kind": "Status", "status": "Failure", "message": message, "code": status}).encode()
    return lambda: (status, body)


def _raised(error: Exception) -> Callable[[], Handled]:
    def act() -> Handled:
        raise error

    return act


def _no_answer() -> list[tuple[str, Callable[[], Handled]]]:
    return [
        ("time-out", _raised(ReadTimeoutError(None, "/", "simulated"))),  # type: ignore[arg-type]
        ("closed", _raised(ProtocolError("Connection aborted."))),
    ]


def not_done(verb: str, path: str) -> list[tuple[str, Callable[[], Handled]]]:
    """How a request may end that the server has not carried out."""
    kinds = [
        ("429", _failed(429, "too many requests")),
        ("500", _failed(500, "etcdserver: leader changed")),
        ("503", _failed(503, "apiserver is shutting down")),
        ("504", _failed(504, "Timeout: request did not complete")),
        ("401", _failed(401, "Unauthorized")),
        ("403", _failed(403, "exceeded quota")),
        ("refused", _raised(NewConnectionError(None, "simulated"))),  # type: ignore[arg-type]
        *_no_answer(),
    ]
    if verb in {"create", "patch"}:
        kinds.append(("409", _failed(409, "the object has been modified; please apply your changes to the latest")))
    if verb == "list" and path.endswith("/searches"):
        kinds.append(("404", _failed(404, "the server could not find the requested resource")))
    return kinds


def answer_lost() -> list[tuple[str, Callable[[], Handled]]]:
    """How a request may end that the server has carried out."""
    return [*_no_answer(), ("500", _failed(500, "etcdserver: request timed out")), ("504", _failed(504, "Timeout"))]
