"""The figures of a report, drawn by matplotlib: to be changed, put beside others and saved for a paper.

Each is a function from a `Report` to a `Figure` that belongs to no window.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from rcas.budget import format_count
from rcas.notebook.extras import needed
from rcas.report.model import Costs, Report
from rcas.wording import counted, duration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#c2410c", "#00795b", "#9b3f86", "#8a6d00", "#59636e")
"""Those of the report: told apart with any kind of colour blindness."""
MARKERS = ("o", "s", "^", "D", "X", "v")
MUTED = COLOURS[-1]
PERCENT = 100.0


def path(report: Report) -> Figure:
    """Accuracy along the accepted path against params and MAdds: one curve a rule, the budgets dashed."""
    figure = _figure(9, 4)
    axes = figure.subplots(1, 2, sharey=True)
    for panel, field, name in zip(axes, ("params", "madds"), ("parameters", "multiply-adds"), strict=True):
        for number, rule in enumerate(report.rules):
            panel.plot(
                [_cost(step.cost, field) for step in rule.path],
                [step.accuracy * PERCENT for step in rule.path],
                color=COLOURS[number % len(COLOURS)],
                marker=MARKERS[number % len(MARKERS)],
                label=rule.rule,
            )
        if limit := getattr(report.budget, field):
            panel.axvline(limit, color=MUTED, linestyle="--", label="budget")
        panel.set_xlabel(name)
        panel.xaxis.set_major_formatter(_tick)
    if report.best and report.noise:
        best, error = report.best, report.noise.error * PERCENT
        for panel, count in zip(axes, (best.cost.params, best.cost.madds), strict=True):
            panel.errorbar(count, best.accuracy * PERCENT, error, color=MUTED, capsize=4, zorder=1)
    axes[0].set_ylabel("accuracy, %")
    axes[0].legend()
    figure.suptitle("Accuracy along the accepted path")
    return figure


def gains(report: Report) -> Figure:
    """Gains when they were measured again, against the stale ones: above the diagonal they had grown."""
    figure = _figure(5, 5)
    axes = figure.subplots()
    for number, rule in enumerate(report.rules):
        pairs = [
            (one.stale * PERCENT, one.gain * PERCENT)
            for choice in report.choices
            if choice.rule == rule.rule
            for one in choice.shown
            if one.stale is not None
        ]
        if pairs:
            colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
            axes.scatter(*zip(*pairs, strict=True), color=colour, marker=marker, alpha=0.7, label=rule.rule)
    axes.axline((0, 0), slope=1, color=MUTED, linestyle="--", label="unchanged")
    axes.set(xlabel="stale gain, points", ylabel="gain measured again, points")
    axes.legend()
    grown, checked = (sum(getattr(rule.diminishing, name) for rule in report.rules) for name in ("broken", "checked"))
    figure.suptitle(f"{grown:,} of {counted(checked, 'gain')} measured again had grown")
    return figure


def spending(report: Report) -> Figure:
    """How many trainings were read by a decision, not read, reused, and avoided against plain greedy."""
    unread = "never read" if report.done else "not read yet"
    bars = [
        ("trained", report.counters.trained),
        ("reused", report.counters.reused),
        ("read by a decision", report.demanded),
        (unread, report.unread),
        ("avoided", report.avoided),
        ("interrupted", report.counters.interruptions),
        ("failed", report.counters.failures),
    ]
    return _bars(bars, "trainings", f"How {counted(len(report.evaluations), 'evaluation')} were spent", format_count)


def durations(report: Report) -> Figure:
    """Where the time of the trainings went."""
    told = [one.trained for one in report.evaluations if one.trained]
    bars = [(name, sum(getattr(one, name) for one in told)) for name in ("startup", "data", "training", "validation")]
    whole = sum(seconds for _, seconds in bars)
    return _bars(bars, "seconds", f"Where {duration(whole)} of {counted(len(told), 'training')} went", duration)


def noise(report: Report) -> Figure:
    """By how much each decision's winner was ahead of the next, with two standard errors of that difference.

    Hollow without them: the next was not measured for this decision.
    """
    figure = _figure(7, 4)
    axes = figure.subplots()
    for number, rule in enumerate(report.rules):
        colour, marker = COLOURS[number % len(COLOURS)], MARKERS[number % len(MARKERS)]
        choices = [one for one in report.choices if one.rule == rule.rule]
        places = [(one.number + 0.12 * number, one.margin * PERCENT) for one in choices if one.margin is not None]
        axes.plot(*_columns(places), color=colour, marker=marker, fillstyle="none", linestyle="none")
        known = [
            (one.number + 0.12 * number, one.margin * PERCENT, 2 * one.error * PERCENT)
            for one in choices
            if one.margin is not None and one.error is not None
        ]
        x, y, error = _columns(known) or ((), (), ())
        axes.errorbar(x, y, error, color=colour, marker=marker, linestyle="none", capsize=3, label=rule.rule)
    axes.axhline(0, color=MUTED, linestyle="--")
    axes.set(xlabel="accepted block", ylabel="ahead of the next, points")
    axes.legend()
    figure.suptitle("How clear the decisions were: bars of two standard errors")
    return figure


FIGURES: dict[str, Callable[[Report], Figure]] = {
    make.__name__: make for make in (path, gains, spending, durations, noise)
}
"""All of them by name."""


def _figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that knows no window system."""
    needed("matplotlib")
    from rcas.notebook.canvas import ShownFigure

    return ShownFigure(figsize=(width, height), layout="constrained")


def _columns(rows: Sequence[tuple[float, ...]]) -> tuple[tuple[float, ...], ...]:
    return tuple(zip(*rows, strict=True))


def _tick(value: float, _place: int | None = None) -> str:
    return format_count(round(value)) if value >= 0 else ""


def _cost(cost: Costs, field: str) -> int:
    return getattr(cost, field)


def _bars(bars: Sequence[tuple[str, float]], unit: str, title: str, say: Callable[[Any], str]) -> Figure:
    figure = _figure(7, 0.4 * len(bars) + 1.2)
    axes = figure.subplots()
    drawn = axes.barh([name for name, _ in bars], [value for _, value in bars], color=COLOURS[0])
    axes.bar_label(drawn, [say(value) for _, value in bars], padding=3)
    axes.invert_yaxis()
    axes.margins(x=0.2)
    axes.set_xlabel(unit)
    figure.suptitle(title)
    return figure
