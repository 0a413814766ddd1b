"""`rcasctl watch`: a search until it ends, shown as `rcasctl run` shows one of this machine."""

from __future__ import annotations

import json
import threading

import click

from rcas.cli import views
from rcas.cli.displays import Display, open_display
from rcas.cli.options import json_option
from rcas.cli.places import ClusterPlace, Place, StorePlace, place_options, search_argument
from rcas.cli.render import print_result
from rcas.cli.views import ClusterSource, Look, Source, StoreSource, UnderWay, View
from rcas.errors import InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.messages import Event
from rcas.search import Search
from rcas.state import Head


@click.command()
@search_argument
@place_options
@json_option
def watch(search: str, place: Place, as_json: bool) -> int:
    """Watch a search until it ends. It only looks: what it shows is stored, or told by the cluster.

    The epochs of running trainings are read from their logs, which only a cluster has.

    Exit code 0: it is complete; 1: it failed, was cancelled or reached a limit. Ctrl-C ends only the watching.
    """
    return watch_to_the_end(_source(place, search), as_json=as_json)


def _source(place: Place, search: str) -> Source:
    if isinstance(place, StorePlace):
        return StoreSource(place.url, search)
    assert isinstance(place, ClusterPlace)
    return ClusterSource(place.remote, search, place.target)


def watch_to_the_end(source: Source, *, as_json: bool) -> int:
    """Show a search until it ends, then its result. Returns the exit code.

    Raises:
        InvalidSpec: there is no such search.
        SearchFailed: it ended without being complete.
    """
    watcher = Watcher(source)
    try:
        with open_display(as_json=as_json) as display:
            view = watcher.follow(display)
    except KeyboardInterrupt:
        click.echo("\nThe search goes on. " + "\n".join(source.hints), err=True)
        return 130
    if view.search and view.row["phase"] != "Failed":
        print_result(source.name, view.search, as_json=as_json, phase=view.row["phase"])
    elif as_json:
        click.echo(json.dumps(view.row))
    if view.row["phase"] == "Complete":
        return 0
    raise SearchFailed(f"{source.name} is {view.row['phase']}: {view.row['message']}")


class Watcher:
    """Looks at a search again and again, whatever happens to the cluster or the store in between."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._view: View | None = None
        self._known: set[str] | None = None
        self._epochs = dict[str, Event]()
        self._noted = self._unread = ""
        self._looks = 0

    def follow(self, display: Display) -> View:
        """Show the search until it has ended; the last view."""
        while True:
            try:
                look = self._source.look()
            except Unavailable as error:
                self._note(display, f"{error}; trying again")
            except InvalidSpec:
                if self._view is None:
                    raise
                raise RcasError(f"the search {self._source.name} is gone: somebody deleted it") from None
            else:
                if look:
                    self._note(display, look.note)
                self._view = self._view_of(look)
                if display.shows_epochs and self._view.under_way:
                    self._read_epochs(display)
                    self._view = self._view._replace(under_way=self._under_way(self._view.head))
                display.update(self._view)
                if self._view.ended:
                    return self._view
            threading.Event().wait(views.POLL_S)

    def _read_epochs(self, display: Display) -> None:
        if self._looks % views.EPOCH_LOOKS == 0:
            try:
                self._epochs |= self._source.epochs()
            except Unavailable as error:
                if str(error) != self._unread:
                    display.note(f"{error}; so the epochs of the trainings are not known")
                self._unread = str(error)
        self._looks += 1

    def _view_of(self, look: Look | None) -> View:
        before = self._view
        if look is None:
            assert before
            return before._replace(new=(), under_way=self._under_way(before.head))
        if look.head is None:
            return View(look.row, ended=look.ended)
        search = Search.from_snapshot(look.head.state.search)
        results = look.head.state.search.results
        # What was known when the watching began is no news.
        known = self._known if self._known is not None else set(results) if before is None else set[str]()
        self._known = set(results)
        new = tuple(search.problem.space.network(text) for text in results if text not in known)
        return View(look.row, look.head, search, new, self._under_way(look.head), look.ended)

    def _under_way(self, head: Head | None) -> tuple[UnderWay, ...]:
        attempts = head.state.attempts if head else {}
        self._epochs = {key: event for key, event in self._epochs.items() if key in attempts}
        return tuple(_training(tried.network, self._epochs.get(key)) for key, tried in attempts.items())

    def _note(self, display: Display, text: str) -> None:
        if text and text != self._noted:
            display.note(text)
        self._noted = text


def _training(network: str, event: Event | None) -> UnderWay:
    if event is None:
        return UnderWay(network)
    return UnderWay(network, event.epoch or 0, event.epochs or 0, event.correct or 0, event.total or 0)
