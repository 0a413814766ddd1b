"""Final trainings in a cluster: the wish goes into the resource, and its status is watched."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import click
from rich.table import Table

from rcas.cli.render import open_console
from rcas.errors import SearchFailed
from rcas.evaluation import Training
from rcas.resource import FinalsStatus, Resource
from rcas.retraining import Retraining, RetrainingData
from rcas.wording import counted

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

POLL_S = 2.0


def retrain_remotely(remote: Remote, search: str, wish: Retraining, *, as_json: bool) -> None:
    """Ask for the final trainings, and show how they are until they end.

    Raises:
        InvalidSpec: there is no such search, or the API server refuses the wish.
        SearchFailed: they cannot succeed.
    """
    found = remote.change(search, {"retrain": merge_patch(wish)})
    phase = found.status().phase
    if phase != "Complete":
        click.echo(f"Search {search} is {phase}; the final training begins once it is complete.", err=True)
        return
    if not as_json:
        click.echo(
            f"Final training for the search {search}: {wish.network}, {counted(wish.seeds, 'seed')}. "
            "The cluster goes on with it if this command ends.",
            err=True,
        )
    told = ""
    while True:
        status = found.status().finals
        if status and status.observedGeneration == found.generation:
            told = _tell(status, told, as_json=as_json)
            if status.phase == "Failed":
                raise SearchFailed(f"the final training of {search}: {status.message}")
            if status.phase == "Complete":
                _print(found, status, as_json=as_json)
                return
        threading.Event().wait(POLL_S)
        found = remote.search(search)


def merge_patch(wish: Retraining) -> dict[str, Any]:
    """The wish as a merge patch: null takes away what an earlier wish had."""
    fields = wish.model_dump(mode="json")
    for name, model in (("training", Training), ("data", RetrainingData)):
        given = getattr(wish, name)
        if given is not None:
            kept = given.model_dump(mode="json", exclude_unset=True)
            fields[name] = {field: kept.get(field) for field in model.model_fields}
    return fields


def _tell(status: FinalsStatus, before: str, *, as_json: bool) -> str:
    words = f"{len(status.results)} of {counted(status.seeds, 'seed')} done, {status.running} running"
    words = status.message or "waiting" if status.phase == "Pending" else words
    if status.message and status.phase == "Running":
        words += f": {status.message}"
    if words != before:
        click.echo(json.dumps({"event": "progress", "message": words}) if as_json else words, err=not as_json)
    return words


def _print(search: Resource, status: FinalsStatus, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps({"event": "final", "search": search.name, **status.model_dump(mode="json")}))
        return
    console = open_console()
    console.print(f"\nSearch {search.name}: {status.network}, on the test set\n")
    table = Table(box=None, pad_edge=True)
    for column in ("seed", "top-1", "top-5", "weights"):
        table.add_column(column, justify="left" if column in {"seed", "weights"} else "right")
    for one in status.results:
        table.add_row(str(one.seed), one.top1, one.top5, f"finals/{one.key}.safetensors")
    table.add_row("mean", status.top1 or "", status.top5 or "", "")
    if status.spread:
        table.add_row("spread", status.spread, "", "")
    console.print(table)
    told = search.status()
    if status.spread:
        console.print(f"\n  Spread: standard deviation over {counted(status.seeds, 'seed')}, in percentage points.")
    console.print(
        f"  The search measured {told.best} for its best network on its validation images, after short training: "
        "that ranks\n  networks; only the accuracy on the test set is to be reported."
    )
    if told.stateRef:
        console.print(f"  Weights: in the store {told.stateRef.url}")
