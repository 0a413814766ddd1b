"""Pieces of HTML. Every text that goes in is escaped here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from html import escape

from rcas.report.model import Report
from rcas.report.plot import NARROW, WIDE
from rcas.report.table import Table

Figure = Callable[[Report, int], str]


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph of plain text."""
    return f"<p{_class(kind)}>{escape(text)}</p>"


def section(name: str, title: str, *parts: str) -> str:
    """A section with a heading that can be linked to."""
    body = "\n".join(part for part in parts if part)
    return (
        f'<section id="{name}" aria-labelledby="{name}-h"><h2 id="{name}-h">{escape(title)}</h2>\n{body}\n</section>'
    )


def figure(report: Report, draw: Figure, caption: str) -> str:
    """A figure in two widths, of which the style sheet shows one."""
    wide, narrow = draw(report, WIDE), draw(report, NARROW)
    return (
        f'<figure><div class="wide">{wide}</div><div class="narrow">{narrow}</div>'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def details(summary: str, *parts: str, name: str = "") -> str:
    """Something that is folded away."""
    own = f' id="{name}"' if name else ""
    return f"<details{own}><summary>{escape(summary)}</summary>\n{''.join(parts)}\n</details>"


def table(found: Table) -> str:
    """A table with caption and scopes, without columns that are empty. The first cell of a row is its head."""
    said, shown = found.said(), found.shown
    heads = "".join(
        f'<th scope="col"{_class("number" if column.number else "")}>{escape(column.heading)}</th>'
        for column in (found.columns[index] for index in shown)
    )
    rows = list[str]()
    for row in said:
        cells = list[str]()
        for place, index in enumerate(shown):
            column = found.columns[index]
            kind = "number" if column.number else "code" if column.name in {"network", "key"} else ""
            tag, scope = ("th", ' scope="row"') if place == 0 else ("td", "")
            cells.append(f"<{tag}{scope}{_class(kind)}>{escape(row[index])}</{tag}>")
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(found.caption)}">'
        f"<table><caption>{escape(found.caption)}</caption>"
        f"<thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def terms(pairs: Iterable[tuple[str, str]]) -> str:
    """A list of terms with what they mean."""
    rows = (f"<div><dt>{escape(term)}</dt><dd>{escape(meaning)}</dd></div>" for term, meaning in pairs)
    return f'<dl class="terms">{"".join(rows)}</dl>'


def code(text: str) -> str:
    """Text as a program reads it."""
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
