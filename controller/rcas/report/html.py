"""A report as HTML: a file of its own, or the main part of a page that somebody else serves."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files

from rcas.report import plot
from rcas.report.answer import answer
from rcas.report.model import Report
from rcas.report.sections import SECTIONS
from rcas.report.words import moment

STYLE = files("rcas.report").joinpath("report.css").read_text(encoding="utf-8") + plot.style()
"""The style sheet that `main_part` needs."""


def page(report: Report) -> str:
    """One file that needs no other: no script, no request."""
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    title = escape(f"{report.search}: report of a search")
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{escape(policy)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n<meta name="referrer" content="no-referrer">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n<style>{STYLE}</style>\n</head>\n<body>\n'
        f"<main>\n{main_part(report)}\n</main>\n"
        f'<footer class="foot"><p>Made by rcas {escape(report.rcas)} on {moment(report.made)}.</p></footer>\n'
        "</body>\n</html>\n"
    )


def main_part(report: Report, *, live: bool = False) -> str:
    """What stands inside of <main>.

    Args:
        report: to show.
        live: the line of progress has the id `progress` and is read out when it changes.
    """
    shown = [(name, title, text) for name, title, make in SECTIONS if (text := make(report))]
    links = "".join(f'<a href="#{name}">{escape(title)}</a>' for name, title, _ in shown)
    contents = f'<nav class="contents" aria-label="Sections">{links}</nav>' if links else ""
    return "\n".join([answer(report, live=live), contents, *(text for _, _, text in shown)])
