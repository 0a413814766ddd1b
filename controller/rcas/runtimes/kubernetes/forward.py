"""HTTP to a port of a pod, through the API server as `kubectl port-forward` goes: a kubeconfig is enough for it.

The kubelet opens the connection inside of the pod, so a NetworkPolicy does not stand in the way.
"""

from __future__ import annotations

import io
import re
from http.client import HTTPException, HTTPResponse
from typing import Any, cast

import websocket

from rcas.runtimes.kubernetes.api import Api, ClusterUnavailable

PROTOCOL = "v4.channel.k8s.io"
_DATA, _ERROR = 0, 1
"""Channels of a connection that forwards one port; the first frame of each is the port's number."""


def fetch(api: Api, pod: str, port: int, path: str) -> tuple[int, bytes]:
    """(status, body) of a GET request to a port of a pod.

    Args:
        api: says where the cluster is.
        pod: path of the pod, such as /api/v1/namespaces/default/pods/p.
        port: that it listens on.
        path: of the request.

    Raises:
        ClusterUnavailable: the API server or the pod does not answer, or the port cannot be reached.
        NotFound: there is no such pod.
    """
    connection = api.websocket(f"{pod}/portforward", PROTOCOL, ports=port)
    try:
        request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.send_binary(bytes([_DATA]) + request.encode())
        return _parsed(_received(connection))
    except (websocket.WebSocketException, HTTPException, OSError) as error:
        raise ClusterUnavailable(
            f"port {port} of the pod does not answer: {error or type(error).__name__}"
        ) from error
    finally:
        connection.close(timeout=0)


def _received(connection: websocket.WebSocket) -> bytes:
    """What the pod sends until the answer is whole, or it closes its side."""
    answer, greeted, failure = b"", set[int](), b""
    while not _is_whole(answer):
        try:
            opcode, frame = cast(tuple[int, bytes], connection.recv_data())
        except websocket.WebSocketConnectionClosedException:
            break
        if opcode != websocket.ABNF.OPCODE_BINARY or not frame:
            break
        channel, data = frame[0], frame[1:]
        if channel not in greeted:
            greeted.add(channel)
        elif channel == _DATA:
            answer += data
        elif channel == _ERROR:
            failure += data
            break
    if not answer:
        raise OSError(failure.decode(errors="replace").strip()[:300] or "it closed the connection")
    return answer


def _is_whole(answer: bytes) -> bool:
    # The kubelet takes a second to close a connection whose pod has closed its own.
    head, ended, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"(?im)^content-length: *(\d+)", head)
    return bool(ended) and length is not None and len(body) >= int(length[1])


class _Received:
    """What was received, as http.client wants to read it."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: Any) -> io.BytesIO:
        return io.BytesIO(self._data)


def _parsed(answer: bytes) -> tuple[int, bytes]:
    response = HTTPResponse(cast(Any, _Received(answer)))
    response.begin()
    return response.status, response.read()
