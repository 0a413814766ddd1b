"""How numbers and states are said to people: one way everywhere, on a terminal, in a report and on a page."""

from __future__ import annotations

from fractions import Fraction

from rcas.budget import Budget, format_count
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
    shares = (("params", cost.params, budget.params), ("MAdds", cost.madds, budget.madds))
    return ", ".join(
        f"{format_count(count)} {name}" + (f" ({count / limit:.0%} of {format_count(limit)})" if limit else "")
        for name, count, limit in shares
    )


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
