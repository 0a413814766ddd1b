"""Results as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from rcas.budget import format_count, format_latency
from rcas.costs import Cost
from rcas.greedy import Tally
from rcas.search import Point, Search, SearchResult
from rcas.space import Space
from rcas.wording import HELD, STOPPED, percent, used

WIDTH_OF_FILES = 200
"""Columns of output that goes to no terminal: tables there are read by programs, or unfolded."""


def open_console(*, quiet: bool = False) -> Console:
    """Where text goes."""
    console = Console(highlight=False, soft_wrap=True, quiet=quiet)
    if not console.is_terminal:
        console.width = WIDTH_OF_FILES
    return console


def point_json(space: Space, point: Point) -> dict[str, Any]:
    """A point of a path for programs; accuracy as a number and as the exact fraction."""
    return {
        "network": str(point.network),
        "accuracy": float(point.accuracy),
        "accuracy_exact": str(point.accuracy),
        **cost_json(point.cost),
        "position": point.element.position if point.element else None,
        "block": point.element.block if point.element else None,
        "stage": space.stage_of[point.element.position] if point.element else None,
    }


def cost_json(cost: Cost) -> dict[str, int]:
    """A cost for programs; its latency only where there is one."""
    latency = {} if cost.latency is None else {"latency_ns": cost.latency}
    return {"params": cost.params, "madds": cost.madds, **latency}


def result_json(search: Search) -> dict[str, Any]:
    """A result for programs."""
    space, found = search.problem.space, search.result
    return {
        "done": search.done,
        "best": point_json(space, found.best) if found.best else None,
        "highest": point_json(space, found.highest) if found.highest else None,
        "rules": {
            name: {
                "stopped": rule.stopped,
                "path": [point_json(space, point) for point in rule.path],
                "submodularity": _tally_json(rule.submodularity),
                "monotonicity": _tally_json(rule.monotonicity),
            }
            for name, rule in found.rules.items()
        },
        "evaluations": found.evaluations,
        "demanded": found.demanded,
        "offered": found.offered,
        "bound_holds": found.bound_holds,
    }


def _tally_json(tally: Tally) -> dict[str, Any]:
    mean = float(tally.total / tally.broken) if tally.broken else 0.0
    return {"checked": tally.checked, "broken": tally.broken, "mean": mean, "worst": float(tally.worst)}


def print_result(name: str, search: Search, *, as_json: bool, phase: str = "Running") -> None:
    """The best network, the rules' outcomes, and how far the assumptions held."""
    if as_json:
        click.echo(json.dumps({"search": name, **result_json(search)}))
        return
    console = open_console()
    found, budget = search.result, search.problem.budget
    if found.best is None:
        console.print(f"Search {name}: nothing is decided yet.")
        return
    best = found.best
    state = "done" if search.done else HELD.get(phase, "still running")
    console.print(f"\nSearch {name}: {state}\n")
    console.print(f"  best network  [bold]{best.network}[/bold]")
    console.print(
        f"  accuracy      [bold]{percent(best.accuracy)}[/bold] on the validation images, after short training"
    )
    console.print(f"  cost          {used(budget, best.cost)}\n")
    console.print(rules_table(search))
    for line in (*_highest(found), *work_done(found), *assumptions(found)):
        console.print(line)


def rules_table(search: Search) -> Table:
    """One row a rule: where it is and why it ended."""
    table = Table(box=None, pad_edge=True)
    table.add_column("rule")
    timed = search.problem.latency_table is not None
    for column in ("blocks", "accuracy", "params", "MAdds", *(("latency",) if timed else ())):
        table.add_column(column, justify="right")
    table.add_column("network")
    table.add_column("ended because")
    for rule in search.result.rules.values():
        if rule.path:
            last = rule.path[-1]
            cells = [percent(last.accuracy), format_count(last.cost.params), format_count(last.cost.madds)]
            cells += [] if last.cost.latency is None else [format_latency(last.cost.latency)]
            row = (rule.rule, str(len(rule.path) - 1), *cells, str(last.network), STOPPED[rule.stopped])
            table.add_row(*row)
    return table


def _highest(found: SearchResult) -> Iterable[str]:
    if found.best and found.highest and found.highest.accuracy > found.best.accuracy:
        yield (
            f"  An earlier network on a path measured higher, {percent(found.highest.accuracy)}: "
            f"{found.highest.network}. `min_gain: 0` ends a rule before a block that lowers the accuracy."
        )


def work_done(found: SearchResult) -> Iterable[str]:
    """How many trainings it took, against greedy without laziness."""
    yield (
        f"  {found.evaluations} trainings, {found.evaluations - found.demanded} of them speculative; "
        f"plain greedy would have trained {found.offered} networks for the same decisions."
    )


def assumptions(found: SearchResult) -> Iterable[str]:
    """How often what the paper assumes did not hold in what was measured."""
    grown = _sum(rule.submodularity for rule in found.rules.values())
    lost = _sum(rule.monotonicity for rule in found.rules.values())
    yield (
        f"  Assumptions: {grown.broken} of {grown.checked} gains measured again had grown{_worst(grown)}; "
        f"{lost.broken} of {lost.checked} blocks lowered the accuracy{_worst(lost)}."
    )
    yield (
        "  Nothing measured contradicts them; that is no proof of the paper's 1/2 (1 - 1/e) bound."
        if found.bound_holds
        else "  So the paper's 1/2 (1 - 1/e) bound does not hold here: this is greedy search on a noisy measure."
    )


def _worst(tally: Tally) -> str:
    return f" (by {float(tally.worst) * 100:.2f} points at worst)" if tally.broken else ""


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = Tally()
    for tally in tallies:
        total = Tally(
            total.checked + tally.checked,
            total.broken + tally.broken,
            total.total + tally.total,
            max(total.worst, tally.worst),
        )
    return total
