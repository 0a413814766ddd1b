"""The figures of a report, drawn by matplotlib: to be changed, put beside others and saved for a paper.

Each is a function from a `Report` to a `Figure` that belongs to no window. They say what those of
`rcas.report.figures` say, under the same names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import TYPE_CHECKING, Any

from rcas.budget import format_count
from rcas.notebook.extras import needed
from rcas.report.figures.timeline import bars
from rcas.report.model import Layer, Report
from rcas.report.noise import CLEAR
from rcas.report.words import series_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#c2410c", "#00795b", "#9b3f86", "#8a6d00", "#59636e")
"""Those of the report: told apart with any kind of colour blindness."""
MARKERS = ("o", "s", "^", "D", "X", "v")
MUTED, SOFT = COLOURS[-1], "#eef1f4"
POINTS = 100.0
"""Percentage points of an accuracy."""


def _count(value: float, _place: int | None = None) -> str:
    return format_count(round(value)) if value >= 0 else ""


def _milliseconds(value: float, _place: int | None = None) -> str:
    return f"{value / 1e6:.3g}"


_AXES = (
    ("params", "parameters", _count),
    ("madds", "multiply-adds", _count),
    ("latency_ns", "latency, ms", _milliseconds),
)
"""Costs with their names and how their ticks are said."""


def path(report: Report) -> Figure:
    """Accuracy along the accepted path against params, MAdds and latency if known: one curve a rule, budgets dashed.

    The vertical bar is one standard error of the best accuracy.
    """
    shown = [axis for axis in _AXES if report.start is None or getattr(report.start.cost, axis[0]) is not None]
    figure = _figure(4.5 * len(shown), 4)
    axes = figure.subplots(1, len(shown), sharey=True)
    for panel, (field, name, say) in zip(axes, shown, strict=True):
        for rule in report.rules:
            costs = [getattr(step.cost, field) for step in rule.path]
            panel.plot(costs, [step.accuracy * POINTS for step in rule.path], label=rule.rule, **_marks(rule.rule))
        if limit := getattr(report.budget, field):
            panel.axvline(limit, color=MUTED, linestyle="--", label="budget")
        if report.best and report.noise:
            error = report.noise.error * POINTS
            x, y = getattr(report.best.cost, field), report.best.accuracy * POINTS
            panel.errorbar(x, y, error, color=MUTED, capsize=4, zorder=1)
        panel.set_xlabel(name)
        panel.xaxis.set_major_formatter(say)
    axes[0].set_ylabel("accuracy, %")
    axes[0].legend()
    figure.suptitle("Accuracy along the accepted path")
    return figure


def network(report: Report) -> Figure:
    """The best network from the image at the top to the classes: a row for the stem, each stage and the head.

    +n is the block that its rule added as the n-th.
    """
    rows = [(name, list(layers)) for name, layers in groupby(report.layers, key=_row)]
    figure = _figure(9, 0.7 * len(rows) + 0.8)
    axes = figure.subplots()
    axes.set(xlim=(-2.6, max((len(layers) for _, layers in rows), default=1)), ylim=(-len(rows), 0.2))
    axes.set_axis_off()
    for number, (name, layers) in enumerate(rows):
        last = layers[-1] if layers[-1].part != "classifier" else layers[0]
        size = f"{name}: {last.outputs:,} channels, {last.height} x {last.width}"
        axes.text(-2.55, -number - 0.4, size, va="center")
        for place, layer in enumerate(layers):
            colour = SOFT if layer.type is None else COLOURS[(layer.type - 1) % len(COLOURS)]
            box = {"boxstyle": "round", "facecolor": SOFT, "edgecolor": colour, "linewidth": 2}
            axes.text(place + 0.5, -number - 0.4, _words(layer), ha="center", va="center", bbox=box)
    figure.suptitle(f"The best network, {report.best.network}" if report.best else "No network is decided yet")
    return figure


def spending(report: Report) -> Figure:
    """What plain greedy would have trained, what was measured, and what of it the decisions have read."""
    reused = min(report.counters.reused, len(report.evaluations))
    unread = "never read" if report.done else "not read yet"
    parts = (
        ("plain greedy\nwould have trained", [(report.offered, 5, "trainings")]),
        ("this search measured", [(len(report.evaluations) - reused, 0, "trained"), (reused, 2, "reused")]),
        ("its decisions have", [(report.demanded, 0, "read"), (report.unread, 4, unread)]),
    )
    figure = _figure(8, 2.6)
    axes = figure.subplots()
    for name, counts in parts:
        left = 0
        for count, colour, words in counts:
            drawn = axes.barh(name, count, left=left, color=COLOURS[colour])
            if count:
                axes.bar_label(drawn, [f"{count:,} {words}"], label_type="center", color="white")
            left += count
    axes.invert_yaxis()
    axes.set_xlabel("networks")
    figure.suptitle("How the evaluations were spent")
    return figure


def gains(report: Report) -> Figure:
    """Gains when they were measured again, against those before; above the dashed line they had grown.

    In the grey band chance alone may have changed them.
    """
    figure = _figure(5, 5)
    axes = figure.subplots()
    values = [0.0]
    for rule in report.rules:
        weighed = [one for choice in report.choices if choice.rule == rule.rule for one in choice.shown]
        again = [(one.stale * POINTS, one.gain * POINTS) for one in weighed if one.stale is not None]
        if again:
            axes.plot(*zip(*again, strict=True), label=rule.rule, linestyle="none", **_marks(rule.rule))
            values += [value for pair in again for value in pair]
    low, high = min(values) - 0.3, max(values) + 0.3
    axes.axline((0, 0), slope=1, color=MUTED, linestyle="--", label="unchanged")
    if report.noise:
        # A change of a gain is made of four accuracies.
        wide, ends = CLEAR * 2 * report.noise.error * POINTS, (low, high)
        axes.fill_between(ends, [x - wide for x in ends], [x + wide for x in ends], color=SOFT, zorder=0)
    axes.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    axes.set(xlabel="gain before, points", ylabel="gain measured again, points")
    axes.legend()
    grown, checked = (sum(getattr(rule.diminishing, name) for rule in report.rules) for name in ("broken", "checked"))
    figure.suptitle(f"{grown:,} of {checked:,} gains measured again had grown")
    return figure


def choices(report: Report) -> Figure:
    """By how many standard errors each decision's winner was ahead; in the grey band it may be chance."""
    figure = _figure(7, 3.6)
    axes = figure.subplots()
    axes.axhspan(-CLEAR, CLEAR, color=SOFT, label="may be chance")
    axes.axhline(0, color=MUTED, linewidth=1)
    for place, rule in enumerate(report.rules):
        found = [(one.number, one.lead) for one in report.choices if one.rule == rule.rule and one.lead is not None]
        x, y = [number + 0.1 * place for number, _ in found], [lead for _, lead in found]
        axes.plot(x, y, label=rule.rule, linestyle="none", **_marks(rule.rule))
    axes.set(xlabel="accepted block", ylabel="lead, standard errors")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    figure.suptitle("How clear each decision was")
    return figure


def timeline(report: Report) -> Figure:
    """When each evaluation ran, on as many lines as ran at once; a triangle was resumed or begun anew."""
    found = bars(report)
    first = min((bar.began for bar in found), default=0.0)
    figure = _figure(9, 0.3 * max((bar.slot for bar in found), default=0) + 2)
    axes = figure.subplots()
    unread = "never read" if report.done else "not read yet"
    for read, colour, words in ((True, 0, "read by a decision"), (False, 4, unread)):
        own = [bar for bar in found if bar.evaluated.read == read]
        if not own:
            continue
        axes.barh(
            [bar.slot + 1 for bar in own],
            [bar.ended - bar.began for bar in own],
            left=[bar.began - first for bar in own],
            color=COLOURS[colour],
            edgecolor="white",
            label=words,
        )
    cut = [bar for bar in found if (told := bar.evaluated.trained) and (told.resumed or told.restarted)]
    if cut:
        x, y = [bar.began - first for bar in cut], [bar.slot + 1 for bar in cut]
        axes.plot(x, y, color=COLOURS[1], marker="^", linestyle="none", label="resumed or begun anew")
    axes.invert_yaxis()
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.set(xlabel="seconds since the first began", ylabel="slot")
    if found:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle("When each evaluation ran" if found else "The results do not say when they were trained")
    return figure


def durations(report: Report) -> Figure:
    """How long each training took, against the MAdds of its network."""
    figure = _figure(6, 4)
    axes = figure.subplots()
    told = [(one.cost.madds, one.trained.training) for one in report.evaluations if one.trained]
    x, y = [madds for madds, _ in told], [seconds for _, seconds in told]
    axes.plot(x, y, color=COLOURS[0], marker="o", linestyle="none", alpha=0.7)
    axes.set(xlabel="multiply-adds", ylabel="seconds of training")
    axes.set_ylim(bottom=0)
    axes.xaxis.set_major_formatter(_count)
    figure.suptitle("How long trainings took")
    return figure


FIGURES: dict[str, Callable[[Report], Figure]] = {
    draw.__name__: draw for draw in (path, network, spending, gains, choices, timeline, durations)
}
"""All of them by name."""


def _figure(width: float, height: float) -> Any:
    """An empty figure of so many inches that knows no window system.

    Raises:
        InvalidSpec: matplotlib is not installed.
    """
    needed("matplotlib")
    from rcas.notebook.canvas import ShownFigure

    return ShownFigure(figsize=(width, height), layout="constrained")


def _marks(rule: str) -> dict[str, str]:
    """Colour and symbol of a rule, because colour alone is not enough."""
    number = series_of(rule)
    return {"color": COLOURS[number], "marker": MARKERS[number]}


def _row(layer: Layer) -> str:
    if layer.stage is not None:
        return f"Stage {layer.stage}"
    return "Stem" if layer.part.startswith("stem") else "Head"


def _words(layer: Layer) -> str:
    return "\n".join(_lines(layer))


def _lines(layer: Layer) -> Iterator[str]:
    match layer.part:
        case "stem":
            yield "conv 3x3"
        case "head":
            yield "conv 1x1"
        case "classifier":
            yield "linear"
        case _:
            yield "block" if layer.type is None else f"type {layer.type}"
    if layer.stride > 1:
        yield "stride 2"
    if layer.added is not None:
        yield f"+{layer.added}"
