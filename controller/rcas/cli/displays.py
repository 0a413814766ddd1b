"""How `rcasctl watch` shows a search: in place on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from rcas.cli.news import Estimate, News, accepted_text, rules_picture, trainings_table
from rcas.cli.render import open_console, point_json
from rcas.cli.rows import Row
from rcas.cli.views import UnderWay, View
from rcas.wording import counted, duration, percent


class Display(Protocol):
    """Shows a search.

    Attributes:
        shows_epochs: whether it is worth asking how far the trainings are.
    """

    shows_epochs: ClassVar[bool]

    def update(self, view: View) -> None:
        """Show how it is now."""
        ...

    def note(self, text: str) -> None:
        """Say something about the watching itself."""
        ...


@contextmanager
def open_display(*, as_json: bool) -> Generator[Display]:
    """The display that fits what the output goes to."""
    console = open_console()
    if as_json:
        yield JsonDisplay()
    elif console.is_terminal:
        with Live(console=console, auto_refresh=False) as live:
            yield LiveDisplay(live)
    else:
        yield PlainDisplay(console)


def _phase_text(row: Row) -> str:
    return f"{row['phase']}: {row['message']}" if row["message"] else row["phase"]


def _counts_text(view: View, estimate: Estimate) -> str:
    text = f"{counted(view.evaluations, 'evaluation')} done, {view.running} running"
    if view.search:
        return f"{text}, {estimate.text}"
    best = view.row["best"]
    return f"{text}, best {percent(best['accuracy'])} with {best['network']}" if best else text


class PlainDisplay:
    """One line for every evaluation, every accepted block and every phase."""

    shows_epochs: ClassVar[bool] = False

    def __init__(self, console: Console) -> None:
        self._console, self._news, self._estimate = console, News(), Estimate()
        self._phase, self._done = "", 0

    def update(self, view: View) -> None:
        """See `Display.update`."""
        phase = _phase_text(view.row)
        if phase != self._phase and view.row["phase"] != "Complete":
            self.note(phase)
        if view.search:
            self._estimate.update(view.search, len(view.new), bool(view.new))
            for network in view.new:
                self.note(f"{percent(view.search.known[network])}  {network}")
            for rule, before, after in self._news.accepted(view.search, view.new):
                self.note(accepted_text(view.search.problem, rule, before, after))
        done = view.evaluations
        if done != self._done and view.row["phase"] != "Complete":
            self.note(_counts_text(view, self._estimate))
        if phase != self._phase and view.row["phase"] == "Complete":
            self.note(phase)
        self._phase, self._done = phase, done

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._console.print(Text(f"[{self._estimate.elapsed_s:6.1f} s] {text}"))


class JsonDisplay:
    """One JSON object a line: `phase`, `evaluation`, `accepted`, `progress`, `epoch`, `note`."""

    shows_epochs: ClassVar[bool] = True

    def __init__(self) -> None:
        self._news, self._estimate = News(), Estimate()
        self._trainings: tuple[UnderWay, ...] = ()
        self._shown: Any = None
        self._phase = ""

    def update(self, view: View) -> None:
        """See `Display.update`."""
        row, search = view.row, view.search
        if (phase := _phase_text(row)) != self._phase:
            self._phase = phase
            self._emit("phase", phase=row["phase"], message=row["message"])
        if search and view.head:
            self._estimate.update(search, len(view.new), bool(view.new))
            for network in view.new:
                correct, total = view.head.state.search.results[str(network)]
                self._emit("evaluation", result={"network": str(network), "correct": correct, "total": total})
            for rule, _, after in self._news.accepted(search, view.new):
                self._emit("accepted", rule=rule, **point_json(search.problem.space, after))
        left = {"left": self._estimate.left} if search else {}
        progress = {"evaluations": view.evaluations, "running": view.running, **left}
        if progress != self._shown:
            self._shown = progress
            self._emit("progress", **progress)
        for training in view.under_way:
            if training.epoch and training not in self._trainings:
                self._emit("epoch", **training._asdict())
        self._trainings = view.under_way

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._emit("note", message=text)

    def _emit(self, event: str, **fields: Any) -> None:
        click.echo(json.dumps({"event": event, "elapsed_s": round(self._estimate.elapsed_s, 3), **fields}))


class LiveDisplay:
    """A table that stays in place: rules with their budgets, what runs now, and what is left."""

    shows_epochs: ClassVar[bool] = True

    def __init__(self, live: Live) -> None:
        self._live, self._news, self._estimate = live, News(), Estimate()

    def update(self, view: View) -> None:
        """See `Display.update`."""
        parts = list[Any]()
        if view.search:
            self._estimate.update(view.search, len(view.new), bool(view.new))
            for rule, before, after in self._news.accepted(view.search, view.new):
                self.note(accepted_text(view.search.problem, rule, before, after))
            parts += [rules_picture(view.search), trainings_table(view.under_way)]
        counts = f"{_counts_text(view, self._estimate)}; {duration(self._estimate.elapsed_s)}"
        self._live.update(Group(*parts, Text(f"{counts}\n{_phase_text(view.row)}")), refresh=True)

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._live.console.print(Text(text))
