"""`rcasctl compare`: searches, baselines and plain networks side by side."""

from __future__ import annotations

import csv
import io
import json
from contextlib import ExitStack
from typing import Any

import click
from rich.markup import escape
from rich.table import Table

from rcas.baselines.methods import METHODS
from rcas.budget import format_count, format_latency
from rcas.cli.options import find_search, json_option, open_folder, store_option
from rcas.cli.render import open_console
from rcas.controller.comparison import (
    Comparison,
    Contender,
    Row,
    compared,
    of_baseline,
    of_network,
    of_search,
)
from rcas.controller.local import available_cores
from rcas.controller.trainings import measure, result_of
from rcas.errors import InvalidSpec
from rcas.evaluation import Result, Task
from rcas.final import Spread
from rcas.runtimes.local import LocalCluster
from rcas.state import Head, read_baselines
from rcas.stores.base import Store
from rcas.wording import counted, duration, percent, points

MOST_SEEDS = 100
HEADINGS = (
    "answer",
    "chosen by",
    "from other seeds",
    "params",
    "MAdds",
    "latency",
    "budget used",
    "networks measured",
    "trained",
    "worker time",
    "final top-1",
    "network",
)


@click.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option(
    "--network",
    "--networks",
    "networks",
    multiple=True,
    metavar="NETWORK",
    help='A network in the space of the first search, such as "5,1 / 5 / 5,2"; may be repeated.',
)
@click.option(
    "--replicates",
    type=click.IntRange(0, MOST_SEEDS),
    metavar="R",
    help="Train each answer from R other seeds, on this machine; default: what of that is in the store.",
)
@click.option("--parallelism", type=click.IntRange(1, 1024), metavar="N", help="Trainings at once.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "md", "csv"]),
    default="text",
    show_default=True,
    help="Of the table.",
)
@store_option
@json_option
def compare(
    names: tuple[str, ...],
    networks: tuple[str, ...],
    replicates: int | None,
    parallelism: int | None,
    form: str,
    store: str,
    as_json: bool,
) -> None:
    """Put what searches and baselines found side by side, with what it is worth when trained from other seeds.

    A NAME is a search, such as `fashion`; a baseline of it with all its seeds, `fashion:random`, or with one,
    `fashion:random-1`; or `fashion:all` for all its baselines. What was measured in different ways is not ranked.
    """
    contenders = list[Contender]()
    heads = dict[str, Head]()
    opened: Store | None = None
    for name in names:
        search = name.partition(":")[0]
        opened, heads[search] = find_search(store, search)
        contenders += _contenders(opened, heads[search], name)
    assert opened
    contenders += [of_network(next(iter(heads.values())), text, opened) for text in networks]
    if replicates:
        others = _measured(store, contenders, replicates, parallelism)
    else:
        others = [_stored(opened, contender) for contender in contenders]
    comparison = compared(contenders, others)
    if as_json:
        click.echo(json.dumps(comparison_json(comparison)))
    elif form == "csv":
        click.echo(_csv(comparison), nl=False)
    elif form == "md":
        click.echo(_markdown(comparison))
    else:
        _print(comparison)


def _contenders(store: Store, head: Head, name: str) -> list[Contender]:
    search, colon, wanted = name.partition(":")
    if not colon:
        return [of_search(head, store)]
    method, dash, seed = wanted.partition("-")
    records = [
        record
        for record in read_baselines(store, search)
        if wanted == "all" or (record.method == method and seed == (str(record.seed) if dash else ""))
    ]
    if not records:
        known = ", ".join(sorted({f"{search}:{record.method}" for record in read_baselines(store, search)}))
        allowed = known or f"a baseline that has ended; first: rcasctl baseline {search}"
        methods = f"{', '.join(METHODS)} or all"
        raise InvalidSpec("baseline", got=name, allowed=allowed if method in {*METHODS, "all"} else methods)
    return [of_baseline(head, record, store) for record in records]


def _stored(store: Store, contender: Contender) -> list[Result]:
    """Results from other seeds that the store has, up to the first gap."""
    found = list[Result]()
    for replicate in range(contender.first_other_seed, contender.first_other_seed + MOST_SEEDS):
        result = result_of(store, contender.task(replicate))
        if result is None:
            break
        found.append(result)
    return found


def _measured(
    store: str, contenders: list[Contender], replicates: int, parallelism: int | None
) -> list[list[Result]]:
    """Results from other seeds, trained where the store has none."""
    folder = open_folder(store)
    tasks = [[one.task(one.first_other_seed + number) for number in range(replicates)] for one in contenders]
    results = dict[str, Result]()
    with ExitStack() as held:
        for search in sorted({contender.search for contender in contenders}):
            held.enter_context(folder.alone(f"searches/{search}/controller"))
        for threads in sorted({contender.protocol.threads for contender in contenders}):
            mine = [task for group in tasks for task in group if task.protocol.threads == threads]
            slots = parallelism or max(1, available_cores() // threads)
            attempts = max(contender.max_attempts for contender in contenders)
            with LocalCluster(folder, folder.path("logs/compare"), workers=slots, threads=threads) as cluster:
                results.update(_with_progress(mine, folder, cluster, attempts))
    return [[results[task.key] for task in group] for group in tasks]


def _with_progress(tasks: list[Task], folder: Any, cluster: LocalCluster, attempts: int) -> dict[str, Result]:
    missing = len({task.key for task in tasks if result_of(folder, task) is None})
    if missing:
        click.echo(f"{counted(missing, 'training')} from other seeds ...", err=True)
    return dict(measure(tasks, folder, cluster, max_attempts=attempts))


def _lines(comparison: Comparison) -> list[list[str]]:
    """Headings and rows; a latency that nobody knows has no column."""
    lines = [HEADINGS, *(_cells(row) for row in comparison.rows)]
    timed = any(row.contender.cost.latency is not None for row in comparison.rows)
    return [[cell for h, cell in zip(HEADINGS, line, strict=True) if timed or h != "latency"] for line in lines]


def _cells(row: Row) -> tuple[str, ...]:
    contender = row.contender
    cost, spent = contender.cost, contender.spent
    shares = [f"{used / limit:.0%}" for _, used, limit in contender.budget.uses(cost) if limit]
    return (
        contender.name,
        "" if contender.accuracy is None else percent(contender.accuracy),
        _spread_text(row.others),
        format_count(cost.params),
        format_count(cost.madds),
        "" if cost.latency is None else format_latency(cost.latency),
        " / ".join(shares),
        str(spent.measured) if spent else "",
        str(spent.trained) if spent else "",
        duration(spent.worker_seconds) if spent and spent.worker_seconds is not None else "",
        _spread_text(contender.final),
        str(contender.network),
    )


def _spread_text(of: Spread | None) -> str:
    if of is None:
        return ""
    deviation = "" if of.deviation is None else f" ± {of.deviation * 100:.2f}"
    return f"{percent(of.mean)}{deviation} (n = {of.seeds})"


def _verdict(comparison: Comparison) -> list[str]:
    lines = list[str]()
    for group in comparison.groups:
        others = f"; from other seeds {_spread_text(group.others)}" if group.others else ""
        lines.append(f"{group.name}, over the seeds of its draws: chosen by {_spread_text(group.chosen)}{others}.")
    if comparison.unranked:
        more = "" if "seeds" not in comparison.unranked else " (--replicates trains them)"
        lines.append(f"Not ranked. {comparison.unranked}{more}.")
    elif comparison.lead:
        gap, error = comparison.lead
        first, second = (row.contender.name for row in comparison.rows[:2])
        clear = "one training each tells nothing of the noise"
        if error is not None:
            clear = f"standard error {error * 100:.2f}, " + (
                "more than two of them" if gap > 2 * error else "so they cannot be told apart"
            )
        lines.append(f"{first} is {points(gap)} points against {second} ({clear}).")
    lines.append(
        "± is the standard deviation from training to training. `chosen by` is the highest of several noisy numbers, "
        "so too high on average; `from other seeds` is not."
    )
    return lines


def _print(comparison: Comparison) -> None:
    console = open_console()
    headings, *rows = _lines(comparison)
    table = Table(box=None)
    for heading in headings:
        table.add_column(heading, justify="left" if heading in {"answer", "network"} else "right")
    for row in rows:
        table.add_row(*map(escape, row))
    console.print(table)
    for line in _verdict(comparison):
        console.print(escape(line))


def _markdown(comparison: Comparison) -> str:
    headings, *rows = _lines(comparison)
    lines = [headings, ["---"] * len(headings), *rows]
    table = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([*table, "", *(f"- {line}" for line in _verdict(comparison))])


def _csv(comparison: Comparison) -> str:
    rows = [_row_json(row) for row in comparison.rows]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """A comparison for programs."""
    gap, error = comparison.lead or (None, None)
    return {
        "ranked": comparison.unranked is None,
        "why_not": comparison.unranked,
        "lead": None if gap is None else float(gap),
        "lead_error": error,
        "rows": [_row_json(row) for row in comparison.rows],
        "groups": [
            {"name": group.name, **_spread_json("chosen", group.chosen), **_spread_json("others", group.others)}
            for group in comparison.groups
        ],
    }


def _row_json(row: Row) -> dict[str, Any]:
    contender = row.contender
    spent, cost = contender.spent, contender.cost
    return {
        "name": contender.name,
        "network": str(contender.network),
        "accuracy": None if contender.accuracy is None else float(contender.accuracy),
        **_spread_json("others", row.others),
        "params": cost.params,
        "madds": cost.madds,
        "latency_ns": cost.latency,
        "budget_params": contender.budget.params,
        "budget_madds": contender.budget.madds,
        "budget_latency_ns": contender.budget.latency,
        **(spent._asdict() if spent else dict.fromkeys(("measured", "trained", "reused", "worker_seconds"))),
        **_spread_json("final", contender.final),
    }


def _spread_json(name: str, of: Spread | None) -> dict[str, Any]:
    mean, deviation, seeds = of or (None, None, 0)
    return {
        f"{name}_mean": None if mean is None else float(mean),
        f"{name}_deviation": deviation,
        f"{name}_seeds": seeds,
    }
