"""Commands that only look: `list`, `status`, `result`, `explain`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from rcas.cli.options import find_search, json_option, search_argument, search_names, store_option
from rcas.cli.render import STOPPED, block_text, open_console, percent, point_json, points, print_result, used
from rcas.errors import InvalidSpec
from rcas.greedy import RULES, Rule
from rcas.search import Search
from rcas.state import Head
from rcas.stores.opening import open_store
from rcas.trace import Decision, trace

SHOWN_CANDIDATES = 6


@click.command("list")
@store_option
@json_option
def list_searches(store: str, as_json: bool) -> None:
    """List the searches in a store."""
    opened = open_store(store, create=False)
    heads = [find_search(store, name)[1] for name in search_names(opened)]
    rows = [_status(head, Search.from_snapshot(head.state.search)) for head in heads]
    if as_json:
        click.echo(json.dumps(rows))
        return
    table = Table(box=None)
    for column in ("search", "phase", "accepted", "evaluations", "best", "params", "madds"):
        table.add_column(column)
    for row in rows:
        best = row["best"] or {"accuracy": 0.0, "params": 0, "madds": 0}
        counts = (str(max(row["accepted"].values(), default=0)), str(row["evaluations"]))
        costs = (f"{best['params']:,}", f"{best['madds']:,}")
        table.add_row(row["search"], row["phase"], *counts, f"{best['accuracy']:.2%}", *costs)
    open_console().print(table if rows else "No searches yet.")


@click.command()
@search_argument
@store_option
@json_option
def status(search: str, store: str, as_json: bool) -> None:
    """Say how far a search is."""
    head = find_search(store, search)[1]
    decided = Search.from_snapshot(head.state.search)
    if as_json:
        click.echo(json.dumps(_status(head, decided)))
        return
    console = open_console()
    began = datetime.fromtimestamp(head.state.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    message = f": {escape(head.state.message)}" if head.state.message else ""
    console.print(f"{search}: {head.state.phase}{message}, began {began}")
    found = decided.result
    for name, rule in found.rules.items():
        if not rule.path:
            console.print(f"  {name:<6} measuring the start network and the first blocks")
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


def _status(head: Head, search: Search) -> dict[str, Any]:
    found = search.result
    return {
        "search": head.name,
        "phase": head.state.phase,
        "message": head.state.message,
        "accepted": {name: max(0, len(rule.path) - 1) for name, rule in found.rules.items()},
        "evaluations": found.evaluations,
        "best": point_json(search.problem.space, found.best) if found.best else None,
        "attempts": {key: tried.model_dump() for key, tried in head.state.attempts.items()},
        "counters": head.state.counters.model_dump(),
        "epoch": head.epoch,
        "seq": head.seq,
    }


@click.command()
@search_argument
@store_option
@json_option
def result(search: str, store: str, as_json: bool) -> None:
    """Print what a search found, or has found so far."""
    head = find_search(store, search)[1]
    print_result(search, Search.from_snapshot(head.state.search), as_json=as_json)


@click.command()
@search_argument
@store_option
@json_option
@click.option("--rule", type=click.Choice(RULES), help="Only this rule; default: all of them.")
@click.option("--block", type=click.IntRange(1), help="Only the block accepted as the n-th.")
@click.option("--all", "every", is_flag=True, help="All candidates, not only the first few.")
def explain(search: str, store: str, as_json: bool, rule: Rule | None, block: int | None, every: bool) -> None:
    """For each accepted block: the candidates, their gains and costs, which were measured again, why it won."""
    found = Search.from_snapshot(find_search(store, search)[1].state.search)
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
    total = space.cost(winner.network)
    accuracy = decision.after.accuracy or Fraction(0)
    console.print(
        f"\n[bold]{rule}, block {number}: {block_text(space, winner.element)}[/bold]\n"
        f"  {percent(accuracy)} ({points(winner.gain or Fraction(0))} points), {used(search.problem.budget, total)}\n"
        f"  {winner.network}\n  {_why(decision)}"
    )
    table = Table(box=None, pad_edge=True)
    for column in ("candidate", "gain", "was", "measured", "params", "MAdds", "key / winner's"):
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
                "params": weighed.candidate.cost.params,
                "madds": weighed.candidate.cost.madds,
                "network": str(weighed.candidate.network),
            }
            for weighed in decision.weighed
        ],
    }
