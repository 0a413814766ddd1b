"""The list of searches."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from urllib.parse import quote

from rcas.budget import format_count
from rcas.page.frame import ago
from rcas.page.source import Row
from rcas.wording import HELD, counted, percent

MOST = 500
"""Searches that are listed: the youngest."""
EMPTY = (
    "<h1>Searches</h1>\n<p>There is none yet. <code>rcasctl run</code> or <code>rcasctl submit</code> begins one, "
    "and it appears here.</p>"
)
HEADINGS = ("Accuracy", "Parameters", "Multiply-adds", "Blocks", "Networks measured", "Began")


def listing(rows: Sequence[Row]) -> str:
    """HTML of a table with one line a search, the youngest first."""
    if not rows:
        return EMPTY
    ordered = sorted(rows, key=lambda row: (-(row.created or 1e12), row.name))
    older = len(ordered) - MOST
    heads = "".join(f'<th scope="col" class="number">{heading}</th>' for heading in HEADINGS)
    return (
        f"<h1>Searches</h1>\n<p>{counted(len(ordered), 'search', 'searches')}, the youngest first. Each looks for "
        "the most accurate small network within a budget, block by block, by many short trainings.</p>\n"
        '<div class="scroll"><table class="searches"><caption>The best network of each search so far</caption>\n'
        f'<thead><tr><th scope="col">Search</th><th scope="col">State</th>{heads}</tr></thead>\n'
        f"<tbody>\n{''.join(map(_line, ordered[:MOST]))}</tbody></table></div>"
        + (f"<p>{counted(older, 'older one is', 'older ones are')} not listed.</p>" if older > 0 else "")
    )


def phase_text(phase: str) -> str:
    """The phase of a search in words."""
    return HELD.get(phase, phase.lower())


def _line(row: Row) -> str:
    why = f'<span class="why">{escape(row.message)}</span>' if row.message and row.phase != "Complete" else ""
    values = (
        percent(row.accuracy) if row.accuracy is not None else "",
        format_count(row.cost.params) if row.cost else "",
        format_count(row.cost.madds) if row.cost else "",
        f"{row.blocks:,}",
        f"{row.evaluations:,}",
        ago(row.created) if row.created is not None else "",
    )
    cells = "".join(
        f'<td class="number" data-name="{heading}">{value}</td>'
        for heading, value in zip(HEADINGS, values, strict=True)
    )
    name, state = escape(row.name), escape(phase_text(row.phase))
    return (
        f'<tr id="{name}"><th scope="row"><a href="searches/{quote(row.name)}">{name}</a></th>'
        f'<td class="state"><span class="{escape(row.phase.lower())}">{state}</span>{why}</td>'
        f"{cells}</tr>\n"
    )
