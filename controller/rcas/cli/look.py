"""Commands that only look: `list`, `status`, `result`, `explain`."""

from __future__ import annotations

import json
from datetime import datetime
from fractions import Fraction
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcas.cli.news import MEASURING
from rcas.cli.options import json_option
from rcas.cli.places import Place, Undecided, place_options, search_argument
from rcas.cli.render import cost_json, open_console, print_result
from rcas.cli.rows import Row, row_of_state, rows_table
from rcas.clock import SystemClock
from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.greedy import RULES, Rule
from rcas.search import Search
from rcas.trace import Decision, trace
from rcas.wording import STOPPED, block_text, cost_text, percent, points, used

SHOWN_CANDIDATES = 6


@click.command("list")
@place_options
@json_option
def list_searches(place: Place, as_json: bool) -> None:
    """List the searches in a store or in a cluster's namespace."""
    rows = place.rows()
    if as_json:
        click.echo(json.dumps(rows))
    else:
        open_console().print(rows_table(rows, SystemClock().now()) if rows else "No searches yet.")


@click.command()
@search_argument
@place_options
@json_option
def status(search: str, place: Place, as_json: bool) -> None:
    """Say how far a search is."""
    try:
        head = place.head(search)
    except Undecided as error:
        _print_row(error.row, str(error), as_json=as_json)
        return
    decided = Search.from_snapshot(head.state.search)
    if as_json:
        click.echo(json.dumps(row_of_state(head, decided)))
        return
    console = open_console()
    console.print(_first_line(row_of_state(head, decided)))
    found = decided.result
    for name, rule in found.rules.items():
        if not rule.path:
            console.print(f"  {name:<6} {MEASURING}")
            continue
        last = rule.path[-1]
        where = f"{len(rule.path) - 1} blocks, {percent(last.accuracy)}, {used(decided.problem.budget, last.cost)}"
        console.print(f"  {name:<6} {where}; {STOPPED[rule.stopped]}\n         {last.network}")
    counters = head.state.counters
    console.print(
        f"  {found.evaluations} evaluations: {counters.trained} trained, {counters.reused} reused; "
        f"{counters.failures} attempts failed, {counters.interruptions} were interrupted; "
        f"{len(head.state.attempts)} under way when this was written"
    )


def _first_line(row: Row) -> str:
    began = datetime.fromisoformat(row["created"]).strftime("%Y-%m-%d %H:%M UTC")
    message = f": {escape(row['message'])}" if row["message"] else ""
    return f"{escape(row['search'])}: {row['phase']}{message}, began {began}"


def _print_row(row: Row, why: str, *, as_json: bool) -> None:
    """A search of which only its resource is known."""
    if as_json:
        click.echo(json.dumps({**row, "note": why}))
        return
    console = open_console()
    console.print(f"{_first_line(row)}\n  {row['evaluations']} evaluations, {row['running']} under way")
    best = row["best"]
    if best:
        costs = cost_text(Cost(best["params"], best["madds"], best.get("latency_ns")))
        console.print(f"  {row['blocks']} blocks, {best['accuracy']:.2%}, {costs}\n  {best['network']}")
    console.print(f"  More is not known now: {escape(why)}")


@click.command()
@search_argument
@place_options
@json_option
def result(search: str, place: Place, as_json: bool) -> None:
    """Print what a search found, or has found so far."""
    head = place.head(search)
    print_result(search, Search.from_snapshot(head.state.search), as_json=as_json, phase=head.state.phase)


@click.command()
@search_argument
@place_options
@json_option
@click.option("--rule", type=click.Choice(RULES), help="Only this rule; default: all of them.")
@click.option("--block", type=click.IntRange(1), help="Only the block accepted as the n-th.")
@click.option("--all", "every", is_flag=True, help="All candidates, not only the first few.")
def explain(search: str, place: Place, as_json: bool, rule: Rule | None, block: int | None, every: bool) -> None:
    """For each accepted block: the candidates, their gains and costs, which were measured again, why it won."""
    found = Search.from_snapshot(place.head(search).state.search)
    names: list[Rule] = [state.rule for state in found.states]
    if rule and rule not in names:
        raise InvalidSpec("--rule", got=rule, allowed=f"a rule of this search: {', '.join(names)}")
    decisions: dict[Rule, list[tuple[int, Decision]]] = {
        name: [
            (number, decision)
            for number, decision in enumerate(trace(found.problem, name, found.known), start=1)
            if block in {None, number}
        ]
        for name in names
        if rule in {None, name}
    }
    if as_json:
        click.echo(json.dumps({n: [_decision_json(found, i, d) for i, d in ds] for n, ds in decisions.items()}))
        return
    console = open_console()
    for name, numbered in decisions.items():
        for number, decision in numbered:
            _print_decision(console, found, name, number, decision, None if every else SHOWN_CANDIDATES)
    if not any(decisions.values()):
        console.print("No such block was accepted.")


def _print_decision(
    console: Console, search: Search, rule: str, number: int, decision: Decision, shown: int | None
) -> None:
    space, winner = search.problem.space, decision.weighed[0].candidate
    total = search.problem.cost(winner.network)
    accuracy = decision.after.accuracy or Fraction(0)
    console.print(
        f"\n[bold]{rule}, block {number}: {block_text(space, winner.element)}[/bold]\n"
        f"  {percent(accuracy)} ({points(winner.gain or Fraction(0))} points), {used(search.problem.budget, total)}\n"
        f"  {winner.network}\n  {_why(decision)}"
    )
    table = Table(box=None, pad_edge=True)
    latency = () if total.latency is None else ("latency",)
    for column in ("candidate", "gain", "was", "measured", "params", "MAdds", *latency, "key / winner's"):
        table.add_column(column, justify="left" if column == "candidate" else "right")
    best_key = -winner.rank[1]
    for weighed in decision.weighed[:shown]:
        candidate, key = weighed.candidate, -weighed.candidate.rank[1]
        table.add_row(
            f"type {candidate.element.block}, stage {space.stage_of[candidate.element.position]}",
            points(candidate.gain or Fraction(0)),
            points(weighed.stale) if weighed.stale is not None else "",
            "now" if weighed.fresh else f"at block {candidate.measured_at}",
            f"{candidate.cost.params:+,}",
            f"{candidate.cost.madds:+,}",
            *([] if candidate.cost.latency is None else [f"{candidate.cost.latency / 1e6:+.3f} ms"]),
            f"{float(key / best_key):.2f}" if best_key > 0 else "",
        )
    console.print(table)
    if shown and len(decision.weighed) > shown:
        console.print(f"  ... and {len(decision.weighed) - shown} more (--all shows them)")


def _why(decision: Decision) -> str:
    measured = sum(weighed.fresh for weighed in decision.weighed)
    parked = len({candidate.network for candidate in decision.before.parked})
    over = f"; {parked} do not fit the budget" if parked else ""
    head = f"{measured} of {len(decision.weighed)} candidates measured for this network{over}."
    if len(decision.weighed) == 1:
        return f"{head} It is the only one that fits."
    second = decision.weighed[1]
    if second.candidate.rank == decision.weighed[0].candidate.rank:
        return f"{head} It ties with the next and wins by its earlier position or smaller type."
    if second.fresh:
        return f"{head} Its key is the largest."
    return f"{head} Its key is at least that of the next, whose older gain can only shrink if returns diminish."


def _decision_json(search: Search, number: int, decision: Decision) -> dict[str, Any]:
    space = search.problem.space
    return {
        "block": number,
        "network": str(decision.after.network),
        "accuracy": float(decision.after.accuracy or 0),
        "parked": len({candidate.network for candidate in decision.before.parked}),
        "candidates": [
            {
                "position": weighed.candidate.element.position,
                "block": weighed.candidate.element.block,
                "stage": space.stage_of[weighed.candidate.element.position],
                "gain": float(weighed.candidate.gain or 0),
                "stale_gain": None if weighed.stale is None else float(weighed.stale),
                "fresh": weighed.fresh,
                **cost_json(weighed.candidate.cost),
                "network": str(weighed.candidate.network),
            }
            for weighed in decision.weighed
        ],
    }
