"""A search as tables: rows of plain values, one table for each question."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, overload

from rcas.budget import Budget
from rcas.costs import Cost
from rcas.evaluation import Result
from rcas.greedy import Rule
from rcas.notebook.extras import needed
from rcas.search import Search
from rcas.trace import Decision, Weighed, trace

if TYPE_CHECKING:
    import pandas

Row = dict[str, Any]
SHOWN_ROWS = 30


class Table(Sequence[Row]):
    """Rows with the same columns, as a sequence of dicts.

    Attributes:
        name: such as `path`.
        columns: in their order; each row has all of them, None where nothing is known.
    """

    def __init__(self, name: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        self.name, self.columns = name, tuple(columns)
        self._rows = [{column: row.get(column) for column in columns} for row in rows]

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
        """The values of a column."""
        return [row[name] for row in self._rows]

    def to_pandas(self) -> pandas.DataFrame:
        """The same as a DataFrame.

        Raises:
            InvalidSpec: pandas is not installed.
        """
        return needed("pandas").DataFrame(self._rows, columns=list(self.columns))

    def _repr_html_(self) -> str:
        head = "".join(f'<th scope="col">{escape(column)}</th>' for column in self.columns)
        rows = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in self[:SHOWN_ROWS])
        more = f"<p>... and {len(self) - SHOWN_ROWS} more rows</p>" if len(self) > SHOWN_ROWS else ""
        caption = f"<caption>{escape(self.name)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{more}"


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"<td>{escape(text)}</td>"


PATH = (
    "rule",
    "blocks",
    "position",
    "stage",
    "block",
    "network",
    "accuracy",
    "gain",
    "params",
    "madds",
    "params_used",
    "madds_used",
)


def path_table(search: Search) -> Table:
    """One row for each network on a rule's path, from the start network on.

    blocks: accepted so far. position, stage, block: of the block that was added, None for the start network. gain: in
    accuracy over the row before. params_used, madds_used: shares of the budget.
    """
    return Table("path", PATH, _path_rows(search))


def _path_rows(search: Search) -> Iterator[Row]:
    space = search.problem.space
    for rule in search.result.rules.values():
        before = None
        for blocks, point in enumerate(rule.path):
            element = point.element
            yield {
                "rule": rule.rule,
                "blocks": blocks,
                "position": element.position if element else None,
                "stage": space.stage_of[element.position] if element else None,
                "block": element.block if element else None,
                "network": str(point.network),
                "accuracy": float(point.accuracy),
                "gain": float(point.accuracy - before) if before is not None else None,
                "params": point.cost.params,
                "madds": point.cost.madds,
                **_shares(search.problem.budget, point.cost),
            }
            before = point.accuracy


def _shares(budget: Budget, cost: Cost) -> Row:
    limits = {"params_used": (cost.params, budget.params), "madds_used": (cost.madds, budget.madds)}
    return {name: count / limit if limit else None for name, (count, limit) in limits.items()}


SECONDS = ("startup", "data", "training", "validation")
"""Where the time of an evaluation goes, see `rcas.evaluation.Seconds`."""
EVALUATIONS = (
    "network",
    "accuracy",
    "correct",
    "total",
    "params",
    "madds",
    "read",
    "key",
    "replicate",
    "correct_top5",
    "loss",
    "train_loss",
    "epochs",
    "diverged",
    *(f"{name}_s" for name in SECONDS),
    "images_per_second",
    "resumed",
    "restarted",
    "device",
)


def evaluations_table(search: Search, results: Mapping[str, Result]) -> Table:
    """One row for each network that was measured, in the order in which the search took the results in.

    read: whether a decision has read it; the others were trained on a guess. What the result object alone tells is
    None where that is not in the store. `results`: by key.
    """
    read = frozenset[Any]().union(*(state.measured for state in search.states))
    rows = list[Row]()
    for text, (correct, total) in search.snapshot().results.items():
        network = search.problem.space.network(text)
        key, cost = search.key(network), search.problem.space.cost(network)
        result = results.get(key)
        told = result.model_dump(exclude={"seconds", "versions", "network", "params", "madds"}) if result else {}
        seconds = {f"{name}_s": getattr(result.seconds, name) for name in SECONDS} if result else {}
        own = {"network": str(network), "accuracy": correct / total, "correct": correct, "total": total}
        rows.append(
            {
                **told,
                **seconds,
                **own,
                "key": key,
                "params": cost.params,
                "madds": cost.madds,
                "read": network in read,
            }
        )
    return Table("evaluations", EVALUATIONS, rows)


GAINS = (
    "rule",
    "blocks",
    "place",
    "position",
    "stage",
    "block",
    "network",
    "gain",
    "stale_gain",
    "measured_now",
    "measured_at",
    "params",
    "madds",
    "key",
    "accepted",
)


def gains_table(search: Search) -> Table:
    """One row for each candidate at each decision: positions that give the same network are one.

    blocks: accepted before the decision. place: in the queue, 1 for the winner. gain: as the decision knew it;
    stale_gain: before the decision measured it again, None if it did not, or if there was none. measured_now: for the
    network that the decision extends; measured_at: how many blocks were accepted when the gain was measured.
    params, madds: what the block adds. key: what the rule orders by, gain over cost.
    """
    rules: list[Rule] = [state.rule for state in search.states]
    decided = ((rule, decision) for rule in rules for decision in trace(search.problem, rule, search.known))
    rows = (
        _gain_row(search, rule, decision, place, weighed)
        for rule, decision in decided
        for place, weighed in enumerate(decision.weighed, start=1)
    )
    return Table("gains", GAINS, rows)


def _gain_row(search: Search, rule: Rule, decision: Decision, place: int, weighed: Weighed) -> Row:
    candidate = weighed.candidate
    return {
        "rule": rule,
        "blocks": len(decision.before.path),
        "place": place,
        "position": candidate.element.position,
        "stage": search.problem.space.stage_of[candidate.element.position],
        "block": candidate.element.block,
        "network": str(candidate.network),
        "gain": None if candidate.gain is None else float(candidate.gain),
        "stale_gain": None if weighed.stale is None else float(weighed.stale),
        "measured_now": weighed.fresh,
        "measured_at": candidate.measured_at,
        "params": candidate.cost.params,
        "madds": candidate.cost.madds,
        "key": -float(candidate.rank[1]),
        "accepted": place == 1,
    }


DURATIONS = ("part", "seconds", "share", "seconds_each")


def durations_table(evaluations: Table) -> Table:
    """Where the time of all trainings went: one row for each part, and the sum.

    seconds_each: of a training, on average. Results of other searches that were used again count too.
    """
    known = [row for row in evaluations if row["training_s"] is not None]
    sums = {name: sum(row[f"{name}_s"] for row in known) for name in SECONDS}
    whole = sum(sums.values())
    rows = [
        {
            "part": name,
            "seconds": seconds,
            "share": seconds / whole if whole else None,
            "seconds_each": seconds / len(known) if known else None,
        }
        for name, seconds in {**sums, "all": whole}.items()
    ]
    return Table("durations", DURATIONS, rows if known else [])
