"""The sections of a report, in order."""

from __future__ import annotations

from collections.abc import Callable

from rcas.blocks import BLOCK_TYPES
from rcas.report import tables
from rcas.report.figures import choices, durations, gains, network, path, spending, timeline
from rcas.report.figures.timeline import bars
from rcas.report.markup import code, details, figure, paragraph, section, table, terms
from rcas.report.model import Report
from rcas.report.table import Column, Table
from rcas.report.words import GLOSSARY, measured_words
from rcas.wording import counted, duration, points


def _finals(report: Report) -> str:
    if not report.finals:
        return ""
    return section(
        "finals",
        "Trained to the end",
        paragraph(
            "A final training starts anew, uses all training images, takes many more epochs, and is measured once, "
            "on test images that the search never saw. So its accuracy is another quantity than the search's. Top-5 "
            "counts an image as right if its class is among the five first guesses; the spread is the standard "
            "deviation over seeds."
        ),
        table(tables.finals(report)),
    )


def _network(report: Report) -> str:
    if not report.layers:
        return ""
    types = sorted({layer.type for layer in report.layers if layer.type is not None})
    rows = tuple((number, *BLOCK_TYPES[number]) for number in types)
    columns = (
        Column("type", "Type"),
        Column("expansion", "Expansion", number=True),
        Column("expansion_groups", "Groups of the expansion", number=True),
        Column("projection_groups", "Groups of the projection", number=True),
    )
    return section(
        "network",
        "The network",
        paragraph(
            "Each box is a block: a 1x1 convolution that multiplies the channels (x6: by six), a 3x3 convolution on "
            "each channel by itself, and a 1x1 convolution back. Groups say into how many independent parts the two "
            "1x1 convolutions are split. A small +3 means that the search added this block as its third; blocks "
            "without a number were there from the start."
        ),
        figure(report, network, "The best network from the image to the classes; stride 2 halves height and width."),
        table(Table("types", "The block types in it", columns, rows)),
        details("Every layer with its cost", table(tables.layers(report))),
    )


def _path(report: Report) -> str:
    if not report.best:
        return ""
    return section(
        "path",
        "How it got there",
        paragraph(
            "Each curve is one rule for choosing the next block. All start from the same small network; every "
            "symbol is a block that was added. The dashed line is the budget. The ring marks the best network, the "
            "bar on it its standard error. The answer is the best of the rules' last networks."
        ),
        figure(report, path, "Accuracy on the validation images against what the network costs."),
        table(tables.rules(report)),
        details("Every network on the paths", table(tables.path(report))),
    )


def _baselines(report: Report) -> str:
    if not report.baselines:
        return ""
    return section(
        "baselines",
        "Beside other methods",
        paragraph(
            "The same budget, the same training, the same number of trainings. A method that takes the best of many "
            "noisy measurements overstates it; the accuracy from other seeds does not."
        ),
        table(tables.baselines(report)),
    )


def _spending(report: Report) -> str:
    if not report.evaluations:
        return ""
    counters, unread = report.counters, report.unread
    lines = [f"The search measured {measured_words(report)}."]
    if any(rule.offered for rule in report.rules):
        lines.append(
            f"Plain greedy, which measures every candidate anew before each block, would have run "
            f"{counted(report.offered, 'training')} for the same decisions."
        )
    if unread and report.done:
        words = (
            "was trained on a guess that no decision needed"
            if unread == 1
            else ("were trained on guesses that no decision needed")
        )
        lines.append(f"{unread:,} {words}: workers that would have been idle try what is needed next.")
    elif unread:
        lines.append(f"{counted(unread, 'result')} no decision has read yet.")
    if counters.failures or counters.interruptions:
        lines.append(
            f"{counted(counters.failures, 'attempt')} failed and {counters.interruptions:,} "
            f"{'was' if counters.interruptions == 1 else 'were'} interrupted; all of that was tried again or went on "
            "from a checkpoint."
        )
    if report.missing:
        lines.append(
            f"Of {counted(report.missing, 'training')} the result object is gone or unreadable; the search keeps the "
            "counts, so nothing it decided depends on it."
        )
    return section(
        "spending",
        "What it took",
        paragraph(" ".join(lines)),
        figure(report, spending, "Trainings: of plain greedy, of this search, and what became of them."),
        table(tables.spending(report)),
        details("Every measured network", table(tables.evaluations(report))),
    )


def _assumptions(report: Report) -> str:
    checked = sum(rule.diminishing.checked + rule.rising.checked for rule in report.rules)
    if not checked:
        return ""
    again = any(one.stale is not None for choice in report.choices for one in choice.shown)
    held = (
        "Nothing measured contradicts them. That is no proof of the bound."
        if report.bound_holds
        else "Some measurements contradict them, so the bound does not hold here: this is greedy search on a noisy "
        "measure."
    )
    return section(
        "assumptions",
        "Do the method's assumptions hold?",
        paragraph(
            "The method assumes that a block brings less the more blocks there are already (diminishing returns), "
            f"and that no block lowers the accuracy. The paper's bound, at least 1/2 (1 - 1/e) of the best possible, "
            f"rests on both. {held}"
        ),
        figure(
            report,
            gains,
            "Gains that were measured again when more blocks were there. On the dashed line nothing has changed. In "
            "the grey band the change is within two standard errors of what it is made of.",
        )
        if again
        else "",
        table(tables.assumptions(report)),
        details("Every gain that was measured again", table(tables.gains(report))) if again else "",
    )


def _noise(report: Report) -> str:
    noise = report.noise
    if noise is None or not noise.choices:
        return ""
    typical = (
        f" A typical accepted block gains {points(noise.typical_gain)} points."
        if noise.typical_gain is not None
        else ""
    )
    several = noise.trainings > 1
    source = (
        f"The answer's accuracy is over {noise.trainings:,} trainings, each measured on {noise.images:,} images; its "
        f"standard error is {noise.error * 100:.2f} points, from the draw of the images or from the seeds, whichever "
        "says more."
        if several
        else f"An accuracy from {noise.images:,} images has a standard error of {noise.error * 100:.2f} points from "
        "the draw of these images alone."
    )
    unseen = (
        ""
        if several
        else " Another seed of the weights makes them less certain; one training does not show by how much."
    )
    seeds = (
        f"Trained again from other seeds, the start network spreads by {noise.again.start.spread * 100:.2f} points "
        f"and the best by {noise.again.best.spread * 100:.2f} (standard deviation). "
        if noise.again and noise.again.start.spread is not None and noise.again.best.spread is not None
        else ""
    )
    return section(
        "noise",
        "Noise beside the gains",
        paragraph(
            f"{source}{typical} In {noise.unclear:,} of {counted(noise.choices, 'decision')} "
            "the winner was within two standard errors of the next candidate: there, chance may have chosen."
        ),
        paragraph(
            f"{seeds}All networks are measured on the same images, which makes differences between them somewhat "
            f"more certain than this says.{unseen}"
        ),
        figure(report, choices, "How far the winner of each decision was ahead of the next candidate."),
        details("Every decision", table(tables.choices(report))),
    )


def _time(report: Report) -> str:
    told = [one.trained for one in report.evaluations if one.trained]
    if not told:
        return ""
    found = bars(report)
    older = len(report.evaluations) - len(found)
    words = f"{duration(sum(one.training for one in told))} of training in all."
    if found and not older:
        whole = max(bar.ended for bar in found) - min(bar.began for bar in found)
        words += f" From the first evaluation to the end of the last {duration(whole)} went by."
    if older and found:
        words += f" Not drawn: {counted(older, 'result')} from before this search, or without times."
    resumed = sum(bool(one.resumed or one.restarted) for one in told)
    if resumed:
        words += f" {counted(resumed, 'training')} had been cut off before; only the last attempt is drawn."
    return section(
        "time",
        "When, and how long",
        paragraph(words),
        figure(report, timeline, "Each bar is one evaluation; what ran at the same time lies on different lines."),
        figure(report, durations, "Each circle is one training."),
        table(tables.durations(report)),
    )


def _protocol(report: Report) -> str:
    training = report.protocol.training
    return section(
        "protocol",
        "How accuracy was measured",
        paragraph(
            f"Each network is trained for {counted(training.epochs, 'epoch')} and then measured on "
            f"{report.protocol.draw.validation_per_class:,} validation images of each class, which are drawn once "
            "and kept out of training. The table has everything that can change an accuracy. Results are comparable "
            "only where all of it is the same."
        ),
        table(tables.protocol(report)),
        table(tables.versions(report)),
    )


def _reproduce(report: Report) -> str:
    name = report.search.split("/")[1] if report.search.count("/") == 2 else report.search
    return section(
        "reproduce",
        "Run it again",
        paragraph(
            "Save this as search.yaml. On one CPU type, with the versions above, the same spec gives the same "
            "search, result for result."
        ),
        code(report.spec),
        code(
            "rcasctl run search.yaml          # on this machine\n"
            "rcasctl submit search.yaml       # on a cluster\n"
            f"rcasctl explain {name}          # why each block was chosen\n"
        ),
    )


def _terms(report: Report) -> str:
    del report
    return section("terms", "Terms", terms(GLOSSARY))


SECTIONS: tuple[tuple[str, str, Callable[[Report], str]], ...] = (
    ("finals", "Trained to the end", _finals),
    ("network", "The network", _network),
    ("path", "How it got there", _path),
    ("baselines", "Beside other methods", _baselines),
    ("noise", "Noise", _noise),
    ("assumptions", "Assumptions", _assumptions),
    ("spending", "What it took", _spending),
    ("time", "Time", _time),
    ("protocol", "Protocol", _protocol),
    ("reproduce", "Run it again", _reproduce),
    ("terms", "Terms", _terms),
)
"""(id, title in the list of contents, function to HTML; nothing where there is nothing to say)."""
