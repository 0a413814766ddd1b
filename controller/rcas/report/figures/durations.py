"""How long trainings took, against the multiply-adds of their networks."""

from __future__ import annotations

from rcas.budget import format_count
from rcas.report.model import Report
from rcas.report.plot import WIDE, Canvas, Panel, spanning
from rcas.wording import duration


def durations(report: Report, width: int = WIDE) -> str:
    """One symbol an evaluation."""
    found = [(one.cost.madds, one.trained.training, one) for one in report.evaluations if one.trained]
    top, tall = 34, 190
    words = f"{len(found)} trainings, the longest {duration(max((s for _, s, _ in found), default=0.0))}."
    canvas = Canvas("durations", width, top + tall + 44, "How long trainings took", words)
    longest = max((seconds for _, seconds, _ in found), default=1.0)
    unit, name = (60.0, "minutes") if longest >= 180 else (1.0, "seconds")
    panel = Panel(
        canvas,
        (48, top, width - 14, top + tall),
        spanning([madds for madds, _, _ in found], least=1),
        (0, longest / unit * 1.08 or 1),
    )
    panel.axes("multiply-adds (MAdds)", f"{name} of training", lambda v: format_count(round(v)), lambda v: f"{v:.4g}")
    for madds, seconds, one in found:
        hint = f"{one.network}\n{duration(seconds)}, {format_count(madds)} MAdds"
        canvas.mark(panel.x(madds), panel.y(seconds / unit), "circle", "s0 paper", 4, hint)
    return canvas.svg()
