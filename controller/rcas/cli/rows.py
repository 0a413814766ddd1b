"""A search in a few numbers: the same row from its state and from its resource in a cluster."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from rcas.budget import format_latency
from rcas.cli.render import point_json
from rcas.resource import Resource
from rcas.search import Search
from rcas.state import Head
from rcas.wording import age_text, percent

Row = dict[str, Any]
COLUMNS = ("search", "phase", "accepted", "evaluations", "best", "params", "madds", "latency", "age")


def row_of_state(head: Head, search: Search) -> Row:
    """What the head object of a search says."""
    found = search.result
    accepted = {name: max(0, len(rule.path) - 1) for name, rule in found.rules.items()}
    return {
        "search": head.name,
        "phase": head.state.phase,
        "message": head.state.message,
        "created": datetime.fromtimestamp(head.state.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "blocks": max(accepted.values(), default=0),
        "accepted": accepted,
        "evaluations": found.evaluations,
        "best": point_json(search.problem.space, found.best) if found.best else None,
        "attempts": {key: tried.model_dump() for key, tried in head.state.attempts.items()},
        "counters": head.state.counters.model_dump(),
        "epoch": head.epoch,
        "seq": head.seq,
    }


def row_of_resource(resource: Resource) -> Row:
    """What the status of a resource says: less, and without what only the state knows."""
    status = resource.status()
    best = {
        "network": status.network,
        "accuracy": float((status.best or "0%").removesuffix("%")) / 100,
        "params": status.params,
        "madds": status.madds,
        **({} if status.latency_ns is None else {"latency_ns": status.latency_ns}),
    }
    return {
        "search": resource.name,
        "phase": status.phase,
        "message": resource.message,
        "created": resource.created,
        "blocks": status.accepted,
        "evaluations": status.evaluations,
        "running": status.running,
        "best": best if status.best else None,
    }


def rows_table(rows: Iterable[Row], now_s: float) -> Table:
    """One line a search. `now_s`: seconds since 1970."""
    rows, table = list(rows), Table(box=None)
    timed = any("latency_ns" in (row["best"] or {}) for row in rows)
    for column in COLUMNS:
        if column != "latency" or timed:
            table.add_column(column)
    for row in rows:
        best = row["best"]
        found = [percent(best["accuracy"]), f"{best['params']:,}", f"{best['madds']:,}"] if best else ["", "", ""]
        if timed:
            found.append(format_latency(best["latency_ns"]) if best and "latency_ns" in best else "")
        age = age_text(now_s - datetime.fromisoformat(row["created"]).timestamp())
        table.add_row(row["search"], row["phase"], str(row["blocks"]), str(row["evaluations"]), *found, age)
    return table
