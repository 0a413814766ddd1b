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
    "<h1>Searches</h1>\n<p>There is none yet. <code>rcasctl run</code> or <code>rcasctl submit</code> begins one, and "
    "it appears here.</p>"
)


def listing(rows: Sequence[Row]) -> str:
    """HTML of a table with one line a search, the youngest first."""
    if not rows:
        return EMPTY
    ordered = sorted(rows, key=lambda row: (-(row.created or 1e12), row.name))
    more = f"<p>{len(ordered) - MOST:,} older ones are not listed.</p>" if len(ordered) > MOST else ""
    return (
        f"<h1>Searches</h1>\n<p>{counted(len(ordered), 'search', 'searches')}, the youngest first. A search looks for "
        "the most accurate network within a budget of parameters (params) and multiply-adds (MAdds) by many short "
        'trainings.</p>\n<div class="wide" tabindex="0" role="region" aria-label="Searches"><table class="searches">\n'
        "<caption>The best network so far of each search</caption>\n"
        '<thead><tr><th scope="col">Search</th><th scope="col">State</th>'
        '<th scope="col" class="n">Accuracy</th><th scope="col" class="n">Params</th>'
        '<th scope="col" class="n">MAdds</th><th scope="col" class="n">Blocks</th>'
        '<th scope="col" class="n">Trainings</th><th scope="col" class="n">Began</th></tr></thead>\n'
        f"<tbody>\n{''.join(_line(row) for row in ordered[:MOST])}</tbody></table></div>{more}"
    )


def phase_text(phase: str) -> str:
    """The phase of a search in words."""
    return HELD.get(phase, phase.lower())


def _line(row: Row) -> str:
    state = escape(phase_text(row.phase))
    if row.message and row.phase != "Complete":
        state += f"<br><small>{escape(row.message)}</small>"
    cells = (
        ("Accuracy", percent(row.accuracy) if row.accuracy is not None else ""),
        ("Params", format_count(row.cost.params) if row.cost else ""),
        ("MAdds", format_count(row.cost.madds) if row.cost else ""),
        ("Blocks", str(row.blocks)),
        ("Trainings", f"{row.evaluations:,}"),
        ("Began", ago(row.created) if row.created is not None else ""),
    )
    numbers = "".join(f'<td class="n" data-name="{name}">{text}</td>' for name, text in cells)
    name = escape(row.name)
    return (
        f'<tr id="{name}"><th scope="row"><a href="searches/{quote(row.name)}">{name}</a></th>'
        f'<td class="state {escape(row.phase.lower())}">{state}</td>{numbers}</tr>\n'
    )
