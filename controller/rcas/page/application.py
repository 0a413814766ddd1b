"""The WSGI application: addresses, headers, who is answered, and nothing again that a browser has already."""

from __future__ import annotations

import gzip
import ipaddress
from collections.abc import Callable, Collection, Iterable
from html import escape
from typing import Any

from rcas.errors import RcasError, Unavailable, one_line
from rcas.page.frame import POLICY, Shown, document
from rcas.page.views import Views
from rcas.serving import Application

HEADERS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    # Kept, and asked for again each time: the answer is short if nothing changed.
    ("Cache-Control", "private, no-cache"),
    ("Vary", "Accept-Encoding"),
)
LOCAL = "localhost"


def application(views: Views, hosts: Collection[str] = ()) -> Application:
    """Answers GET and HEAD for `/` and `/searches/NAME`.

    Args:
        views: makes the pages.
        hosts: names by which a browser may ask beside `localhost` and addresses in numbers. Any other is refused,
            for it may be of a foreign page whose name was made to point here (DNS rebinding).
    """
    allowed = {LOCAL, *(host.lower() for host in hosts)}

    def answer(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        method = environ.get("REQUEST_METHOD", "")
        if method not in {"GET", "HEAD"}:
            return _plain(start, "405 Method Not Allowed", "GET and HEAD only", ("Allow", "GET, HEAD"))
        if not _is_known(environ.get("HTTP_HOST", ""), allowed):
            return _plain(start, "421 Misdirected Request", "asked by a name that is not allowed here: page.hosts")
        shown = _shown(environ.get("PATH_INFO", ""), views)
        headers = [*HEADERS, ("ETag", shown.etag)]
        if shown.etag in environ.get("HTTP_IF_NONE_MATCH", ""):
            start("304 Not Modified", headers)
            return []
        body = shown.body
        if "gzip" in environ.get("HTTP_ACCEPT_ENCODING", ""):
            body = gzip.compress(body, compresslevel=5)
            headers.append(("Content-Encoding", "gzip"))
        start(
            shown.status, [*headers, ("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body)))]
        )
        return [] if method == "HEAD" else [body]

    return answer


def _is_known(host: str, allowed: Collection[str]) -> bool:
    """Whether the Host header of a request names us. An address in numbers cannot be made to point elsewhere."""
    numbers = host.startswith("[")
    name = host[1:].partition("]")[0] if numbers else host.partition(":")[0].lower().removesuffix(".")
    if name in allowed:
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _plain(start: Callable[..., Any], status: str, text: str, *headers: tuple[str, str]) -> Iterable[bytes]:
    start(status, [*HEADERS, *headers, ("Content-Type", "text/plain; charset=utf-8")])
    return [f"{text}\n".encode()]


def _shown(path: str, views: Views) -> Shown:
    # WSGI gives the bytes of the path as Latin-1.
    parts = path.encode("latin-1", "replace").decode("utf-8", "replace").split("/", 2)
    try:
        match parts:
            case ["", ""]:
                return views.listing()
            case ["", "searches", name]:
                found = views.search(name)
            case _:
                found = None
    except RcasError as error:
        status = "503 Service Unavailable" if isinstance(error, Unavailable) else "500 Internal Server Error"
        main = f"<h1>Nothing can be shown now</h1>\n<p>{escape(one_line(error))}</p>"
        return document("Not now - rcas", main, every_s=views.keep_s, up=_up(path), status=status)
    if found is None:
        main = "<h1>Not found</h1>\n<p>There is no such search, or not any more.</p>"
        return document("Not found - rcas", main, every_s=views.keep_s, up=_up(path), status="404 Not Found")
    return found


def _up(path: str) -> str:
    return "../" * (path.count("/") - 1) or "./"
