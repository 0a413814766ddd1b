"""How clear each decision was: the winner's lead over the next candidate, in standard errors."""

from __future__ import annotations

from rcas.report.model import Choice, Report
from rcas.report.noise import CLEAR
from rcas.report.plot import SYMBOLS, WIDE, Canvas, Panel, legend, spanning
from rcas.report.words import series_of

_LARGEST = 8.0
"""Leads beyond are drawn here: clearer than clear is no news."""


def choices(report: Report, width: int = WIDE) -> str:
    """One symbol a decision; in the grey band chance alone may have decided."""
    found = [(choice, choice.lead) for choice in report.choices if choice.lead is not None]
    rules = [rule.rule for rule in report.rules if any(choice.rule == rule.rule for choice, _ in found)]
    top, tall = 58, 180
    noise = report.noise
    words = f"{noise.unclear} of {noise.choices} decisions are within two standard errors." if noise else ""
    canvas = Canvas("choices", width, top + tall + 44, "How clear each decision was", words)
    legend(canvas, 4, 18, [(SYMBOLS[series_of(r)], f"s{series_of(r)}", r) for r in rules], right=width)
    leads = [max(-_LARGEST, min(_LARGEST, lead)) for _, lead in found]
    last = max((choice.number for choice, _ in found), default=1)
    y_range = spanning([-CLEAR * 1.2, CLEAR * 1.6, *leads])
    panel = Panel(canvas, (44, top, width - 14, top + tall), (0.4, last + 0.6), y_range)
    band = panel.y(CLEAR), panel.y(-CLEAR)
    canvas.rect(44, band[0], width - 58, band[1] - band[0], "soft")
    panel.axes(
        "block",
        "lead, standard errors",
        lambda v: f"{v:.0f}",
        lambda v: f"{v:.3g}",
        most_x=last if last <= 12 else 12,
        whole_x=True,
    )
    canvas.line(44, panel.y(0), width - 14, panel.y(0), "axis")
    canvas.text(width - 18, panel.y(-CLEAR) - 6, "may be chance", "muted", anchor="end")
    for (choice, _), lead in zip(found, leads, strict=True):
        place = rules.index(choice.rule) - (len(rules) - 1) / 2
        number = series_of(choice.rule)
        x = panel.x(choice.number + 0.16 * place)
        canvas.mark(x, panel.y(lead), SYMBOLS[number], f"s{number} paper", 5, _hint(choice))
    return canvas.svg()


def _hint(choice: Choice) -> str:
    return f"{choice.rule}, block {choice.number}: {choice.lead:.1f} standard errors ahead\n{choice.shown[0].network}"
