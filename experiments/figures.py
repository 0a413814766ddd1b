"""The figures of a record, as SVG that is the same whenever it is drawn again."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter

from experiments.records import Record
from experiments.tables import by_finals, by_seeds, chain_means

RULE_MARKS = {"UC": "o", "APR": "s", "AMR": "^", "JOINT": "D"}
_SETTINGS: Any = {
    "svg.hashsalt": "rcas",
    "svg.fonttype": "none",
    "font.size": 10,
    "axes.grid": True,
    "grid.alpha": 0.3,
}


def figures(record: Record) -> Iterator[tuple[str, str]]:
    """(name, SVG) of each."""
    with mpl.rc_context(_SETTINGS):
        for name, draw in (("methods", _methods), ("path", _path), ("chain", _chain)):
            figure = draw(record)
            text = io.StringIO()
            figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, bbox_inches="tight")
            yield name, text.getvalue()


def _methods(record: Record) -> Figure:
    figure = Figure(figsize=(9, 3.4))
    names = [method.name for method in record.repetitions[0].methods]
    for number, (score, title) in enumerate(
        ((by_seeds, "short training, other seeds"), (by_finals, "final training"))
    ):
        axes = figure.add_subplot(1, 2, number + 1)
        for place, name in enumerate(names):
            values = [score(repetition.method(name)) * 100 for repetition in record.repetitions]
            axes.plot(values, [place] * len(values), "o", color="#0072b2", alpha=0.7)
            axes.plot(sum(values) / len(values), place, "|", color="black", markersize=16, markeredgewidth=2)
        axes.set_yticks(range(len(names)), names if number == 0 else [""] * len(names))
        axes.invert_yaxis()
        axes.set_xlabel(f"accuracy in %, {title}")
    figure.suptitle(f"Each dot is one repetition ({len(record.repetitions)}), the bar their mean", fontsize=10)
    return figure


def _path(record: Record) -> Figure:
    figure = Figure(figsize=(9, 3.4))
    for number, (cost, label) in enumerate((("params", "params"), ("madds", "MAdds"))):
        axes = figure.add_subplot(1, 2, number + 1)
        for rule, mark in RULE_MARKS.items():
            for repetition in record.repetitions:
                steps = [step for step in repetition.path if step.rule == rule]
                if steps:
                    xs = [getattr(step, cost) for step in steps]
                    ys = [float(step.counts.accuracy) * 100 for step in steps]
                    name = rule if repetition is record.repetitions[0] else "_"
                    axes.plot(xs, ys, marker=mark, color=f"C{list(RULE_MARKS).index(rule)}", alpha=0.6, label=name)
        for repetition in record.repetitions:
            reference = repetition.method("mobilenetv2")
            x, y = getattr(reference, cost), by_seeds(reference) * 100
            name = "MobileNetV2" if repetition is record.repetitions[0] else "_"
            axes.plot(x, y, "*", color="black", markersize=9, label=name)
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.set_xlabel(label)
        axes.set_ylabel("validation accuracy in %")
        axes.legend(fontsize=8)
    figure.tight_layout()
    return figure


def _chain(record: Record) -> Figure:
    figure = Figure(figsize=(5, 3.2))
    axes = figure.add_subplot()
    for repetition in record.repetitions:
        axes.plot([by_seeds(one) * 100 for one in repetition.chain], "o-", color="0.7")
    axes.plot([mean * 100 for mean in chain_means(record)], "o-", color="#0072b2", label="mean")
    axes.set_xlabel("blocks of type 5 added")
    axes.set_ylabel("validation accuracy in %")
    axes.legend()
    return figure
