"""The tables of a search for programs: those of its report, and two that are too long for a report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from html import escape
from typing import TYPE_CHECKING, Any, overload

from rcas.errors import InvalidSpec
from rcas.greedy import Rule
from rcas.notebook.extras import needed
from rcas.report import tables as of_report
from rcas.report.model import Costs, Evaluated, Report, Trained
from rcas.search import Search
from rcas.trace import Decision, Weighed, trace

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]
SHOWN_ROWS = 30


class Table(Sequence[Row]):
    """Rows with the same columns, as a sequence of dicts.

    Values are plain: text, numbers, truth values, and None where nothing is known. Accuracies and shares go from 0 to
    1, gains are differences of accuracies, durations are seconds and times seconds since 1970.

    Attributes:
        name: such as `path`.
        caption: what the rows are, for people.
        columns: in their order; each row has all of them.
    """

    def __init__(self, name: str, caption: str, columns: Iterable[str], rows: Iterable[Row]) -> None:
        self.name, self.caption, self.columns = name, caption, tuple(columns)
        self._rows = [{column: row.get(column) for column in self.columns} for row in rows]

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> list[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | list[Row]:
        return self._rows[index]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"<table {self.name}: {len(self)} rows of {', '.join(self.columns)}>"

    def column(self, name: str) -> list[Any]:
        """The values of a column, in the order of the rows."""
        return [row[name] for row in self._rows]

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a DataFrame; whole numbers stay whole where some are missing.

        Raises:
            InvalidSpec: pandas is not installed.
        """
        library = needed("pandas")
        frame = library.DataFrame(self._rows, columns=list(self.columns))
        for name in self.columns:
            known = [value for value in self.column(name) if value is not None]
            if known and len(known) < len(self) and all(type(value) is int for value in known):
                frame[name] = library.array(self.column(name), dtype="Int64")
        return frame

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        rows = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in self[:SHOWN_ROWS])
        more = f"<p>... and {len(self) - SHOWN_ROWS:,} more rows</p>" if len(self) > SHOWN_ROWS else ""
        caption = f"<caption>{escape(self.caption)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"<td>{escape(text)}</td>"


_OWN = ("network", "accuracy", "correct", "total", *Costs.model_fields, "read", "key", "replicate")


def evaluations(report: Report) -> Table:
    """Every measured network with all that its result object says.

    read: whether a decision has read it. What only the result object tells is None where it cannot be read.
    """
    columns = (*_OWN, *Trained.model_fields)
    return Table("evaluations", "Every measured network", columns, map(_evaluation, report.evaluations))


def _evaluation(one: Evaluated) -> Row:
    told = one.trained.model_dump() if one.trained else {}
    return {**told, **one.model_dump(exclude={"trained", "cost"}), **one.cost.model_dump()}


_CANDIDATE = (
    "rule",
    "block_number",
    "place",
    "accepted",
    "position",
    "stage",
    "type",
    "network",
    "gain",
    "stale",
    "fresh",
    "measured_at",
    "key",
    "params",
    "madds",
)


def candidates(search: Search) -> Table:
    """Every candidate of every decision; positions that give the same network are one.

    block_number: of the block that was decided on, from 1. place: in the queue, 1 for the accepted one. gain: as the
    decision knew it; stale: as it was before it was measured again for this decision, None if it was not. fresh:
    measured for the network that the decision extends; measured_at: after so many accepted blocks. key: gain over
    cost, by which the rule orders. params, madds: what the block adds.
    """
    rules: list[Rule] = [state.rule for state in search.states]
    rows = (
        _candidate(search, rule, decision, place, weighed)
        for rule in rules
        for decision in trace(search.problem, rule, search.known)
        for place, weighed in enumerate(decision.weighed, start=1)
    )
    return Table("candidates", "Every candidate of every decision", _CANDIDATE, rows)


def _candidate(search: Search, rule: Rule, decision: Decision, place: int, weighed: Weighed) -> Row:
    candidate = weighed.candidate
    return {
        "rule": rule,
        "block_number": len(decision.after.path),
        "place": place,
        "accepted": place == 1,
        "position": candidate.element.position,
        "stage": search.problem.space.stage_of[candidate.element.position],
        "type": candidate.element.block,
        "network": str(candidate.network),
        "gain": None if candidate.gain is None else float(candidate.gain),
        "stale": None if weighed.stale is None else float(weighed.stale),
        "fresh": weighed.fresh,
        "measured_at": candidate.measured_at,
        "key": -float(candidate.rank[1]),
        "params": candidate.cost.params,
        "madds": candidate.cost.madds,
    }


class Tables(Mapping[str, Table]):
    """All tables of a search by their names. Each is made when it is first asked for.

    Args:
        report: gives the report of the search.
        search: what is decided.
    """

    def __init__(self, report: Callable[[], Report], search: Search) -> None:
        self._makers: dict[str, Callable[[], Table]] = {
            name: partial(_reported, make, report) for name, make in of_report.TABLES.items()
        }
        self._makers |= {
            "evaluations": lambda: evaluations(report()),
            "candidates": lambda: candidates(search),
        }
        self._made = dict[str, Table]()

    def __getitem__(self, name: str) -> Table:
        if name not in self._made:
            self._made[name] = self._makers[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def __repr__(self) -> str:
        return f"<tables: {', '.join(self)}>"

    def frame(self, name: str) -> pandas.DataFrame:
        """A table as a DataFrame of pandas.

        Raises:
            InvalidSpec: there is no such table, or pandas is not installed.
        """
        if name not in self:
            raise InvalidSpec("table", got=name, allowed=", ".join(self))
        return self[name].to_pandas()


def _reported(make: Callable[[Report], of_report.Table], report: Callable[[], Report]) -> Table:
    made = make(report())
    return Table(made.name, made.caption, (column.name for column in made.columns), made.records())
