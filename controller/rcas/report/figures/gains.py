"""Gains that were measured again, against what they were before."""

from __future__ import annotations

from rcas.report.model import Report
from rcas.report.noise import CLEAR
from rcas.report.plot import SYMBOLS, WIDE, Canvas, Panel, legend, spanning
from rcas.report.words import series_of
from rcas.wording import points


def gains(report: Report, width: int = WIDE) -> str:
    """Each symbol is one gain: to the right what it was, upwards what it is. Above the diagonal it has grown."""
    again = [
        (choice.rule, weighed.stale, weighed)
        for choice in report.choices
        for weighed in choice.shown
        if weighed.stale is not None
    ]
    rules = [rule.rule for rule in report.rules if any(rule.rule == one for one, _, _ in again)]
    top = 58
    side = min(width - 70, 380)
    canvas = Canvas("gains", width, top + side + 44, "Gains before and after", _description(report, len(again)))
    legend(canvas, 4, 18, [(SYMBOLS[series_of(r)], f"s{series_of(r)}", r) for r in rules], right=width)
    values = [value * 100 for _, stale, weighed in again for value in (stale, weighed.gain)]
    low, high = spanning([*values, 0.0], least=0.5)
    panel = Panel(canvas, (58, top, 58 + side, top + side), (low, high), (low, high))
    if report.noise:
        # A change of a gain is made of four accuracies.
        _band(panel, low, high, CLEAR * 2 * report.noise.error * 100)
    panel.axes("gain before, points", "gain measured again, points", _said, _said)
    canvas.line(panel.x(low), panel.y(low), panel.x(high), panel.y(high), "ink dash")
    canvas.text(64, top + 16, "above the line: it has grown", "muted")
    canvas.text(52 + side, top + side - 10, "below: it has shrunk, as assumed", "muted", anchor="end")
    for rule, stale, weighed in again:
        number = series_of(rule)
        hint = f"{rule}: {points(stale)}, then {points(weighed.gain)} points\n{weighed.network}"
        place = panel.x(stale * 100), panel.y(weighed.gain * 100)
        canvas.mark(*place, SYMBOLS[number], f"s{number} paper", 5, hint)
    return canvas.svg()


def _band(panel: Panel, low: float, high: float, wide: float) -> None:
    """What lies within `wide` of the diagonal, cut to the panel."""
    upper = [(x, min(high, x + wide)) for x in (low, max(low, high - wide), high)]
    lower = [(x, max(low, x - wide)) for x in (high, min(high, low + wide), low)]
    panel.canvas.area([(panel.x(x), panel.y(y)) for x, y in (*upper, *lower)], "soft")


def _said(value: float) -> str:
    return f"{value:.4g}"


def _description(report: Report, count: int) -> str:
    grown = sum(rule.diminishing.broken for rule in report.rules)
    checked = sum(rule.diminishing.checked for rule in report.rules)
    return f"{count} gains that were measured again. {grown} of {checked} had grown."
