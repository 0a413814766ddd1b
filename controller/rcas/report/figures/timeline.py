"""When each evaluation ran, on as many lines as ran at once."""

from __future__ import annotations

from typing import NamedTuple

from rcas.report.model import Evaluated, Report
from rcas.report.plot import WIDE, Canvas, Panel, legend
from rcas.wording import duration, percent


class Bar(NamedTuple):
    """An evaluation in its slot. `began`, `ended`: seconds since 1970."""

    evaluated: Evaluated
    slot: int
    began: float
    ended: float


def bars(report: Report) -> list[Bar]:
    """Those that ran after the search began, each on the first line that is free: what ran at once lies on several.

    A result says when the attempt ran that wrote it; earlier attempts that were cut off are not known.
    """
    told = [
        (one.trained.began, one.trained.ended, one)
        for one in report.evaluations
        if one.trained and one.trained.began is not None and one.trained.ended is not None
    ]
    found, free_at = list[Bar](), list[float]()
    for began, ended, one in sorted((t for t in told if t[1] > report.created), key=lambda t: (t[0], t[1], t[2].key)):
        slot = next((index for index, free in enumerate(free_at) if free <= began), len(free_at))
        free_at[slot : slot + 1] = [ended]
        found.append(Bar(one, slot, began, ended))
    return found


def timeline(report: Report, width: int = WIDE) -> str:
    """One bar an evaluation."""
    found = bars(report)
    slots = max((bar.slot + 1 for bar in found), default=1)
    each = max(5.0, min(22.0, 360 / slots))
    top, tall = 50.0, slots * each
    unread = "never read" if report.done else "not read yet"
    words = f"{len(found)} evaluations on {slots} slots." if found else "No times are known."
    canvas = Canvas("timeline", width, top + tall + 44, "When each evaluation ran", words)
    entries = [("square", "f0 s0", "read by a decision")]
    if not all(bar.evaluated.read for bar in found):
        entries.append(("square", "f4 s4", unread))
    if any(_cut(bar.evaluated) for bar in found):
        entries.append(("triangle", "f1 s1", "resumed or begun anew"))
    after = legend(canvas, 4, 18, entries, right=width, filled=True)
    if not found:
        canvas.text(width / 2, top + 10, "The results do not say when they were trained.", "muted", anchor="middle")
        return canvas.svg()
    first, last = min(bar.began for bar in found), max(bar.ended for bar in found)
    unit, name = _unit(last - first)
    span = max((last - first) / unit, 1e-6)
    top = max(top, after + 26)
    canvas.height = top + tall + 44
    panel = Panel(canvas, (30, top, width - 12, top + tall), (0, span), (slots, 0))
    panel.axes(f"{name} since the first began", "slot", lambda value: f"{value:.4g}", lambda _: "", most_x=8)
    for bar in found:
        x, end, y = panel.x((bar.began - first) / unit), panel.x((bar.ended - first) / unit), top + bar.slot * each
        kind = "f0" if bar.evaluated.read else "f4"
        canvas.rect(x, y + 1.5, max(1.0, end - x - 0.8), each - 3, kind, hint=_hint(bar))
        if _cut(bar.evaluated):
            canvas.mark(x + 5, y + each / 2, "triangle", "f1 edge", min(5.0, each / 3))
    if each >= 10:
        for slot in range(slots):
            canvas.text(22, top + (slot + 0.5) * each + 4, str(slot + 1), "muted", anchor="end")
    return canvas.svg()


def _cut(one: Evaluated) -> bool:
    return bool(one.trained and (one.trained.resumed or one.trained.restarted))


def _unit(seconds: float) -> tuple[float, str]:
    for size, name in ((86_400.0, "days"), (3600.0, "hours"), (60.0, "minutes")):
        if seconds >= 2 * size:
            return size, name
    return 1.0, "seconds"


def _hint(bar: Bar) -> str:
    one = bar.evaluated
    told = one.trained
    cut = f"\nresumed {told.resumed} times, begun anew {told.restarted} times" if told and _cut(one) else ""
    return f"{one.network}\n{percent(one.accuracy)}, {duration(bar.ended - bar.began)}{cut}"
