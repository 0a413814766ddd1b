"""The few primitives that the figures are drawn with: an SVG canvas, scales with nice ticks, a panel with axes.

Coordinates are pixels at the figure's own width. Every colour is a class, so that one style sheet serves light and
dark; every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

WIDE, NARROW = 720, 340
"""Widths that figures are made for: a page, and a phone."""


class Palette(NamedTuple):
    """Colours of one theme. `series`: of what is compared, by number."""

    paper: str
    ink: str
    muted: str
    grid: str
    soft: str
    series: tuple[str, ...]


LIGHT = Palette(
    paper="#ffffff",
    ink="#1d2329",
    muted="#59636e",
    grid="#e4e7eb",
    soft="#eef1f4",
    series=("#0072b2", "#c2410c", "#00795b", "#9b3f86", "#8a6d00", "#59636e"),
)
DARK = Palette(
    paper="#14181d",
    ink="#e8ebee",
    muted="#a3adb8",
    grid="#2c333b",
    soft="#222930",
    series=("#56b4e9", "#ff9559", "#3fcf9f", "#e08fce", "#e3c14f", "#a3adb8"),
)
"""Hues after Okabe and Ito, which people with any kind of colour blindness tell apart; contrast at least 4.5 to 1."""
SYMBOLS = ("circle", "square", "triangle", "diamond", "cross")
"""By series, because colour alone is not enough."""


def _rules(palette: Palette, scope: str) -> str:
    found = [
        f"{scope} text{{fill:{palette.ink}}}",
        f"{scope} .muted{{fill:{palette.muted}}}",
        f"{scope} .grid{{stroke:{palette.grid}}}",
        f"{scope} .axis{{stroke:{palette.muted}}}",
        f"{scope} .ink{{stroke:{palette.ink}}}",
        f"{scope} .paper{{fill:{palette.paper}}}",
        f"{scope} .soft{{fill:{palette.soft}}}",
        f"{scope} .edge{{stroke:{palette.paper}}}",
        f"{scope} .on{{fill:{palette.paper}}}",
    ]
    for number, colour in enumerate(palette.series):
        found += [f"{scope} .s{number}{{stroke:{colour}}}", f"{scope} .f{number}{{fill:{colour}}}"]
    return "".join(found)


def style(scope: str = ".plot", *, dark: bool = True) -> str:
    """The style sheet of all figures, light and, where the reader prefers it, dark."""
    base = (
        f"{scope} text{{font-family:system-ui,'Segoe UI',Roboto,'DejaVu Sans',Arial,sans-serif;font-size:12px}}"
        f"{scope} .strong{{font-weight:600}}{scope} .small{{font-size:11px}}{scope} .none{{fill:none}}"
        f"{scope} .thin{{stroke-width:1}}"
        f"{scope} .line{{fill:none;stroke-width:2;stroke-linejoin:round}}"
        f"{scope} .dash{{stroke-dasharray:5 4;stroke-width:1.5}}{scope} .mark{{stroke-width:2}}"
    )
    night = f"@media screen and (prefers-color-scheme:dark){{{_rules(DARK, scope)}}}" if dark else ""
    return base + _rules(LIGHT, scope) + night


def standalone(svg: str, *, dark: bool = True) -> str:
    """A figure as a file of its own, with its style."""
    head, _, rest = svg.partition(">")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}><style>{style(dark=dark)}</style>{rest}\n'


class Canvas:
    """Collects the marks of one figure.

    Args:
        name: unique on a page.
        width, height: in pixels.
        title: what it shows, for people who do not see it. description: what is to be seen in it.
    """

    def __init__(self, name: str, width: float, height: float, title: str, description: str) -> None:
        self.name, self.width, self.height, self.title, self.description = name, width, height, title, description
        self._marks = list[str]()

    def svg(self) -> str:
        """The whole element."""
        own = f"{self.name}-{self.width:g}"
        return (
            f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {self.width:g} {_n(self.height)}" '
            f'width="{self.width:g}" height="{_n(self.height)}" role="img" aria-labelledby="{own}-t {own}-d">'
            f'<title id="{own}-t">{escape(self.title)}</title><desc id="{own}-d">{escape(self.description)}</desc>'
            f'<rect class="paper" width="100%" height="100%"/>{"".join(self._marks)}</svg>'
        )

    def line(self, x1: float, y1: float, x2: float, y2: float, kind: str) -> None:
        """A straight line."""
        self._marks.append(f'<line class="{kind}" x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}"/>')

    def lines(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """Lines from point to point."""
        path = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._marks.append(f'<polyline class="line {kind}" points="{path}"/>')

    def area(self, points: Sequence[tuple[float, float]], kind: str) -> None:
        """A filled shape."""
        corners = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
        self._marks.append(f'<polygon class="{kind}" points="{corners}"/>')

    def rect(
        self, x: float, y: float, width: float, height: float, kind: str, *, round_: float = 0, hint: str = ""
    ) -> None:
        """A box; `hint` is shown under the pointer."""
        corner = f' rx="{_n(round_)}"' if round_ else ""
        size = f'width="{_n(max(0, width))}" height="{_n(max(0, height))}"'
        self._marks.append(f'<rect class="{kind}" x="{_n(x)}" y="{_n(y)}" {size}{corner}{_hinted("rect", hint)}')

    def text(self, x: float, y: float, text: str, kind: str = "", *, anchor: str = "start", turn: float = 0) -> None:
        """A line of text; y is its baseline, anchor start, middle or end."""
        turned = f' transform="rotate({_n(turn)} {_n(x)} {_n(y)})"' if turn else ""
        where = "" if anchor == "start" else f' text-anchor="{anchor}"'
        cls = f' class="{kind}"' if kind else ""
        self._marks.append(f'<text{cls} x="{_n(x)}" y="{_n(y)}"{where}{turned}>{escape(text)}</text>')

    def mark(self, x: float, y: float, symbol: str, kind: str, size: float = 5, hint: str = "") -> None:
        """A symbol around a point."""
        if symbol == "circle":
            self._marks.append(
                f'<circle class="mark {kind}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(size)}"{_hinted("circle", hint)}'
            )
            return
        shapes = {
            "square": [(-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)],
            "triangle": [(0, -1.15), (1.1, 0.85), (-1.1, 0.85)],
            "down": [(0, 1.15), (1.1, -0.85), (-1.1, -0.85)],
            "diamond": [(0, -1.25), (1.25, 0), (0, 1.25), (-1.25, 0)],
            "cross": [(-1, -1), (0, 0), (1, -1), (0, 0), (1, 1), (0, 0), (-1, 1), (0, 0)],
        }
        corners = " ".join(f"{_n(x + size * dx)},{_n(y + size * dy)}" for dx, dy in shapes[symbol])
        self._marks.append(f'<polygon class="mark {kind}" points="{corners}"{_hinted("polygon", hint)}')


def _hinted(tag: str, hint: str) -> str:
    return f"><title>{escape(hint)}</title></{tag}>" if hint else "/>"


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")


class Scale(NamedTuple):
    """Maps numbers from [low, high] to pixels from `start` to `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Where `value` lies, in pixels."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.end - self.start)


def ticks(low: float, high: float, most: int) -> list[float]:
    """Round numbers in [low, high], at most `most`, at steps of 1, 2 or 5 times a power of ten."""
    if not low < high:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / max(1, most)))
    step = next(s for s in (power, 2 * power, 5 * power, 10 * power, 20 * power) if (high - low) / s + 1 <= most + 1)
    while math.floor(high / step) - math.ceil(low / step) + 1 > most:
        step *= 2
    return [number * step for number in range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)]


def spanning(values: Iterable[float], *, least: float = 1e-9, air: float = 0.08) -> tuple[float, float]:
    """The range of `values` with some air around it, at least `least` wide."""
    found = list(values) or [0.0]
    low, high = min(found), max(found)
    room = max((high - low) * air, (least - (high - low)) / 2, 0)
    return low - room, high + room


@dataclass
class Panel:
    """A plot in a part of a canvas: axes, grid and names.

    Args:
        canvas: to draw on.
        box: left, top, right and bottom of the plotting area, in pixels.
        x_range, y_range: of the numbers.
    """

    canvas: Canvas
    box: tuple[float, float, float, float]
    x_range: tuple[float, float]
    y_range: tuple[float, float]

    def __post_init__(self) -> None:
        left, top, right, bottom = self.box
        self.x, self.y = Scale(*self.x_range, left, right), Scale(*self.y_range, bottom, top)

    def axes(
        self,
        x_name: str,
        y_name: str,
        say_x: Callable[[float], str],
        say_y: Callable[[float], str],
        *,
        most_x: int = 5,
        most_y: int = 6,
        whole_x: bool = False,
    ) -> None:
        """Grid lines, ticks and names; the name of y stands above, where it reads level. `whole_x`: no fractions."""
        left, top, right, bottom = self.box
        for value in ticks(*self.y_range, most_y):
            self.canvas.line(left, self.y(value), right, self.y(value), "grid")
            self.canvas.text(left - 6, self.y(value) + 4, say_y(value), "muted", anchor="end")
        for value in ticks(*self.x_range, most_x):
            if whole_x and value != round(value):
                continue
            self.canvas.line(self.x(value), bottom, self.x(value), bottom + 4, "axis")
            self.canvas.text(self.x(value), bottom + 17, say_x(value), "muted", anchor="middle")
        self.canvas.line(left, bottom, right, bottom, "axis")
        self.canvas.text((left + right) / 2, bottom + 34, x_name, anchor="middle")
        self.canvas.text(left, top - 10, y_name)


def legend(
    canvas: Canvas, x: float, y: float, entries: Sequence[tuple[str, str, str]], *, right: float, filled: bool = False
) -> float:
    """Symbols with their names in rows. `entries`: (symbol, class, name). Returns the y below the last row."""
    at = x
    for symbol, kind, name in entries:
        width = 22 + text_width(name)
        if at > x and at + width > right:
            at, y = x, y + 20
        canvas.mark(at + 6, y - 4, symbol, kind if filled else f"{kind} paper", 5)
        canvas.text(at + 17, y, name)
        at += width + 14
    return y + 14


def text_width(text: str, size: float = 12) -> float:
    """About how wide a text is, in pixels."""
    return 0.56 * size * len(text)
