"""The progress of a search while it runs: live on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import json
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from rcas.cli.news import Estimate, News, accepted_text, rules_picture, trainings_table
from rcas.cli.render import open_console, point_json
from rcas.cli.views import UnderWay
from rcas.controller.step import Controller, Step
from rcas.space import Network
from rcas.wording import duration, percent


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


def _networks(step: Step) -> set[Network]:
    return {item.evaluation.network for item in step.collected}


def _counts(step: Step) -> tuple[int, bool]:
    """(trainings that ended, whether there are results)."""
    return sum(not item.reused for item in step.collected), bool(step.collected)


class PlainProgress:
    """One line for every evaluation and every accepted block."""

    def __init__(self, console: Console) -> None:
        self._console, self._news, self._estimate = console, News(), Estimate()

    def update(self, controller: Controller, step: Step) -> None:
        """See `Progress.update`."""
        self._estimate.update(controller.search, *_counts(step))
        when = f"[{self._estimate.elapsed_s:6.1f} s]"
        for item in step.collected:
            accuracy = percent(controller.search.known[item.evaluation.network])
            reused = " (known already)" if item.reused else ""
            self._line(f"{when} {accuracy}  {item.evaluation.network}{reused}")
        for attempt in step.failed:
            self._line(f"{when} attempt {attempt.name} {attempt.outcome}: {attempt.message}")
        for rule, before, after in self._news.accepted(controller.search, _networks(step)):
            self._line(f"{when} {accepted_text(controller.search.problem, rule, before, after)}")
        if step.collected and not step.finished:
            self._line(f"{when} {len(controller.search.known)} evaluations done, {self._estimate.text}")
        if step.message:
            self._line(f"{when} {step.message}")

    def _line(self, text: str) -> None:
        self._console.print(Text(text))


class JsonProgress:
    """One JSON object a line: `evaluation`, `attempt_failed`, `accepted`, `progress`, `held`."""

    def __init__(self) -> None:
        self._news, self._estimate = News(), Estimate()

    def update(self, controller: Controller, step: Step) -> None:
        """See `Progress.update`."""
        self._estimate.update(controller.search, *_counts(step))
        for item in step.collected:
            self._emit("evaluation", reused=item.reused, result=item.result.model_dump(mode="json"))
        for attempt in step.failed:
            self._emit("attempt_failed", **attempt._asdict())
        for rule, _, after in self._news.accepted(controller.search, _networks(step)):
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
        self._estimate.update(controller.search, *_counts(step))
        for rule, before, after in self._news.accepted(controller.search, _networks(step)):
            self._live.console.print(Text(accepted_text(controller.search.problem, rule, before, after)))
        for attempt in step.failed:
            self._live.console.print(Text(f"attempt {attempt.name} {attempt.outcome}: {attempt.message}"))
        self._live.update(self._picture(controller, step), refresh=True)

    def _picture(self, controller: Controller, step: Step) -> Group:
        search, found = controller.search, controller.search.result
        running = trainings_table(
            UnderWay(str(search.network_of(one.key)), one.epoch, one.epochs, one.correct, one.total)
            for one in step.running
        )
        avoided = max(0, found.offered - max(1, found.demanded))
        counts = f"{found.evaluations} evaluations done, {len(step.running)} running, {avoided} avoided"
        line = f"{counts}; {self._estimate.text}; {duration(self._estimate.elapsed_s)}"
        last = "done" if step.finished else f"{line}\n{step.message}".strip()
        return Group(rules_picture(search), running, Text(last))
