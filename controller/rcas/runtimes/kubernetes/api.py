"""Requests to the Kubernetes API server: plain objects in and out, one place where its errors get their names."""

from __future__ import annotations

import json
import random
import re
import ssl
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NoReturn

import urllib3
import websocket
from kubernetes import client, config
from kubernetes.client import ApiException

from rcas.errors import Conflict, InvalidSpec, RcasError, Unavailable
from rcas.runtimes.kubernetes.shallow import shallow

Object = dict[str, Any]
Observe = Callable[[str, str], None]

REQUESTS_PER_S = 5.0
"""Long-run average of requests that the controller may send, as a good citizen of a shared API server."""
BURST = 25
PAGE = 250
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
TIMEOUT_S = (5.0, 30.0)
"""To connect, to read."""
LONGEST_BACKOFF_S = 15.0
_MERGE_PATCH = "application/merge-patch+json"


class ClusterUnavailable(Unavailable):
    """The API server does not answer, or not now."""


class Refused(ClusterUnavailable):
    """The API server does not do this now: a quota is used up, a right is missing, a token has expired."""


class NotFound(RcasError):
    """There is no such object, or no such kind of object."""


class Expired(RcasError):
    """The version that a list or a watch wanted to go on from is gone: begin anew (HTTP 410)."""


class RateLimit:
    """A bucket that holds `burst` requests and gets `per_s` new ones a second.

    Args:
        per_s: requests a second in the long run.
        burst: requests at once.
        now_s: seconds since some moment; never goes back.
        sleep: waits that many seconds.
    """

    def __init__(
        self,
        per_s: float = REQUESTS_PER_S,
        burst: int = BURST,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._per_s, self._burst, self._now_s, self._sleep = per_s, burst, now_s, sleep
        self._left, self._at = float(burst), now_s()
        self._lock = threading.Lock()

    def take(self) -> None:
        """Return when one more request may be sent."""
        with self._lock:
            now = self._now_s()
            self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
            self._at = now
            self._left -= 1
            wait_s = max(0.0, -self._left / self._per_s)
        self._sleep(wait_s)


class Api:
    """The API server as the kubeconfig, or the pod's service account, says where it is.

    Args:
        connection: of the official client; it brings addresses, certificates and tokens, and renews these.
        limit: shared by all requests.
        observe: called once per request with its method and how it ended: ok, refused or unavailable.

    Every method may raise ClusterUnavailable (try again), NotFound, Conflict (it changed or exists) and InvalidSpec
    (the API server refuses the object).

    Attributes:
        timeout_s: to connect, to read.
    """

    def __init__(
        self, connection: client.ApiClient, limit: RateLimit | None = None, observe: Observe | None = None
    ) -> None:
        self._client, self._limit = connection, limit
        self._observe: Observe = observe or (lambda _method, _outcome: None)
        self.timeout_s = TIMEOUT_S

    def get(self, path: str, **query: Any) -> Object:
        """The object at `path`, such as `/api/v1/namespaces/default/pods/p`."""
        return parsed(self._request("GET", path, query))

    def text(self, path: str, **query: Any) -> str:
        """What is at `path` as text, such as a pod's log."""
        return self._request("GET", path, query).decode(errors="replace")

    def items(self, path: str, **query: Any) -> list[Object]:
        """All objects of a collection, page by page.

        A page that has expired (410) starts the list anew, once.
        """
        try:
            return list(self._pages(path, query))
        except Expired:
            pass
        try:
            return list(self._pages(path, query))
        except Expired as error:
            raise ClusterUnavailable(f"the list of {path} expires before it ends") from error

    def create(self, path: str, body: Object, **query: Any) -> Object:
        """Create an object in the collection at `path`."""
        return parsed(self._request("POST", path, query, body))

    def patch(self, path: str, body: Object, **query: Any) -> Object:
        """Merge `body` into the object at `path` (RFC 7386)."""
        return parsed(self._request("PATCH", path, query, body))

    def delete(self, path: str, *, propagation: Literal["Background", "Foreground"] = "Background") -> None:
        """Delete the object at `path`, and in the background what it owns; nothing happens if there is none."""
        try:
            self._request("DELETE", path, {}, {"propagationPolicy": propagation})
        except NotFound:
            return

    def lines(self, path: str, read_timeout_s: float | None, **query: Any) -> Iterator[bytes]:
        """Lines of an answer that goes on, such as a watch's or a followed log's, until the server ends it."""
        with translated():
            response = self._send("GET", path, query, None, (self.timeout_s[0], read_timeout_s)).response
            self._observe("watch" if "watch" in query else "get", _outcome(response.status))
            try:
                if response.status >= 400:
                    _refuse(response.status, response.data)
                rest = b""
                for chunk in response.stream(65536):
                    *whole, rest = (rest + chunk).split(b"\n")
                    yield from whole
                if rest:
                    yield rest
            finally:
                response.close()

    def _pages(self, path: str, query: Mapping[str, Any]) -> Iterator[Object]:
        token = ""
        while True:
            page = self.get(path, **query, limit=PAGE, **({"continue": token} if token else {}))
            yield from page.get("items") or ()
            token = page["metadata"].get("continue")
            if not token:
                return

    def _request(self, method: str, path: str, query: Mapping[str, Any], body: Object | None = None) -> bytes:
        verb = method.lower()
        try:
            with translated():
                response = self._send(method, path, query, body, self.timeout_s)
                data: bytes = response.read()
        except ClusterUnavailable:
            self._observe(verb, "unavailable")
            raise
        self._observe(verb, _outcome(response.status))
        if response.status >= 400:
            _refuse(response.status, data)
        return data

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any],
        body: Object | None,
        timeout: tuple[float, float | None],
    ) -> Any:
        if self._limit:
            self._limit.take()
        return self._client.call_api(*self._addressed(method, path, query, body), _request_timeout=timeout)

    def _addressed(self, method: str, path: str, query: Mapping[str, Any], body: Object | None) -> Any:
        """(method, URL, headers, body, form): the request with its credentials."""
        kind = _MERGE_PATCH if method == "PATCH" else "application/json"
        return self._client.param_serialize(
            method=method,
            resource_path=path,
            query_params=[(name, value) for name, value in query.items() if value is not None],
            header_params={"Accept": "application/json", "Content-Type": kind},
            body=body,
            auth_settings=["BearerToken"],
        )

    def websocket(self, path: str, protocol: str, **query: Any) -> websocket.WebSocket:
        """A connection in both directions, such as one to a port of a pod. The caller closes it."""
        _, url, headers, *_ = self._addressed("GET", path, query, None)
        configuration = self._client.configuration
        tls = {
            "cert_reqs": ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE,
            "check_hostname": configuration.verify_ssl,
            "ca_certs": configuration.ssl_ca_cert,
            "certfile": configuration.cert_file,
            "keyfile": configuration.key_file,
            "server_hostname": configuration.tls_server_name,
        }
        given = {name: value for name, value in headers.items() if name.lower() == "authorization"}
        try:
            return websocket.create_connection(
                re.sub("^http", "ws", url),
                timeout=self.timeout_s[0],
                header=given,
                sslopt={name: value for name, value in tls.items() if value is not None},
                subprotocols=[protocol],
            )
        except websocket.WebSocketBadStatusException as error:
            _refuse(error.status_code, error.resp_body or b"")
        except (websocket.WebSocketException, OSError) as error:
            raise ClusterUnavailable(f"the API server does not answer: {_first_line(error)}") from error


@contextmanager
def translated() -> Generator[None]:
    """Turn what the libraries below raise into ClusterUnavailable."""
    try:
        yield
    except (ApiException, urllib3.exceptions.HTTPError, OSError) as error:
        raise ClusterUnavailable(f"the API server does not answer: {_first_line(error)}") from error


def parsed(data: bytes) -> Object:
    """An answer of the API server.

    Raises:
        ClusterUnavailable: it is no object of JSON; something between has cut it off or replaced it.
    """
    try:
        found = _loaded(data)
    except ValueError as error:
        raise ClusterUnavailable(f"the API server's answer is no JSON: {_first_line(error)}") from error
    if not isinstance(found, dict):
        raise ClusterUnavailable("the API server's answer is no object")
    return found


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except RecursionError:
        return json.loads(shallow(data))


def _outcome(status: int) -> str:
    return "ok" if status < 400 else "refused" if status < 500 and status != 429 else "unavailable"


def _refuse(status: int, data: bytes) -> NoReturn:
    message = _message(data) or f"HTTP {status}"
    if status == 404:
        raise NotFound(message)
    if status == 409:
        raise Conflict(message)
    if status == 410:
        raise Expired(message)
    if status in {400, 413, 422}:
        raise InvalidSpec.relayed(message)
    if status in {401, 403}:
        # A quota answers 403 too, and tokens are renewed: both pass. A missing right stays, and its message says so.
        raise Refused(f"the API server refuses: {message}")
    raise ClusterUnavailable(f"the API server does not serve this now (HTTP {status}): {message}")


def _message(data: bytes) -> str:
    try:
        return " ".join(str(json.loads(data)["message"]).split())
    except (ValueError, KeyError, TypeError):
        return _first_line(data.decode(errors="replace"))


def _first_line(text: object) -> str:
    return next(iter(str(text).strip().splitlines()), type(text).__name__)[:300]


def connect(limit: RateLimit | None = None, observe: Observe | None = None) -> tuple[Api, str]:
    """The API server and the namespace of the pod that this process runs in, or else of the kubeconfig.

    Raises:
        InvalidSpec: there is neither.
    """
    configuration = client.Configuration()
    try:
        config.load_incluster_config(configuration)
    except config.ConfigException:
        return from_kubeconfig(None, None, limit, observe)
    return _connect(configuration, limit, observe), NAMESPACE_FILE.read_text(encoding="utf-8").strip()


def from_kubeconfig(
    kubeconfig: str | None, context: str | None, limit: RateLimit | None = None, observe: Observe | None = None
) -> tuple[Api, str]:
    """The API server and the namespace of a context, found as kubectl finds them.

    Raises:
        InvalidSpec: there is no such file or context.
    """
    configuration = client.Configuration()
    try:
        config.load_kube_config(kubeconfig, context=context, client_configuration=configuration)
        contexts, active = _contexts(kubeconfig)
    except (config.ConfigException, OSError) as error:
        allowed = f"a kubeconfig with a usable context ({_first_line(error)})"
        raise InvalidSpec("kubeconfig", got=kubeconfig or "the default", allowed=allowed) from None
    chosen = next((found for found in contexts if found["name"] == context), active)
    return _connect(configuration, limit, observe), chosen.get("context", {}).get("namespace") or "default"


def _contexts(kubeconfig: str | None) -> tuple[list[Object], Object]:
    contexts: Any
    active: Any
    contexts, active = config.list_kube_config_contexts(kubeconfig)
    return contexts, active


def _connect(
    configuration: client.Configuration, limit: RateLimit | None = None, observe: Observe | None = None
) -> Api:
    # Our own retries know what may be repeated; urllib3's do not.
    configuration.retries = False
    return Api(client.ApiClient(configuration), limit, observe)


def listen(api: Api, path: str, heard: Callable[[Object], None], stop: threading.Event, **query: Any) -> None:
    """Call `heard` with every event of a watch until `stop` is set. Whatever ends the watch, it begins anew.

    Events may be missed in between: they only hint that a list is worth its while.
    """
    failures = 0
    while not stop.is_set():
        try:
            for line in api.lines(
                path, read_timeout_s=330, watch=1, timeoutSeconds=random.randint(200, 300), **query
            ):
                if stop.is_set():
                    return
                heard(parsed(line))
                failures = 0
        except RcasError:
            failures += 1
        stop.wait(backoff_s(failures))


def backoff_s(
    failures: int, *, longest_s: float = LONGEST_BACKOFF_S, draw: Callable[[float, float], float] = random.uniform
) -> float:
    """How long to wait after so many failures in a row: doubled each time, with jitter against herds."""
    if not failures:
        return 1.0
    return min(longest_s, 2.0 ** min(failures, 10)) * draw(0.5, 1.0)
