"""The accepted path: accuracy against what a network costs, one curve a rule."""

from __future__ import annotations

from collections.abc import Callable

from rcas.budget import format_count
from rcas.report.model import Costs, Report, Step
from rcas.report.plot import SYMBOLS, WIDE, Canvas, Panel, legend, spanning
from rcas.report.words import RULE_WORDS, milliseconds, series_of
from rcas.wording import percent, points

Axis = tuple[str, str, int | None, Callable[[int], str]]
"""A field of `Costs`, its name, its limit, how it is written."""


def path(report: Report, width: int = WIDE) -> str:
    """A panel for params, MAdds and, where it is known, latency, with the budgets as dashed lines."""
    rules = [rule for rule in report.rules if rule.path]
    steps = [step for rule in rules for step in rule.path]
    beside = width >= 600
    panel_height, top = (250, 58) if beside else (210, 44 + 20 * len(rules))
    columns = 2 if beside else 1
    rows = -(-len(_axes(report)) // columns)
    height = top + rows * (panel_height + 76) - 20
    canvas = Canvas("path", width, height, "Accuracy along the accepted path", _description(report))
    names = [(SYMBOLS[series_of(r.rule)], f"s{series_of(r.rule)}", f"{r.rule}: {RULE_WORDS[r.rule]}") for r in rules]
    legend(canvas, 4, 18, names, right=width)
    if not steps:
        canvas.text(width / 2, height / 2, "Nothing is measured yet.", "muted", anchor="middle")
        return canvas.svg()
    error = report.noise.error if report.noise else 0.0
    accuracies = [step.accuracy for step in steps]
    y_range = spanning([*accuracies, *([report.best.accuracy + error] if report.best else [])], least=0.01)
    each = (width - 4) / columns
    for index, (field, name, limit, say) in enumerate(_axes(report)):
        left = index % columns * each + 52
        right = left + each - 52 - (14 if beside else 8)
        upper = top + index // columns * (panel_height + 76)
        values = [_cost(step.cost, field) for step in steps]
        x_range = spanning([*values, *([limit] if limit else [])], least=1)
        panel = Panel(canvas, (left, upper, right, upper + panel_height), x_range, y_range)
        panel.axes(name, "accuracy", lambda value, say=say: say(round(value)), _share, most_x=4)
        if limit:
            canvas.line(panel.x(limit), upper, panel.x(limit), upper + panel_height, "dash ink")
            canvas.text(right, upper - 10, f"budget {say(limit)}", "muted", anchor="end")
        _draw(report, panel, field, error)
    return canvas.svg()


def _draw(report: Report, panel: Panel, field: str, error: float) -> None:
    canvas = panel.canvas
    if report.best and error:
        x, y = panel.x(_cost(report.best.cost, field)), report.best.accuracy
        canvas.line(x, panel.y(y - error), x, panel.y(y + error), "axis")
        for end in (y - error, y + error):
            canvas.line(x - 5, panel.y(end), x + 5, panel.y(end), "axis")
    for rule in report.rules:
        number = series_of(rule.rule)
        places = [(panel.x(_cost(step.cost, field)), panel.y(step.accuracy)) for step in rule.path]
        canvas.lines(places, f"s{number}")
        for (x, y), step in zip(places, rule.path, strict=True):
            # Rules often share networks: symbols are hollow and of different sizes, so that all are seen.
            canvas.mark(x, y, SYMBOLS[number], f"s{number} paper", 6.5 - 0.9 * number, _hint(rule.rule, step))
    if report.best:
        x, y = panel.x(_cost(report.best.cost, field)), panel.y(report.best.accuracy)
        canvas.mark(x, y, "circle", "ink none", 11, "the best network")


def _axes(report: Report) -> list[Axis]:
    limits = report.budget
    found: list[Axis] = [
        ("params", "parameters", limits.params, format_count),
        ("madds", "multiply-adds (MAdds)", limits.madds, format_count),
    ]
    timed = bool(report.start and report.start.cost.latency_ns is not None)
    return [*found, ("latency_ns", "latency", limits.latency_ns, milliseconds)] if timed else found


def _cost(cost: Costs, field: str) -> int:
    return getattr(cost, field) or 0


def _share(value: float) -> str:
    return f"{value * 100:.4g}%"


def _hint(rule: str, step: Step) -> str:
    gain = "the start network" if step.gain is None else f"block {step.number}, {points(step.gain)} points"
    costs = f"{format_count(step.cost.params)} parameters, {format_count(step.cost.madds)} MAdds"
    return f"{rule}: {percent(step.accuracy)}, {gain}\n{costs}\n{step.network}"


def _description(report: Report) -> str:
    parts = [
        f"{rule.rule} goes from {percent(rule.path[0].accuracy)} to {percent(rule.path[-1].accuracy)} "
        f"in {len(rule.path) - 1} blocks."
        for rule in report.rules
        if rule.path
    ]
    return " ".join(parts) or "Nothing is measured yet."
