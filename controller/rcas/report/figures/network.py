"""The best network as a picture: one row a stage, one box a block."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from rcas.budget import format_count
from rcas.report.model import Layer, Report
from rcas.report.plot import WIDE, Canvas
from rcas.wording import counted

_BOX, _HIGH, _GAP = 94.0, 54.0, 8.0


def network(report: Report, width: int = WIDE) -> str:
    """From the image at the top to the classes at the bottom."""
    beside = width >= 600
    left = 176.0 if beside else 22.0
    room = max(1, int((width - left) // (_BOX + _GAP)))
    rows = [(key, list(found)) for key, found in groupby(report.layers, key=_row)]
    heights = [_height(len(layers), room, above=not beside) for _, layers in rows]
    top = 34.0
    canvas = Canvas("network", width, top + sum(heights) + 30, "The best network", _description(report))
    channels, height, across = report.input
    canvas.text(left, 18, f"image, {counted(channels, 'channel')}, {height} x {across} pixels", "muted")
    canvas.line(left - 16, 12, left - 16, top + sum(heights) + 12, "axis")
    y = top
    for (name, layers), tall in zip(rows, heights, strict=True):
        _label(canvas, name, layers, y, left, beside=beside)
        for index, layer in enumerate(layers):
            x = left + (index % room) * (_BOX + _GAP)
            _box(canvas, x, y + (0 if beside else 22) + (index // room) * (_HIGH + _GAP), layer)
        y += tall
    canvas.mark(left - 16, y + 10, "down", "axis soft", 4)
    canvas.text(left, y + 14, f"{report.classes:,} classes", "muted")
    return canvas.svg()


def _row(layer: Layer) -> str:
    if layer.stage is not None:
        return f"Stage {layer.stage}"
    return "Stem" if layer.part.startswith("stem") else "Head"


def _height(boxes: int, room: int, *, above: bool) -> float:
    return -(-boxes // room) * (_HIGH + _GAP) + 10 + (22 if above else 0)


def _label(canvas: Canvas, name: str, layers: list[Layer], y: float, left: float, *, beside: bool) -> None:
    last = layers[-1] if name != "Head" else layers[0]
    size = f"{last.outputs:,} channels, {last.height} x {last.width}"
    if beside:
        canvas.text(4, y + 20, name, "strong")
        canvas.text(4, y + 37, size, "muted")
    else:
        canvas.text(left, y + 13, f"{name}: {size}", "strong")


def _box(canvas: Canvas, x: float, y: float, layer: Layer) -> None:
    canvas.rect(x, y, _BOX, _HIGH, "soft axis thin", round_=6, hint=_hint(layer))
    head, body, foot = _words(layer)
    if layer.type is not None:
        canvas.rect(x, y + 6, 4, _HIGH - 12, f"f{layer.type - 1}")
    canvas.text(x + 12, y + 18, head, "strong")
    canvas.text(x + 12, y + 33, body, "small muted")
    canvas.text(x + 12, y + 46, foot, "small muted")
    if layer.added is not None:
        canvas.text(x + _BOX - 7, y + 18, f"+{layer.added}", "small muted", anchor="end")


def _words(layer: Layer) -> tuple[str, str, str]:
    stride = ", stride 2" if layer.stride > 1 else ""
    if layer.part == "stem":
        return "conv 3x3", f"{layer.inputs} to {layer.outputs}", stride.removeprefix(", ")
    if layer.part == "head":
        return "conv 1x1", f"{layer.inputs} to {layer.outputs:,}", ""
    if layer.part == "classifier":
        return "linear", "of the mean", f"to {layer.outputs:,}"
    groups = f"groups {layer.expansion_groups}, {layer.projection_groups}"
    name = "block" if layer.type is None else f"type {layer.type}"
    return name, f"x{layer.expansion}{stride}", groups


def _hint(layer: Layer) -> str:
    shortcut = f", shortcut: {layer.shortcut}" if layer.shortcut else ""
    costs = f"{format_count(layer.cost.params)} parameters, {format_count(layer.cost.madds)} MAdds"
    return f"{layer.inputs} to {layer.outputs} channels, output {layer.height} x {layer.width}{shortcut}\n{costs}"


def _description(report: Report) -> str:
    return " ".join(f"{name}: {_list(found)}." for name, found in groupby(report.layers, key=_row))


def _list(layers: Iterable[Layer]) -> str:
    return ", ".join(f"type {one.type}" if one.type is not None else _words(one)[0] for one in layers)
