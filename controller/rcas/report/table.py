"""What a table of a report is: plain values, and how a column of them is said to people."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple


class Column(NamedTuple):
    """A column.

    Attributes:
        name: for programs. heading: for people.
        say: how a value that is not None is written for people.
        number: whether it is aligned as numbers are.
    """

    name: str
    heading: str
    say: Callable[[Any], str] = str
    number: bool = False


class Table(NamedTuple):
    """Rows of plain values (text, numbers, truth values, None), one for each column."""

    name: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]

    def records(self) -> list[dict[str, Any]]:
        """The rows as mappings from column names."""
        return [dict(zip((column.name for column in self.columns), row, strict=True)) for row in self.rows]

    @property
    def shown(self) -> list[int]:
        """The columns that have a value in any row: people see no others."""
        return [i for i in range(len(self.columns)) if any(row[i] is not None for row in self.rows)]

    def said(self) -> list[list[str]]:
        """The rows as people read them; nothing for None."""
        return [
            ["" if value is None else column.say(value) for column, value in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]
