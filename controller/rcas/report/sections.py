"""The sections of a report, in order."""

from __future__ import annotations

from collections.abc import Callable

from rcas.report import tables
from rcas.report.figures.path import path
from rcas.report.markup import details, figure, paragraph, section, table
from rcas.report.model import Report


def _path(report: Report) -> str:
    if not report.best:
        return ""
    return section(
        "path",
        "How it got there",
        paragraph(
            "Each curve is one rule for choosing the next block. All start from the same small network; every "
            "symbol is a block that was added. The dashed line is the budget. The ring marks the best network, the "
            "bar on it its standard error."
        ),
        figure(report, path, "Accuracy on the validation images against what the network costs."),
        table(tables.rules(report)),
        details("Every block on the paths", table(tables.path(report))),
    )


SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (("path", "How it got there", _path),)
"""(id, title, function to HTML; nothing where there is nothing to say)."""
