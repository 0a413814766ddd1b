"""`rcasctl forecast`: what a search will cost, before anything is spent, or what is left of one."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcas.cli.cluster import Target, cluster_options
from rcas.cli.durations import Measured, durations_in_cluster, durations_in_store, mean_duration
from rcas.cli.options import DEFAULT_STORE, json_option, read_fields
from rcas.cli.places import STORE_HELP, complete_search, open_place
from rcas.cli.render import open_console
from rcas.cli.submit import budget_flags, complete_spec, spec_option, with_flags
from rcas.errors import InvalidSpec, Unavailable
from rcas.forecast import forecast as networks_left
from rcas.pod import PodSpec
from rcas.rehearsal import Durations, Rehearsal, imagined, rehearse
from rcas.runtimes.kubernetes.jobs import cpu_threads
from rcas.search import Search
from rcas.spec import SearchSpec, build_spec, parse_fields
from rcas.state import Head
from rcas.wording import budget_text, duration

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

DEFAULT_PARALLELISM = (1, 4, 16)
FUNCTIONS = ("even", "late", "noisy")
"""Made-up accuracies: of the smooth ones those that need the most and the fewest trainings, and one with noise."""


class Case(NamedTuple):
    """The search played through with one made-up accuracy, `function`."""

    parallelism: int
    function: str
    outcome: Rehearsal


class Assumed(NamedTuple):
    """What a forecast rests on besides the search.

    Attributes:
        measured: how long trainings take; None if nobody knows.
        startup_s: seconds that each Job holds its place before it trains.
        places: GPUs, or CPU cores if there are none, of one training.
        unit: of what a training holds, GPU or CPU.
    """

    measured: Measured | None
    startup_s: float
    places: int
    unit: str

    @classmethod
    def of(cls, spec: SearchSpec, measured: Measured | None, startup_s: float) -> Assumed:
        """As the pod of a spec says."""
        if spec.pod.gpus:
            return cls(measured, startup_s, spec.pod.gpus, "GPU")
        cores = spec.threads if isinstance(spec.threads, int) else cpu_threads(spec.pod)
        return cls(measured, startup_s, cores, "CPU")


def _numbers(text: str) -> tuple[int, ...]:
    number: Any = click.IntRange(1, 1024)
    return tuple(number.convert(part, None, None) for part in text.split(","))


@click.command()
@click.argument("search", metavar="[SEARCH]", required=False, shell_complete=complete_search)
@spec_option
@budget_flags
@click.option("--parallelism", type=_numbers, metavar="P[,P...]", help="Trainings at once; several are compared.")
@click.option(
    "--seconds",
    type=click.FloatRange(0, min_open=True),
    metavar="S",
    help="Of one training; default: as an earlier search with the same training measured.",
)
@click.option(
    "--startup",
    type=click.FloatRange(0),
    default=0.0,
    show_default=True,
    metavar="S",
    help="Seconds that each Job holds its place before it trains.",
)
@click.option("--store", envvar="RCAS_STORE", show_envvar=True, type=click.Path(), metavar="STORE", help=STORE_HELP)
@cluster_options
@json_option
def forecast(
    search: str | None,
    path: Path | None,
    parallelism: tuple[int, ...] | None,
    seconds: float | None,
    startup: float,
    store: str | None,
    target: Target,
    as_json: bool,
    **budget: str | None,
) -> None:
    """Say what a search will cost before anything is spent: evaluations, GPU-hours, and time with P at once.

    Of SPEC, over the namespace's defaults as `submit` has them if -n, --context or --kubeconfig is given, or no SPEC.
    The search is played through on accuracies made up to resemble the paper's; the range is over several of them. Of
    a SEARCH that exists: what is left of it.
    """
    given = Measured(Durations(seconds), "as given") if seconds else None
    if search is not None:
        if path or any(budget.values()):
            raise InvalidSpec("forecast", got=f"{search} and a spec", allowed="one of them")
        head = open_place(store, target).head(search)
        assumed = Assumed.of(head.state.spec, given or mean_duration(head), startup)
        _show_rest(search, head, parallelism, assumed, as_json=as_json)
        return
    fields = with_flags(read_fields(path) if path else {}, budget)
    remote = _remote(target, path)
    spec = with_controller(complete_spec(fields, remote), remote) if remote else build_spec(fields)
    assumed = Assumed.of(spec, given or _measured(spec, store, remote), startup)
    counts = parallelism or ((spec.parallelism,) if spec.parallelism else DEFAULT_PARALLELISM)
    with Console(stderr=True).status("Playing the search through ..."):
        cases = list(play(spec, counts, assumed))
    if as_json:
        click.echo(json.dumps(_as_json(spec, cases, assumed)))
    else:
        _print(open_console(), spec, cases, assumed)


def _remote(target: Target, path: Path | None) -> Remote | None:
    """Where the defaults of a spec are, None if it is whole without."""
    if path and not target.given:
        return None
    try:
        return target.open()
    except InvalidSpec as error:
        if path or target.given:
            raise
        raise InvalidSpec(
            "spec", got="nothing", allowed=f"-f SPEC; for a cluster's defaults {error.allowed}"
        ) from None


def play(spec: SearchSpec, parallelism: Iterable[int], assumed: Assumed) -> Iterator[Case]:
    """The search of `spec` with each number of workers and each made-up accuracy."""
    space = spec.space.build()
    # Without measured durations only their proportions matter: they decide what speculation has time for.
    durations = assumed.measured.durations if assumed.measured else Durations(0.0, 1.0)
    accuracies = imagined(space, images=spec.data.validation_per_class * space.num_classes)
    for workers in parallelism:
        for function in FUNCTIONS:
            outcome = rehearse(
                spec.search(""),
                accuracies[function],
                lambda network: assumed.startup_s + durations.seconds(space.madds(network)),
                workers,
                speculate=spec.speculate,
            )
            yield Case(workers, function, outcome)


def with_controller(spec: SearchSpec, remote: Remote) -> SearchSpec:
    """The spec with what the namespace's controller lays under its pod and its parallelism, if that can be read."""
    try:
        config = parse_fields(remote.controller_config() or "{}", "the controller's configuration")
        pod, parallelism = PodSpec.model_validate(config.get("pod") or {}), config.get("parallelism")
    except (Unavailable, InvalidSpec, ValidationError, AttributeError):
        return spec
    return spec.model_copy(update={"pod": spec.pod.over(pod), "parallelism": spec.parallelism or parallelism})


def _measured(spec: SearchSpec, store: str | None, remote: Remote | None) -> Measured | None:
    if store or Path(DEFAULT_STORE).is_dir():
        return durations_in_store(spec, store or DEFAULT_STORE)
    return durations_in_cluster(spec, remote) if remote else None


def _print(console: Console, spec: SearchSpec, cases: list[Case], assumed: Assumed) -> None:
    space, budget = spec.space.build(), spec.budget
    limits = budget_text(budget.build())
    console.print(f"{len(space.elements)} elements, rules {', '.join(spec.rules)}; budget {limits}")
    console.print(escape(_durations_text(assumed)))
    table = Table(box=None)
    columns = ("at once", "evaluations", f"{assumed.unit}-hours", "time")
    for column in columns if assumed.measured else columns[:2]:
        table.add_column(column, justify="right")
    for workers in dict.fromkeys(case.parallelism for case in cases):
        outcomes = [case.outcome for case in cases if case.parallelism == workers]
        cells = [_range([f"{o.evaluations:,}" for o in sorted(outcomes)])]
        if assumed.measured:
            hours = sorted(o.busy_s * assumed.places / 3600 for o in outcomes)
            cells += [_range([_short(h) for h in hours])]
            cells += [_range([duration(s) for s in sorted(o.wall_s for o in outcomes)])]
        table.add_row(str(workers), *cells)
    console.print(table)
    console.print("Played through on made-up accuracies like the paper's; the real ones may need more or fewer.")
    for line in _stopped_earlier(spec, cases, assumed):
        console.print(line)


def _durations_text(assumed: Assumed) -> str:
    if assumed.measured is None:
        return (
            "How long a training takes is not known: --seconds says it, or --store with results of the same training."
        )
    startup = f"and {assumed.startup_s:g} s to start" if assumed.startup_s else "its start not counted (--startup)"
    return f"A training takes {_formula(assumed.measured.durations)} ({assumed.measured.source}), {startup}."


def _formula(durations: Durations) -> str:
    fixed, rising = f"{_short(durations.fixed_s)} s", f"{_short(durations.per_madd_s * 1e6)} s per million MAdds"
    if not durations.per_madd_s:
        return fixed
    return f"{fixed} + {rising}" if durations.fixed_s else rising


def _short(number: float) -> str:
    """Three digits, or all before the point."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _range(texts: list[str]) -> str:
    return texts[0] if texts[0] == texts[-1] else f"{texts[0]} to {texts[-1]}"


def _stopped_earlier(spec: SearchSpec, cases: list[Case], assumed: Assumed) -> Iterator[str]:
    """The limits of the spec that the search will probably reach."""
    limits, outcomes = spec.limits, [case.outcome for case in cases]
    gpu_hours = max(outcome.busy_s for outcome in outcomes) * assumed.places / 3600
    if limits.evaluations and max(outcome.evaluations for outcome in outcomes) > limits.evaluations:
        yield f"limits.evaluations ({limits.evaluations}) may stop it before its end."
    if assumed.measured and assumed.unit == "GPU" and limits.gpu_hours and gpu_hours > limits.gpu_hours:
        yield f"limits.gpu_hours ({limits.gpu_hours:g}) may stop it before its end."
    if assumed.measured and limits.hours and max(o.wall_s for o in outcomes) > limits.hours * 3600:
        yield f"limits.hours ({limits.hours:g}) may stop it before its end."


def _as_json(spec: SearchSpec, cases: list[Case], assumed: Assumed) -> dict[str, Any]:
    known = assumed.measured is not None
    return {
        "rules": spec.rules,
        **_assumed_json(assumed),
        "cases": [
            {
                "parallelism": case.parallelism,
                "function": case.function,
                "evaluations": case.outcome.evaluations,
                "demanded": case.outcome.demanded,
                "hours": case.outcome.busy_s * assumed.places / 3600 if known else None,
                "wall_s": case.outcome.wall_s if known else None,
            }
            for case in cases
        ],
    }


def _assumed_json(assumed: Assumed) -> dict[str, Any]:
    measured = assumed.measured
    return {
        "durations": {**measured.durations._asdict(), "source": measured.source} if measured else None,
        "startup_s": assumed.startup_s,
        "unit": assumed.unit,
        "places": assumed.places,
    }


def _show_rest(
    name: str, head: Head, parallelism: tuple[int, ...] | None, assumed: Assumed, *, as_json: bool
) -> None:
    """What is left of a search that exists."""
    search = Search.from_snapshot(head.state.search)
    networks = networks_left(search.problem, search.states, search.known)
    durations = assumed.measured.durations if assumed.measured else None
    space = search.problem.space
    busy_s = sum(assumed.startup_s + durations.seconds(space.madds(n)) for n in networks) if durations else None
    counts = parallelism or (head.state.spec.parallelism or 1,)
    if as_json:
        rest = {"search": name, "phase": head.state.phase, "evaluations": len(search.known), "left": len(networks)}
        hours = None if busy_s is None else busy_s * assumed.places / 3600
        walls = [{"parallelism": p, "wall_s": None if busy_s is None else busy_s / p} for p in counts]
        click.echo(json.dumps({**rest, **_assumed_json(assumed), "hours": hours, "at_least": walls}))
        return
    begun = all(state.accuracy is not None for state in search.states)
    console = open_console()
    about = "about" if begun else "at least"
    console.print(f"{name}: {len(search.known)} evaluations done, {about} {len(networks)} left")
    console.print(escape(_durations_text(assumed)))
    if busy_s is not None:
        console.print(f"  {_short(busy_s * assumed.places / 3600)} {assumed.unit}-hours")
        for workers in counts:
            console.print(f"  at least {duration(busy_s / workers)} with {workers} at once")
