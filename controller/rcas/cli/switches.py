"""Commands that change a search of a cluster: `pause`, `resume`, `set`, `cancel`, `delete`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import click

from rcas.cli.cluster import Target, cluster_options, cluster_search_argument
from rcas.errors import InvalidSpec
from rcas.resource import Resource

_ENDED = {"Complete", "Cancelled"}
_LIMIT_FLAGS = {"evaluations": "--max-evaluations", "gpu_hours": "--max-gpu-hours", "hours": "--max-hours"}
NONE = "none"
"""On the command line: no limit."""


def _or_none(number: click.IntRange | click.FloatRange) -> Callable[[Any], float | str]:
    """A type of an option: a number, or `none`."""

    def convert(text: Any) -> float | str:
        return NONE if str(text).lower() == NONE else number.convert(text, None, None)

    return convert


_COUNT, _HOURS = _or_none(click.IntRange(1)), _or_none(click.FloatRange(0, min_open=True))


@click.command()
@cluster_search_argument
@cluster_options
def pause(search: str, target: Target) -> None:
    """Stop the running trainings of a search, with their checkpoints, and start none."""
    remote = target.open()
    found = remote.search(search)
    _refuse_ended(found)
    remote.change(search, {"pause": True})
    click.echo(f"Search {search} pauses. To go on: {target.command('resume', search)}")


@click.command()
@cluster_search_argument
@cluster_options
def resume(search: str, target: Target) -> None:
    """Let a search go on that is paused, or try again one that has failed."""
    remote = target.open()
    found = remote.search(search)
    _refuse_ended(found)
    phase = found.status().phase
    if phase == "LimitReached" and not found.pause:
        raise _limit_reached(found, target)
    if phase == "Failed" and not found.pause:
        # The controller tries again when the spec changes.
        remote.change(search, {"pause": True})
    elif not found.pause:
        click.echo(f"Search {search} is not paused: {phase}.")
        return
    remote.change(search, {"pause": False})
    click.echo(f"Search {search} {'is tried again' if phase == 'Failed' else 'goes on'}.")


@click.command("set")
@cluster_search_argument
@click.option("--parallelism", type=_or_none(click.IntRange(1, 1024)), metavar="N", help="Trainings at once.")
@click.option("--max-evaluations", type=_COUNT, metavar="N", help="Trainings at most.")
@click.option("--max-gpu-hours", type=_HOURS, metavar="H", help="GPU-hours at most.")
@click.option("--max-hours", type=_HOURS, metavar="H", help="Hours since it began at most.")
@cluster_options
def set_fields(
    search: str,
    parallelism: Any,
    max_evaluations: Any,
    max_gpu_hours: Any,
    max_hours: Any,
    target: Target,
) -> None:
    """Change the parallelism and the limits of a search; `none` takes a limit away, or leaves it to the controller.

    A search that has reached a limit goes on when the limit is raised.
    """
    given = {"evaluations": max_evaluations, "gpu_hours": max_gpu_hours, "hours": max_hours}
    limits = {name: _merged(value) for name, value in given.items() if value is not None}
    fields: dict[str, Any] = {"limits": limits} if limits else {}
    if parallelism is not None:
        fields["parallelism"] = _merged(parallelism)
    if not fields:
        raise InvalidSpec("set", got="nothing", allowed="--parallelism, " + ", ".join(_LIMIT_FLAGS.values()))
    remote = target.open()
    found = remote.search(search)
    _refuse_ended(found)
    now = remote.change(search, fields).spec()
    known = now.limits.model_dump(exclude_none=True)
    told = [f"parallelism {now.parallelism or 'as the controller says'}"]
    told += [f"{name.replace('_', '-')} at most {value:g}" for name, value in known.items()] or ["no limits"]
    # The controller tries a failed search again whenever its spec changes.
    again = " It is tried again." if found.status().phase == "Failed" else ""
    click.echo(f"Search {search}: {', '.join(told)}.{again}")


@click.command()
@cluster_search_argument
@cluster_options
def cancel(search: str, target: Target) -> None:
    """End a search for good. What it found stays."""
    remote = target.open()
    _refuse_ended(remote.search(search))
    remote.change(search, {"cancel": True})
    click.echo(f"Search {search} is cancelled. What it found: {target.command('result', search)}")


@click.command()
@cluster_search_argument
@click.option("--yes", is_flag=True, help="Do not ask.")
@cluster_options
def delete(search: str, yes: bool, target: Target) -> None:
    """Delete a search from the cluster, with its running trainings. Its results stay in the store."""
    remote = target.open()
    found = remote.search(search)
    where = f"{search} in the namespace {remote.namespace}"
    if not yes:
        status = found.status()
        counts = f"{status.evaluations} evaluations, {status.running} running"
        click.confirm(f"Delete the search {where} ({status.phase}, {counts})?", abort=True, err=True)
    remote.delete(found)
    kept = "The store keeps the results of its evaluations, which other searches use"
    state = found.status().stateRef
    seen = f", and what it decided: rcasctl result {state.name} --store {state.url}" if state else ""
    click.echo(f"Search {where} is deleted. {kept}{seen}")


def _merged(value: Any) -> Any:
    """A value as a merge patch has it, in which null takes a field away."""
    return None if value == NONE else value


def _refuse_ended(search: Resource) -> None:
    phase = search.status().phase
    if phase in _ENDED or search.cancel:
        got = f"{search.name}, which is {phase if phase in _ENDED else 'being cancelled'}"
        raise InvalidSpec("search", got=got, allowed="a search that has not ended")


def _limit_reached(search: Resource, target: Target) -> InvalidSpec:
    """Says which limit it was, and how to raise it."""
    message = search.message or "a limit is reached"
    found = re.match(r"limits\.(\w+)", message)
    flag = _LIMIT_FLAGS.get(found[1], "") if found else ""
    command = target.command("set", search.name, *([flag, "..."] if flag else []))
    return InvalidSpec("search", got=f"{search.name}, which has reached a limit", allowed=f"{message}: {command}")
