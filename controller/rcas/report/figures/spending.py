"""How the evaluations were spent: against plain greedy, by where results came from, by whether they were read."""

from __future__ import annotations

from rcas.report.model import Report
from rcas.report.plot import WIDE, Canvas, Scale, text_width

Part = tuple[int, str, str]
"""How many, its class, what it is."""


def spending(report: Report, width: int = WIDE) -> str:
    """Three bars on one scale."""
    measured, reused = len(report.evaluations), min(report.counters.reused, len(report.evaluations))
    unread = "never read" if report.done else "not read yet"
    bars: list[tuple[str, list[Part]]] = [
        ("Plain greedy would have trained", [(report.offered, "f5", "trainings")]),
        ("This search measured", [(measured - reused, "f0", "trained"), (reused, "f2", "reused")]),
        ("Of them its decisions have", [(report.demanded, "f0", "read"), (report.unread, "f4", unread)]),
    ]
    if not any(rule.offered for rule in report.rules):
        # Nothing is accepted yet, so there is nothing to compare with.
        bars = bars[1:]
    canvas = Canvas("spending", width, 68 * len(bars) + 8, "How the evaluations were spent", _description(bars))
    scale = Scale(0, max(1, *(sum(part[0] for part in parts) for _, parts in bars)), 4, width - 8)
    for number, (name, parts) in enumerate(bars):
        _bar(canvas, scale, 16 + 68 * number, name, parts)
    return canvas.svg()


def _bar(canvas: Canvas, scale: Scale, y: float, name: str, parts: list[Part]) -> None:
    canvas.text(4, y, name, "strong")
    at, label_from = 0, 0.0
    for count, kind, words in parts:
        if not count:
            continue
        start, end = scale(at), scale(at + count)
        canvas.rect(start, y + 7, max(1.5, end - start - 1.5), 18, kind, hint=f"{count:,} {words}")
        text = f"{count:,} {words}"
        # Under its part, but never over the words before.
        place = max(start, label_from)
        canvas.text(place, y + 40, text, "muted")
        label_from = place + text_width(text) + 14
        at += count


def _description(bars: list[tuple[str, list[Part]]]) -> str:
    return " ".join(
        f"{name}: {', '.join(f'{count:,} {words}' for count, _, words in parts)}." for name, parts in bars
    )
