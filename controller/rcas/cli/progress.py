"""The progress of a search while it runs: live on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from rcas.budget import Budget, format_count
from rcas.cli.render import block_text, open_console, percent, point_json, points, used
from rcas.controller.step import Controller, Step
from rcas.costs import Cost
from rcas.forecast import forecast
from rcas.greedy import Rule, decide, start
from rcas.search import Point


class Progress(Protocol):
    """Shows the search after every step."""

    def update(self, controller: Controller, step: Step) -> None:
        """Show what the step found."""
        ...


@contextmanager
def open_progress(*, as_json: bool, again: str) -> Generator[Progress]:
    """The display that fits; on Ctrl-C or SIGTERM it says how to go on."""
    console = open_console()
    try:
        if as_json:
            yield JsonProgress()
        elif console.is_terminal:
            with Live(console=console, auto_refresh=False) as live:
                yield LiveProgress(live)
        else:
            yield PlainProgress(console)
    except KeyboardInterrupt:
        click.echo(f"\nEverything so far is kept. To go on: {again}", err=True)
        raise


class News:
    """Finds what is new since the last step."""

    def __init__(self) -> None:
        self._seen: dict[Rule, int] | None = None

    def accepted(self, controller: Controller, step: Step) -> list[tuple[Rule, Point, Point]]:
        """(rule, the network before, the network after) of every block accepted since.

        A search that goes on starts with what it had: that is no news.
        """
        if self._seen is None:
            self._seen = _accepted_before(controller, step)
        found = list[tuple[Rule, Point, Point]]()
        for name, rule in controller.search.result.rules.items():
            pairs = list(zip(rule.path, rule.path[1:], strict=False))
            found.extend((name, before, after) for before, after in pairs[self._seen[name] :])
            self._seen[name] = len(pairs)
        return found


def _accepted_before(controller: Controller, step: Step) -> dict[Rule, int]:
    """How many blocks each rule had accepted before the step: as many as its results do not explain."""
    search = controller.search
    new = {collected.evaluation.network for collected in step.collected}
    known = {network: accuracy for network, accuracy in search.known.items() if network not in new}
    rules: list[Rule] = [state.rule for state in search.states]
    return {rule: len(decide(search.problem, start(search.problem, rule), known)[0].path) for rule in rules}


class Estimate:
    """Evaluations per second of this run, and what is left at that rate."""

    def __init__(self) -> None:
        self._began_s = time.monotonic()
        self._done = 0
        self._left: int | None = None

    def update(self, controller: Controller, step: Step) -> None:
        """Count the step's trainings; what is left changes only with new results."""
        self._done += sum(not collected.reused for collected in step.collected)
        if step.collected or self._left is None:
            search = controller.search
            self._left = len(forecast(search.problem, search.states, search.known))

    @property
    def left(self) -> int:
        """Evaluations that are probably still needed."""
        return self._left or 0

    @property
    def elapsed_s(self) -> float:
        """Seconds since this run began."""
        return time.monotonic() - self._began_s

    @property
    def text(self) -> str:
        """Rate and time left for people."""
        if not self._done:
            return f"about {self.left} evaluations left"
        rate = self._done / self.elapsed_s
        return f"about {self.left} left, {rate * 60:.0f} a minute, {duration(self.left / rate)} to go"


def duration(seconds: float) -> str:
    """A duration for people, such as `1 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


class PlainProgress:
    """One line for every evaluation and every accepted block."""

    def __init__(self, console: Console) -> None:
        self._console, self._news, self._estimate = console, News(), Estimate()

    def update(self, controller: Controller, step: Step) -> None:
        """See `Progress.update`."""
        self._estimate.update(controller, step)
        when = f"[{self._estimate.elapsed_s:6.1f} s]"
        for item in step.collected:
            accuracy = percent(controller.search.known[item.evaluation.network])
            reused = " (known already)" if item.reused else ""
            self._line(f"{when} {accuracy}  {item.evaluation.network}{reused}")
        for attempt in step.failed:
            self._line(f"{when} attempt {attempt.name} {attempt.outcome}: {attempt.message}")
        for rule, before, after in self._news.accepted(controller, step):
            self._line(f"{when} {_accepted_text(controller, rule, before, after)}")
        if step.collected and not step.finished:
            self._line(f"{when} {len(controller.search.known)} evaluations done, {self._estimate.text}")
        if step.message:
            self._line(f"{when} {step.message}")

    def _line(self, text: str) -> None:
        self._console.print(Text(text))


def _accepted_text(controller: Controller, rule: str, before: Point, after: Point) -> str:
    problem = controller.search.problem
    assert after.element
    gain = points(after.accuracy - before.accuracy)
    block = block_text(problem.space, after.element)
    return f"{rule} + {block}: {percent(after.accuracy)} ({gain}), {used(problem.budget, after.cost)}"


class JsonProgress:
    """One JSON object a line: `evaluation`, `attempt_failed`, `accepted`, `progress`, `held`."""

    def __init__(self) -> None:
        self._news, self._estimate = News(), Estimate()

    def update(self, controller: Controller, step: Step) -> None:
        """See `Progress.update`."""
        self._estimate.update(controller, step)
        for item in step.collected:
            self._emit("evaluation", reused=item.reused, result=item.result.model_dump(mode="json"))
        for attempt in step.failed:
            self._emit("attempt_failed", **attempt._asdict())
        for rule, _, after in self._news.accepted(controller, step):
            self._emit("accepted", rule=rule, **point_json(controller.search.problem.space, after))
        if step.collected:
            done = len(controller.search.known)
            self._emit("progress", evaluations=done, left=self._estimate.left, running=len(step.running))
        if step.message:
            self._emit("held", phase=step.phase, message=step.message)

    def _emit(self, event: str, **fields: Any) -> None:
        click.echo(json.dumps({"event": event, "elapsed_s": round(self._estimate.elapsed_s, 3), **fields}))


class LiveProgress:
    """A table that stays in place: rules with their budgets, what runs now, and what is left."""

    def __init__(self, live: Live) -> None:
        self._live, self._news, self._estimate = live, News(), Estimate()

    def update(self, controller: Controller, step: Step) -> None:
        """See `Progress.update`."""
        self._estimate.update(controller, step)
        for rule, before, after in self._news.accepted(controller, step):
            self._live.console.print(Text(_accepted_text(controller, rule, before, after)))
        for attempt in step.failed:
            self._live.console.print(Text(f"attempt {attempt.name} {attempt.outcome}: {attempt.message}"))
        self._live.update(self._picture(controller, step), refresh=True)

    def _picture(self, controller: Controller, step: Step) -> Group:
        search, found = controller.search, controller.search.result
        table = Table(box=None, pad_edge=False)
        for column in ("rule", "blocks", "accuracy", "params", "", "MAdds", "", "network"):
            table.add_column(column)
        for rule in found.rules.values():
            if rule.path:
                last = rule.path[-1]
                mark = " done" if rule.stopped else ""
                head = (rule.rule + mark, str(len(rule.path) - 1), percent(last.accuracy))
                table.add_row(*head, *_bars(search.problem.budget, last.cost), str(last.network))
        running = Table(box=None, pad_edge=False, show_header=False)
        for attempt in step.running:
            network = search.network_of(attempt.key)
            so_far = f"{attempt.correct / attempt.total:.1%} so far" if attempt.total else ""
            running.add_row("training", f"epoch {attempt.epoch}/{attempt.epochs}", so_far, str(network))
        avoided = max(0, found.offered - max(1, found.demanded))
        counts = f"{found.evaluations} evaluations done, {len(step.running)} running, {avoided} avoided"
        line = f"{counts}; {self._estimate.text}; {duration(self._estimate.elapsed_s)}"
        return Group(table, running, Text("done" if step.finished else f"{line}\n{step.message}".strip()))


def _bars(budget: Budget, cost: Cost) -> tuple[Any, ...]:
    cells = list[Any]()
    for count, limit in ((cost.params, budget.params), (cost.madds, budget.madds)):
        cells.append(format_count(count) + (f" / {format_count(limit)}" if limit else ""))
        cells.append(ProgressBar(total=limit, completed=count, width=12) if limit else "")
    return tuple(cells)
