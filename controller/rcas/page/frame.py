"""The documents that are sent: head with style and script, a bar that says whether it is live, the main part."""

from __future__ import annotations

import base64
import hashlib
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from typing import NamedTuple

from rcas.report import html

STYLE = html.STYLE + files("rcas.page").joinpath("page.css").read_text(encoding="utf-8")
SCRIPT = files("rcas.page").joinpath("live.js").read_text(encoding="utf-8")


class Shown(NamedTuple):
    """A document as it is sent. `etag` changes with every byte of the body."""

    status: str
    body: bytes
    etag: str


def _hash(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


POLICY = "; ".join(
    (
        "default-src 'none'",
        f"script-src {_hash(SCRIPT)}",
        f"style-src {_hash(STYLE)}",
        "connect-src 'self'",
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Content-Security-Policy: nothing runs or is loaded but what stands here."""


def document(
    title: str,
    main: str,
    *,
    every_s: float,
    up: str = "",
    notice: str = "",
    over: bool = False,
    status: str = "200 OK",
) -> Shown:
    """A whole page.

    Args:
        title: plain text.
        main: HTML inside of <main>.
        every_s: how often the script asks for it again.
        up: relative address of the list of searches; "" on the list itself.
        notice: plain text above everything: what is wrong with what is shown.
        over: whether what is shown will not change any more by itself.
        status: of the answer.
    """
    data = f' data-every="{every_s:g}"' + (' data-over="yes"' if over else "")
    link = f'<a href="{escape(up)}">All searches</a>' if up else '<span class="home">rcas</span>'
    kind = "" if up else ' class="list"'
    text = (
        f'<!doctype html>\n<html lang="en"{data}>\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f'<style>{STYLE}</style>\n<script type="module">{SCRIPT}</script>\n</head>\n'
        f"<body{kind}>\n"
        f'<nav class="bar" aria-label="This page">{link}'
        '<span id="connection" data-own></span>'
        '<noscript>Without JavaScript it does not update by itself: <a href="">reload</a></noscript></nav>\n'
        f'<p id="notice" class="notice"{"" if notice else " hidden"}>{escape(notice)}</p>\n'
        f"<main>\n{main}\n</main>\n</body>\n</html>\n"
    )
    body = text.encode(errors="replace")
    return Shown(status, body, f'W/"{hashlib.sha256(body).hexdigest()[:32]}"')


def moment(seconds: float) -> str:
    """A point in time, such as `2026-11-28 21:03:12 UTC`. `seconds`: since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def ago(seconds: float) -> str:
    """HTML of a point in time that the script turns into an age."""
    when = datetime.fromtimestamp(seconds, UTC)
    return f'<time data-ago datetime="{when.isoformat()}">{when:%Y-%m-%d %H:%M} UTC</time>'
