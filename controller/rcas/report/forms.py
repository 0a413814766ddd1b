"""A report in the forms that are written to a file."""

from __future__ import annotations

import csv
import io
from typing import Any, Literal, get_args

from rcas.errors import InvalidSpec, one_line
from rcas.report import html, plot
from rcas.report.answer import limits_text, progress, reasons, task, verdict_line
from rcas.report.figures import FIGURES
from rcas.report.model import Report
from rcas.report.table import Table
from rcas.report.tables import TABLES
from rcas.wording import percent

Format = Literal["html", "svg", "png", "json", "csv", "md"]
FORMATS: tuple[Format, ...] = get_args(Format)
_SUFFIXES: dict[str, Format] = {**{name: name for name in FORMATS}, "htm": "html", "markdown": "md"}
_SHARP = 2.0
"""Pixels of a PNG for each of the figure's."""


def format_of(name: str) -> Format | None:
    """The format that a file's suffix means; None if it means none."""
    return _SUFFIXES.get(name.rpartition(".")[2].lower()) if "." in name else None


def written(report: Report, form: Format, *, figure: str = "path", table: str = "path") -> bytes:
    """The report in a format.

    Args:
        report: what is written.
        form: the format.
        figure: which figure, for svg and png.
        table: which table, for csv.

    Raises:
        InvalidSpec: png without the package that draws it.
    """
    if form == "png":
        return png(FIGURES[figure](report, plot.WIDE))
    text = {
        "html": lambda: html.page(report),
        "svg": lambda: plot.standalone(FIGURES[figure](report, plot.WIDE)),
        "json": lambda: report.model_dump_json(indent=1) + "\n",
        "csv": lambda: csv_text(TABLES[table](report)),
        "md": lambda: markdown(report),
    }[form]()
    # A lone surrogate in a name that somebody else wrote has no bytes.
    return text.encode(errors="replace")


def png(svg: str) -> bytes:
    """A figure as a picture, in the light theme.

    Raises:
        InvalidSpec: the package that draws it is not installed.
    """
    try:
        import resvg_py
    except ModuleNotFoundError as error:
        raise InvalidSpec(
            "format", got="png", allowed=f"first: pip install 'rcas[png]' (no module {error.name}); or svg"
        ) from None
    drawn: Any = resvg_py.svg_to_bytes(svg_string=plot.standalone(svg, dark=False), zoom=_SHARP)
    return bytes(drawn)


def csv_text(table: Table) -> str:
    """Plain values, a line of column names first; nothing for None."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    writer.writerows([[_cell(value) for value in row] for row in table.rows])
    return out.getvalue()


def _cell(value: Any) -> Any:
    # A spreadsheet would run what looks like a formula.
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) and value != "-":
        return f"'{value}"
    return value


def markdown(report: Report) -> str:
    """Text with the main tables, such as for a wiki or a pull request."""
    parts = [f"# {_inline(report.search)}", _inline(progress(report)), _inline(task(report))]
    if report.best:
        error = f" (standard error {report.noise.error * 100:.2f} points)" if report.noise else ""
        parts += [
            f"- best network: `{report.best.network}`\n- accuracy: {percent(report.best.accuracy)}{error}\n"
            f"- cost: {_inline(limits_text(report))}",
            f"**{verdict_line(report)}**" if verdict_line(report) else "",
            *map(_inline, reasons(report)),
        ]
    for name in (
        "finals",
        "rules",
        "path",
        "baselines",
        "assumptions",
        "spending",
        "durations",
        "protocol",
        "versions",
    ):
        found = TABLES[name](report)
        if found.rows:
            parts.append(f"## {found.caption}\n\n{markdown_table(found)}")
    parts.append(f"## Run it again\n\n```yaml\n{report.spec}```")
    return "\n\n".join(part for part in parts if part) + "\n"


def markdown_table(table: Table) -> str:
    """A table of pipes, without columns that are empty."""
    columns = [table.columns[index] for index in table.shown]
    heads = [_inline(column.heading) for column in columns]
    rule = ["---:" if column.number else "---" for column in columns]
    rows = [[_inline(row[index]) for index in table.shown] for row in table.said()]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (heads, rule, *rows))


def _inline(text: str) -> str:
    line = one_line(text, 2000).replace("\\", "\\\\")
    for letter in "|`*_[]<>":
        line = line.replace(letter, f"\\{letter}")
    return line.replace("&", "&amp;")
