"""`rcasctl watch`: a search of a cluster until it ends, shown as `rcasctl run` shows one of this machine."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from rcas.cli.cluster import Target, cluster_options, cluster_search_argument
from rcas.cli.news import Estimate, News, accepted_text, rules_picture
from rcas.cli.options import json_option
from rcas.cli.render import open_console, point_json, print_result
from rcas.cli.rows import Row, row_of_resource
from rcas.errors import InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.resource import Resource
from rcas.search import Search
from rcas.space import Network
from rcas.state import Head, parse_head
from rcas.wording import duration, percent

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

POLL_S = 2.0
SILENT_S = 30.0
"""A search that no controller has taken up after so long probably has none."""


class View(NamedTuple):
    """A search as it is now.

    Attributes:
        row: what its resource says.
        head: its state; None if it has none yet, or only the resource can be asked.
        search: what is decided, out of the state.
        new: networks measured since the last look, in their order.
        under_way: networks in training when the state was written.
    """

    row: Row
    head: Head | None = None
    search: Search | None = None
    new: tuple[Network, ...] = ()
    under_way: tuple[str, ...] = ()

    @property
    def evaluations(self) -> int:
        """How many are known. The state is ahead of the resource, whose numbers are written every few seconds."""
        return self.search.evaluations if self.search else self.row["evaluations"]

    @property
    def running(self) -> int:
        """How many are under way."""
        return len(self.under_way) if self.search else self.row["running"]


class Display(Protocol):
    """Shows a search."""

    def update(self, view: View) -> None:
        """Show how it is now."""
        ...

    def note(self, text: str) -> None:
        """Say something about the watching itself."""
        ...


@click.command()
@cluster_search_argument
@cluster_options
@json_option
def watch(search: str, target: Target, as_json: bool) -> int:
    """Watch a search of a cluster until it ends.

    Exit code 0: it is complete; 1: it failed, was cancelled or reached a limit. Ctrl-C ends only the watching.
    """
    return watch_to_the_end(target.open(), search, target, as_json=as_json)


def watch_to_the_end(remote: Remote, name: str, target: Target, *, as_json: bool) -> int:
    """Show a search until it ends, then its result. Returns the exit code.

    Raises:
        InvalidSpec: there is no such search.
        SearchFailed: it ended without being complete.
    """
    watcher = Watcher(remote, name)
    try:
        with _display(as_json=as_json) as display:
            view = watcher.follow(display)
    except KeyboardInterrupt:
        click.echo(f"\nThe search goes on. To watch it again: {target.command('watch', name)}", err=True)
        click.echo(f"To stop it for now: {target.command('pause', name)}", err=True)
        return 130
    if view.search and view.row["phase"] != "Failed":
        print_result(name, view.search, as_json=as_json, phase=view.row["phase"])
    elif as_json:
        click.echo(json.dumps(view.row))
    if view.row["phase"] == "Complete":
        return 0
    raise SearchFailed(f"{name} is {view.row['phase']}: {view.row['message']}")


class Watcher:
    """Looks at a search again and again, whatever happens to the cluster in between."""

    def __init__(self, remote: Remote, name: str) -> None:
        self._remote, self._name = remote, name
        self._version = ""
        self._view: View | None = None
        self._known: set[str] | None = None
        self._noted = ""

    def follow(self, display: Display) -> View:
        """Show the search until it has ended; the last view."""
        waited_s = 0.0
        while True:
            try:
                resource = self._remote.search(self._name)
            except Unavailable as error:
                self._note(display, f"{error}; trying again")
            except InvalidSpec:
                if self._view is None:
                    raise
                raise RcasError(f"the search {self._name} is gone: somebody deleted it") from None
            else:
                view = self._look(resource, display)
                display.update(view)
                if _has_ended(resource):
                    return view
                waited_s = waited_s + POLL_S if not resource.body.get("status") else 0.0
                if waited_s >= SILENT_S:
                    self._note(display, f"no controller takes it up: is there one in {resource.namespace}?")
            threading.Event().wait(POLL_S)

    def _look(self, resource: Resource, display: Display) -> View:
        row = row_of_resource(resource)
        version = resource.body["metadata"]["resourceVersion"]
        if self._view and version == self._version:
            return self._view._replace(new=())
        first, head = self._view is None, None
        try:
            data = self._remote.head(resource)
            head = parse_head(data, resource.id) if data else None
            self._version, self._noted = version, ""
        except Unavailable as error:
            self._note(display, f"{error}; this is what the resource says")
        self._view = View(row) if head is None else self._view_of(row, head, first=first)
        return self._view

    def _view_of(self, row: Row, head: Head, *, first: bool) -> View:
        search = Search.from_snapshot(head.state.search)
        results = head.state.search.results
        # What was known when the watching began is no news.
        before = self._known if self._known is not None else set(results) if first else set[str]()
        self._known = set(results)
        new = tuple(search.problem.space.network(text) for text in results if text not in before)
        return View(row, head, search, new, tuple(tried.network for tried in head.state.attempts.values()))

    def _note(self, display: Display, text: str) -> None:
        if text != self._noted:
            display.note(text)
            self._noted = text


def _has_ended(resource: Resource) -> bool:
    """Whether it is at its end, and the controller has seen what was last asked of it."""
    status = resource.status()
    if status.phase in {"Complete", "Cancelled"}:
        return True
    return status.phase in {"Failed", "LimitReached"} and status.observedGeneration == resource.generation


@contextmanager
def _display(*, as_json: bool) -> Generator[Display]:
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
    text = f"{view.evaluations} evaluations done, {view.running} running"
    if view.search:
        return f"{text}, {estimate.text}"
    best = view.row["best"]
    return f"{text}, best {best['accuracy']:.2%} with {best['network']}" if best else text


class PlainDisplay:
    """One line for every evaluation, every accepted block and every phase."""

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
    """One JSON object a line: `phase`, `evaluation`, `accepted`, `progress`, `note`."""

    def __init__(self) -> None:
        self._news, self._estimate = News(), Estimate()
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

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._emit("note", message=text)

    def _emit(self, event: str, **fields: Any) -> None:
        click.echo(json.dumps({"event": event, "elapsed_s": round(self._estimate.elapsed_s, 3), **fields}))


class LiveDisplay:
    """A table that stays in place: rules with their budgets, what runs now, and what is left."""

    def __init__(self, live: Live) -> None:
        self._live, self._news, self._estimate = live, News(), Estimate()

    def update(self, view: View) -> None:
        """See `Display.update`."""
        parts = list[Any]()
        if view.search:
            self._estimate.update(view.search, len(view.new), bool(view.new))
            for rule, before, after in self._news.accepted(view.search, view.new):
                self.note(accepted_text(view.search.problem, rule, before, after))
            running = Table(box=None, pad_edge=False, show_header=False)
            for network in view.under_way:
                running.add_row("training", network)
            parts += [rules_picture(view.search), running]
        counts = f"{_counts_text(view, self._estimate)}; {duration(self._estimate.elapsed_s)}"
        self._live.update(Group(*parts, Text(f"{counts}\n{_phase_text(view.row)}")), refresh=True)

    def note(self, text: str) -> None:
        """See `Display.note`."""
        self._live.console.print(Text(text))
