"""How numbers and states are said to people: one way everywhere, on a terminal, in a report and on a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from rcas.budget import Budget, format_count, format_latency
from rcas.costs import Cost
from rcas.space import Element, Space

STOPPED = {
    None: "running",
    "budget": "nothing more fits the budget",
    "full": "all positions are filled",
    "first-infeasible": "the best block does not fit the budget",
    "min-gain": "no block gains min_gain",
    "max-blocks": "max_blocks accepted",
}
"""Why a rule ended, by its `StopReason`."""
HELD = {"Paused": "paused", "LimitReached": "a limit is reached", "Cancelled": "cancelled", "Failed": "failed"}
"""Phases of a search that is not done and does not run."""


def percent(accuracy: Fraction | float) -> str:
    """An accuracy, such as `76.10%`."""
    return f"{float(accuracy):.2%}"


def points(gain: Fraction | float) -> str:
    """A difference of accuracies in percentage points, such as `+0.40`."""
    return f"{float(gain) * 100:+.2f}"


def counted(count: int, one: str, many: str | None = None) -> str:
    """A number of things, such as `1 training` or `1,217 trainings`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def block_text(space: Space, element: Element) -> str:
    """An element: its type, stage and position."""
    return f"type {element.block} in stage {space.stage_of[element.position]} (position {element.position})"


def used(budget: Budget, cost: Cost) -> str:
    """A cost with the shares of the budget that it uses."""
    return ", ".join(
        f"{say(amount)}{unit}" + (f" ({amount / limit:.0%} of {say(limit)})" if limit else "")
        for say, unit, amount, limit in shares(budget, cost)
    )


def budget_text(budget: Budget) -> str:
    """A budget in full, such as `2,400,000 params, 12.0 ms`."""
    counts = [f"{n:,} {unit}" for n, unit in ((budget.params, "params"), (budget.madds, "MAdds")) if n]
    return ", ".join([*counts, *([format_latency(budget.latency)] if budget.latency else [])])


def cost_text(cost: Cost) -> str:
    """A cost in full, such as `1,918,436 params, 87,253,504 MAdds`."""
    latency = "" if cost.latency is None else f", {format_latency(cost.latency)}"
    return f"{cost.params:,} params, {cost.madds:,} MAdds{latency}"


def shares(budget: Budget, cost: Cost) -> Iterator[tuple[Callable[[int], str], str, int, int | None]]:
    """Of each known cost: how an amount is written, the unit after it, the amount and its limit."""
    yield format_count, " params", cost.params, budget.params
    yield format_count, " MAdds", cost.madds, budget.madds
    if cost.latency is not None:
        yield format_latency, "", cost.latency, budget.latency


def duration(seconds: float) -> str:
    """A duration, such as `1 h 05 min`."""
    minutes, rest = divmod(round(seconds), 60)
    if minutes >= 60:
        return f"{minutes // 60} h {minutes % 60:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"


def age_text(seconds: float) -> str:
    """How long ago, in the largest unit that fits, such as `5h`."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length_s:
            return f"{int(seconds // length_s)}{unit}"
    return f"{max(0, int(seconds))}s"
