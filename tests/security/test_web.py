"""The controller's port: it reads only, and only what belongs to its namespace."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from prometheus_client import CollectorRegistry

from rcas import serving
from rcas.controller.operator import _answers
from rcas.controller.web import Answers, serve
from rcas.errors import CorruptState
from rcas.report import parse_report
from rcas.state import head_name
from security.lab import NAMESPACE, Lab, a_search_spec


@pytest.fixture(scope="module")
def lab() -> Lab:
    found = Lab()
    found.submit("search", a_search_spec())
    found.run("search")
    # What a list of one namespace never has: it belongs to somebody else.
    found.store.put(head_name("other/secret/1"), b"theirs", expected=None)
    return found


@contextmanager
def served(lab: Lab) -> Iterator[int]:
    server = serve(0, _answers(lab.operator, lab.metrics, lab.store, lab.clock))
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def asked(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_the_state_of_an_own_search_is_there(lab: Lab) -> None:
    with served(lab) as port:
        status, body = asked(port, f"/state/{NAMESPACE}/search")
    assert status == 200
    assert b'"epoch"' in body


def test_the_report_of_an_own_search_is_there_and_tells_what_was_found(lab: Lab) -> None:
    with served(lab) as port:
        status, body = asked(port, f"/report/{NAMESPACE}/search")
    assert status == 200
    report = parse_report(body)
    assert report.done
    assert report.missing == 0
    assert report.best
    assert report.best.network == lab.status("search")["network"]


@pytest.mark.parametrize("body", [b"", b"{}", b"[" * 100_000, b'{"format": 2}', b"\xff", b"null"])
def test_what_is_no_report_is_one_line(body: bytes) -> None:
    with pytest.raises(CorruptState, match="is not one of this version of rcas") as told:
        parse_report(body)
    assert len(str(told.value)) < 500


UID = "{uid}"
PATHS = [
    "/state/other/secret",
    "/state/other/search",
    f"/state/{NAMESPACE}/other",
    f"/state/{NAMESPACE}/../other/secret",
    f"/state/{NAMESPACE}/..%2f..%2fother%2fsecret%2f1",
    f"/state/{NAMESPACE}/search/",
    f"/state/{NAMESPACE}/search/{UID}",
    f"/state/{NAMESPACE}/search%00",
    f"/state/{NAMESPACE}/search%0a",
    f"/state/{NAMESPACE.upper()}/SEARCH",
    f"/state/{NAMESPACE}/*",
    f"/state/{NAMESPACE}/",
    "/state//search",
    "/state/../../etc/passwd",
    "/etc/passwd",
    "/results/x.json",
    "/report/other/secret",
    f"/report/{NAMESPACE}/other",
    f"/report/{NAMESPACE}/..%2f..%2fother%2fsecret%2f1",
    f"/report/{NAMESPACE}/search/{UID}",
    "/" + "a" * 10_000,
    "/metrics/",
    "/metrics/../state/other/secret",
]


@pytest.mark.parametrize("path", PATHS)
def test_no_other_path_gives_anything(lab: Lab, path: str) -> None:
    uid = lab.search("search")["metadata"]["uid"]
    with served(lab) as port:
        status, body = asked(port, path.replace(UID, uid))
    assert status == 404
    assert b"theirs" not in body
    assert b'"epoch"' not in body
    assert len(body) < 200


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "get", "X" * 300]
)
@pytest.mark.parametrize(
    "path", [f"/state/{NAMESPACE}/search", f"/report/{NAMESPACE}/search", "/metrics", "/healthz", "/nothing"]
)
def test_it_can_only_be_read(lab: Lab, method: str, path: str) -> None:
    with served(lab) as port:
        status, body = asked(port, path, method)
    assert status == 405
    assert body in {b"GET only\n", b""}


def test_a_peer_that_says_nothing_is_dropped(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    assert serving.QuietHandler.timeout == serving.REQUEST_S < 60
    monkeypatch.setattr(serving.QuietHandler, "timeout", 0.3)
    answers = Answers(CollectorRegistry(), alive=lambda: True, ready=lambda: True, state=lambda *_: None)
    server = serve(0, answers)
    try:
        began = time.monotonic()
        with socket.create_connection(("127.0.0.1", server.server_port), timeout=20) as slow:
            slow.sendall(b"GET /healthz HTTP/1.0\r\nX: ")
            assert slow.recv(1000) == b""
        assert time.monotonic() - began < 10
        assert asked(server.server_port, "/healthz") == (200, b"ok\n")
    finally:
        server.shutdown()
        server.server_close()
    assert "Traceback" not in capfd.readouterr().err
