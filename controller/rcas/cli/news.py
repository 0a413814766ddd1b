"""What is new in a search, what is probably left of it, and its rules as a picture that stays in place."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from typing import Any

from rich.progress_bar import ProgressBar
from rich.table import Table

from rcas.budget import Budget
from rcas.cli.views import UnderWay
from rcas.costs import Cost
from rcas.forecast import forecast
from rcas.greedy import Problem, Rule, decide, start
from rcas.search import Point, Search
from rcas.space import Network
from rcas.wording import block_text, duration, percent, points, shares, used

SHOWN_GAINS = 3
MEASURING = "measuring the start network and the first blocks"
"""What a rule does that has decided nothing yet."""


class News:
    """Finds what is new since the last look."""

    def __init__(self) -> None:
        self._seen: dict[Rule, int] | None = None

    def accepted(self, search: Search, new: Collection[Network]) -> list[tuple[Rule, Point, Point]]:
        """(rule, the network before, the network after) of every block accepted since.

        A search that goes on starts with what it had: that is no news. `new`: networks measured since.
        """
        if self._seen is None:
            self._seen = _accepted_before(search, new)
        found = list[tuple[Rule, Point, Point]]()
        for name, rule in search.result.rules.items():
            pairs = list(zip(rule.path, rule.path[1:], strict=False))
            found.extend((name, before, after) for before, after in pairs[self._seen[name] :])
            self._seen[name] = len(pairs)
        return found


def _accepted_before(search: Search, new: Collection[Network]) -> dict[Rule, int]:
    """How many blocks each rule had accepted before: as many as the new results do not explain."""
    known = {network: accuracy for network, accuracy in search.known.items() if network not in new}
    rules: list[Rule] = [state.rule for state in search.states]
    return {rule: len(decide(search.problem, start(search.problem, rule), known)[0].path) for rule in rules}


class Estimate:
    """Evaluations per second since the look began, and what is left at that rate."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._done = 0
        self._left: int | None = None

    def update(self, search: Search, trained: int, changed: bool) -> None:
        """Count trainings that ended. `changed`: there are results, so that something else may be left."""
        self._done += trained
        if changed or self._left is None:
            self._left = len(forecast(search.problem, search.states, search.known))

    @property
    def left(self) -> int:
        """Evaluations that are probably still needed."""
        return self._left or 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since the look began."""
        return time.monotonic() - self._began_s

    @property
    def text(self) -> str:
        """Rate and time left for people."""
        if not self._done:
            return f"about {self.left} evaluations left"
        rate = self._done / self.elapsed_s
        return f"about {self.left} left, {rate * 60:.0f} a minute, {duration(self.left / rate)} to go"


def accepted_text(problem: Problem, rule: str, before: Point, after: Point) -> str:
    """A block that a rule accepted, for people."""
    assert after.element
    gain = points(after.accuracy - before.accuracy)
    block = block_text(problem.space, after.element)
    return f"{rule} + {block}: {percent(after.accuracy)} ({gain}), {used(problem.budget, after.cost)}"


def rules_picture(search: Search) -> Table:
    """One row a rule: its last network, what its last blocks gained, and how much of the budget it uses."""
    table = Table(box=None, pad_edge=False)
    latency = () if search.problem.latency_table is None else ("latency", "")
    columns = ("rule", "blocks", "accuracy", "last gains", "params", "", "MAdds", "", *latency, "network")
    for column in columns:
        table.add_column(column)
    for rule in search.result.rules.values():
        if rule.path:
            last = rule.path[-1]
            mark = " done" if rule.stopped else ""
            pairs = list(zip(rule.path, rule.path[1:], strict=False))[-SHOWN_GAINS:]
            gains = " ".join(points(after.accuracy - before.accuracy) for before, after in pairs)
            head = (rule.rule + mark, str(len(rule.path) - 1), percent(last.accuracy), gains)
            table.add_row(*head, *_bars(search.problem.budget, last.cost), str(last.network))
        else:
            table.add_row(rule.rule, *[""] * (len(columns) - 2), MEASURING)
    return table


def trainings_table(trainings: Iterable[UnderWay]) -> Table:
    """One row a training: its epochs, the accuracy so far, its network. What is not known stays empty."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for training in trainings:
        epoch = f"epoch {training.epoch}/{training.epochs}" if training.epochs else ""
        so_far = f"{percent(training.correct / training.total)} so far" if training.total else ""
        table.add_row("training", epoch, so_far, training.network)
    return table


def _bars(budget: Budget, cost: Cost) -> tuple[Any, ...]:
    cells = list[Any]()
    for say, _, amount, limit in shares(budget, cost):
        cells.append(say(amount) + (f" / {say(limit)}" if limit else ""))
        cells.append(ProgressBar(total=limit, completed=amount, width=12) if limit else "")
    return tuple(cells)
