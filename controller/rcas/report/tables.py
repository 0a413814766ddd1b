"""The tables of a report: one source for HTML, Markdown, CSV and notebooks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rcas.report.model import Held, Report
from rcas.report.table import Column, Table
from rcas.report.words import latency
from rcas.wording import STOPPED, duration, percent, points


def _count(value: int) -> str:
    return f"{value:,}"


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _whole(value: float) -> str:
    return f"{value:.0f}"


def _in_points(value: float) -> str:
    return f"{value * 100:.2f}"


def _tenths(value: float) -> str:
    return f"{value:+.1f}"


def _rough(share: float) -> str:
    return f"{share:.0%}"


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"


_RULE = Column("rule", "Rule")
_NETWORK = Column("network", "Network")
_ACCURACY = Column("accuracy", "Accuracy", percent, number=True)
_PARAMS = Column("params", "Parameters", _count, number=True)
_MADDS = Column("madds", "MAdds", _count, number=True)
_LATENCY = Column("latency_ns", "Latency", latency, number=True)


def rules(report: Report) -> Table:
    """Where each rule ended."""
    columns = (
        _RULE,
        Column("blocks", "Blocks", _count, number=True),
        _ACCURACY,
        _PARAMS,
        _MADDS,
        _LATENCY,
        _NETWORK,
        Column("ended", "Ended because"),
    )
    rows = (
        (
            rule.rule,
            last.number,
            last.accuracy,
            last.cost.params,
            last.cost.madds,
            last.cost.latency_ns,
            last.network,
            STOPPED[rule.stopped],
        )
        for rule in report.rules
        if rule.path
        for last in rule.path[-1:]
    )
    return Table("rules", "What each rule found", columns, tuple(rows))


def path(report: Report) -> Table:
    """Every accepted block."""
    columns = (
        _RULE,
        Column("block_number", "Block", _count, number=True),
        Column("type", "Type", number=True),
        Column("stage", "Stage", str, number=True),
        Column("position", "Position", number=True),
        Column("gain", "Gain, points", points, number=True),
        _ACCURACY,
        _PARAMS,
        _MADDS,
        _LATENCY,
        _NETWORK,
    )
    rows = (
        (
            rule.rule,
            step.number,
            step.block,
            step.stage,
            step.position,
            step.gain,
            step.accuracy,
            step.cost.params,
            step.cost.madds,
            step.cost.latency_ns,
            step.network,
        )
        for rule in report.rules
        for step in rule.path
    )
    return Table("path", "Every network on the paths; block 0 is the start network", columns, tuple(rows))


def evaluations(report: Report) -> Table:
    """Every measured network."""
    columns = (
        _NETWORK,
        Column("correct", "Right", _count, number=True),
        Column("total", "Images", _count, number=True),
        _ACCURACY,
        _PARAMS,
        _MADDS,
        _LATENCY,
        Column("read", "Read by a decision", _yes),
        Column("train_seconds", "Training", _seconds, number=True),
        Column("resumed", "Resumed", _count, number=True),
        Column("began", "Began", _whole, number=True),
        Column("ended", "Ended", _whole, number=True),
        Column("key", "Key"),
    )
    rows = list[tuple[Any, ...]]()
    for one in report.evaluations:
        told = one.trained
        rest = (told.training, told.resumed, told.began, told.ended) if told else (None,) * 4
        rows.append(
            (
                one.network,
                one.correct,
                one.total,
                one.accuracy,
                one.cost.params,
                one.cost.madds,
                one.cost.latency_ns,
                one.read,
                *rest,
                one.key,
            )
        )
    return Table("evaluations", "Every measured network", columns, tuple(rows))


def choices(report: Report) -> Table:
    """Every decision."""
    columns = (
        _RULE,
        Column("block_number", "Block", _count, number=True),
        Column("candidates", "Candidates", _count, number=True),
        Column("measured", "Measured for it", _count, number=True),
        Column("parked", "Did not fit", _count, number=True),
        Column("gain", "Winner's gain, points", points, number=True),
        Column("margin", "Ahead of the next by, points", points, number=True),
        Column("lead", "Lead under the rule, standard errors", _tenths, number=True),
        Column("network", "Winner"),
    )
    rows = (
        (
            one.rule,
            one.number,
            one.candidates,
            one.measured,
            one.parked,
            one.shown[0].gain,
            one.margin,
            one.lead,
            one.shown[0].network,
        )
        for one in report.choices
    )
    return Table("choices", "Every decision", columns, tuple(rows))


def gains(report: Report) -> Table:
    """Gains that were measured again."""
    columns = (
        _RULE,
        Column("block_number", "For block", _count, number=True),
        _NETWORK,
        Column("stale", "Gain before, points", points, number=True),
        Column("gain", "Measured again, points", points, number=True),
        Column("grew", "Had grown", _yes),
    )
    rows = (
        (one.rule, one.number, weighed.network, weighed.stale, weighed.gain, weighed.gain > weighed.stale)
        for one in report.choices
        for weighed in one.shown
        if weighed.stale is not None
    )
    return Table("gains", "Gains that were measured again", columns, tuple(rows))


_PARTS = {"stem": "3x3 convolution", "stem-block": "block", "head": "1x1 convolution", "classifier": "linear"}


def layers(report: Report) -> Table:
    """The best network, layer by layer."""
    columns = (
        Column("part", "Layer"),
        Column("stage", "Stage", str, number=True),
        Column("type", "Type", number=True),
        Column("expansion", "Expansion", number=True),
        Column("groups", "Groups"),
        Column("inputs", "In", _count, number=True),
        Column("outputs", "Out", _count, number=True),
        Column("stride", "Stride", number=True),
        Column("size", "Output"),
        Column("shortcut", "Shortcut"),
        _PARAMS,
        _MADDS,
        _LATENCY,
        Column("added", "Added as", number=True),
    )
    rows = (
        (
            _PARTS.get(one.part, "block"),
            one.stage,
            one.type,
            one.expansion if "block" in one.part else None,
            f"{one.expansion_groups}, {one.projection_groups}" if "block" in one.part else None,
            one.inputs,
            one.outputs,
            one.stride,
            f"{one.height} x {one.width}",
            one.shortcut,
            one.cost.params,
            one.cost.madds,
            one.cost.latency_ns,
            one.added,
        )
        for one in report.layers
    )
    return Table("layers", "The best network, layer by layer", columns, tuple(rows))


def spending(report: Report) -> Table:
    """How the evaluations were spent."""
    counters = report.counters
    rows = [
        ("networks measured", report.networks),
        ("trainings that measured them", len(report.evaluations)),
        ("of them trained by this search", counters.trained),
        ("of them reused: their results were in the store already", counters.reused),
        ("of them read by a decision", report.demanded),
        (unread_words(report), report.unread),
        ("trainings that plain greedy would have run for the same decisions", report.offered),
        ("of them avoided, because gains were not measured again or networks are the same", report.avoided),
        ("attempts that failed and were tried again", counters.failures),
        ("attempts that were interrupted and went on", counters.interruptions),
    ]
    columns = (Column("what", "What"), Column("count", "Count", _count, number=True))
    return Table("spending", "How the evaluations were spent", columns, tuple(rows))


def unread_words(report: Report) -> str:
    """What results are called that no decision has read."""
    if report.done:
        return "of them never read: trained on a guess that no decision needed"
    return "of them not read yet"


def durations(report: Report) -> Table:
    """Where the time of the trainings went."""
    told = [one.trained for one in report.evaluations if one.trained]
    parts = (
        ("starting the trainer", [one.startup for one in told]),
        ("reading data", [one.data for one in told]),
        ("training", [one.training for one in told]),
        ("measuring", [one.validation for one in told]),
    )
    total = sum(sum(values) for _, values in parts) or 1.0
    columns = (
        Column("activity", "Activity"),
        Column("seconds", "In all", duration, number=True),
        Column("share", "Share", _rough, number=True),
        Column("mean", "For one network", _seconds, number=True),
    )
    rows = tuple(
        (name, sum(values), sum(values) / total, sum(values) / max(1, len(values))) for name, values in parts
    )
    return Table("durations", "Where the time of the trainings went", columns, rows)


def assumptions(report: Report) -> Table:
    """How often the paper's assumptions did not hold in what was measured."""
    columns = (
        _RULE,
        Column("assumption", "Assumption"),
        Column("checked", "Checked", _count, number=True),
        Column("broken", "Did not hold", _count, number=True),
        Column("mean", "By, points (mean)", _in_points, number=True),
        Column("worst", "By, points (worst)", _in_points, number=True),
    )

    def row(rule: str, words: str, held: Held) -> tuple[Any, ...]:
        broken = (held.mean, held.worst) if held.broken else (None, None)
        return (rule, words, held.checked, held.broken, *broken)

    rows = (
        row(rule.rule, words, held)
        for rule in report.rules
        for words, held in (
            ("a gain does not grow as blocks are added", rule.diminishing),
            ("a block does not lower the accuracy", rule.rising),
        )
    )
    return Table("assumptions", "The method's assumptions, checked", columns, tuple(rows))


def protocol(report: Report) -> Table:
    """Everything that can change an accuracy."""
    fields = report.protocol.model_dump(mode="json", exclude={"versions"})
    flat = list[tuple[str, str]]()
    for name, value in fields.items():
        inner = value.items() if isinstance(value, dict) else [("", value)]
        flat += [(f"{name}.{key}".rstrip("."), _plain(one)) for key, one in inner]
    columns = (Column("field", "Field"), Column("value", "Value"))
    return Table("protocol", "Everything that can change an accuracy", columns, tuple(flat))


def versions(report: Report) -> Table:
    """Of what trained and of what made the report."""
    found = {**report.protocol.versions, "this report": f"rcas {report.rcas}"}
    devices = dict.fromkeys(one.trained.device for one in report.evaluations if one.trained)
    found |= {"trained on": ", ".join(devices)} if devices else {}
    columns = (Column("part", "Part"), Column("version", "Version"))
    return Table("versions", "Versions", columns, tuple(found.items()))


def finals(report: Report) -> Table:
    """Final trainings."""
    columns = (
        Column("of", "Of"),
        Column("onto", "Onto skeleton"),
        Column("epochs", "Epochs", _count, number=True),
        Column("done", "Trainings done", _count, number=True),
        Column("seeds", "Of", _count, number=True),
        Column("top1", "Top-1, mean", percent, number=True),
        Column("top1_spread", "Its spread, points", _in_points, number=True),
        Column("top5", "Top-5, mean", percent, number=True),
        Column("top5_spread", "Its spread, points", _in_points, number=True),
        _NETWORK,
        _PARAMS,
        _MADDS,
        _LATENCY,
    )
    rows = (
        (
            one.of,
            one.onto,
            one.epochs,
            one.top1.count if one.top1 else 0,
            one.seeds,
            one.top1.mean if one.top1 else None,
            one.top1.spread if one.top1 else None,
            one.top5.mean if one.top5 else None,
            one.top5.spread if one.top5 else None,
            one.network,
            one.cost.params,
            one.cost.madds,
            one.cost.latency_ns,
        )
        for one in report.finals
    )
    return Table("finals", "Final trainings, measured on the test set", columns, tuple(rows))


def baselines(report: Report) -> Table:
    """Other methods under the same budget."""
    columns = (
        Column("method", "Method"),
        Column("seed", "Seed", number=True),
        Column("trainings", "Trainings", _count, number=True),
        Column("accuracy", "Accuracy chosen by", percent, number=True),
        Column("other_seeds", "From other seeds, mean", percent, number=True),
        Column("spread", "Its spread, points", _in_points, number=True),
        _PARAMS,
        _MADDS,
        _LATENCY,
        _NETWORK,
    )
    rows = (
        (
            one.method,
            one.seed,
            one.trainings,
            one.accuracy,
            one.other_seeds.mean if one.other_seeds else None,
            one.other_seeds.spread if one.other_seeds else None,
            one.cost.params,
            one.cost.madds,
            one.cost.latency_ns,
            one.network,
        )
        for one in report.baselines
    )
    return Table("baselines", "Other methods under the same budget", columns, tuple(rows))


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return _yes(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "none" if value is None else str(value)


TABLES: dict[str, Callable[[Report], Table]] = {
    make.__name__: make
    for make in (
        rules,
        path,
        choices,
        gains,
        evaluations,
        spending,
        durations,
        assumptions,
        layers,
        protocol,
        versions,
        finals,
        baselines,
    )
}
"""All of them by name."""
