"""The tables of a record: of methods, of the paper's claims, of the search path, and what is measured behind each."""

from __future__ import annotations

import csv
import io
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from experiments.differences import Difference, difference
from experiments.records import Counts, Measured, Record, Repetition
from rcas.budget import format_count
from rcas.wording import duration, percent, points

Score = Callable[[Measured], float]
"""The accuracy of a network in one repetition."""


class Table(NamedTuple):
    """Rows of text. `note`: what a reader must know, below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""

    def markdown(self) -> str:
        """As GitHub shows it."""
        lines = [self.columns, tuple("---" for _ in self.columns), *self.rows]
        rows = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)
        return f"## {self.title}\n\n{rows}\n" + (f"\n{self.note}\n" if self.note else "")

    def csv(self) -> str:
        """For a spreadsheet."""
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows([self.columns, *self.rows])
        return text.getvalue()


def by_seeds(measured: Measured) -> float:
    """By the short training from other seeds, none of which chose the network."""
    return _mean(measured.seeds)


def by_finals(measured: Measured) -> float:
    """By final trainings, on the test images."""
    return _mean(measured.finals)


def _mean(counts: Iterable[Counts]) -> float:
    return statistics.fmean(float(one.accuracy) for one in counts)


def tables(record: Record) -> list[Table]:
    """All of them, the two that answer the most first."""
    return [methods(record), claims(record), search_path(record), chain(record), variants(record)]


def methods(record: Record) -> Table:
    """Every method's answer at the same number of trainings."""
    rows = [_method_row(record, method.name) for method in record.repetitions[0].methods]
    columns = (
        "method",
        "chosen by",
        "other seeds",
        "RCAS ahead by",
        "after final training",
        "RCAS ahead by",
        "params",
        "MAdds",
        "trainings",
        "time of a worker",
    )
    note = (
        f"Mean ± standard deviation over {len(record.repetitions)} repetitions, each with its own seeds and its own "
        "draw of training and validation images. *Chosen by*: the validation accuracy that picked the network, the "
        "largest of many noisy ones, so too high. *Other seeds*: the same short training from seeds that picked "
        "nothing. *Ahead by*: paired difference in percentage points with its 95% interval (Student's t). "
        "*Trainings*: distinct networks that the method asked for in one repetition; *time*: theirs in seconds of "
        "one worker, those included that the store already had from another method. MobileNetV2 is no search: one "
        "layout, scaled to the budgets."
    )
    return Table("methods", "Methods at the same number of trainings", columns, tuple(rows), note)


def _method_row(record: Record, name: str) -> tuple[str, ...]:
    found = [repetition.method(name) for repetition in record.repetitions]
    rcas = [repetition.methods[0] for repetition in record.repetitions]
    chosen = [float(one.chosen_by.accuracy) for one in found if one.chosen_by]

    def ahead(score: Score) -> str:
        if name == rcas[0].name:
            return ""
        return interval(difference(score(mine) - score(one) for mine, one in zip(rcas, found, strict=True)))

    return (
        name,
        mean_and_deviation(chosen) if chosen else "",
        mean_and_deviation([by_seeds(one) for one in found]),
        ahead(by_seeds),
        mean_and_deviation([by_finals(one) for one in found]),
        ahead(by_finals),
        format_count(round(statistics.fmean(one.params for one in found))),
        format_count(round(statistics.fmean(one.madds for one in found))),
        _range(one.trainings for one in found),
        duration(statistics.fmean(one.worker_s for one in found)),
    )


def claims(record: Record) -> Table:
    """What the paper says, and what was measured here."""
    columns = ("claim of the paper", "there", "here, by other seeds", "", "here, after final training", "")
    note = (
        f"Paired differences in percentage points over {len(record.repetitions)} repetitions with their 95% "
        "interval. A claim *shows* only if the whole interval lies on its side of zero. Where it *does not show*, "
        "it may still be true: so few repetitions tell apart only large differences."
    )
    return Table("claims", "The paper's claims", columns, tuple(_claim_rows(record)), note)


def _claim_rows(record: Record) -> Iterator[tuple[str, ...]]:
    def row(
        claim: str, there: str, pair: Callable[[Repetition], Iterable[tuple[Measured, Measured]]]
    ) -> tuple[str, ...]:
        cells = list[str]()
        for score, measured in ((by_seeds, "seeds"), (by_finals, "finals")):
            gaps = [
                statistics.fmean(score(better) - score(worse) for better, worse in pairs)
                for repetition in record.repetitions
                if (pairs := [(a, b) for a, b in pair(repetition) if getattr(a, measured) and getattr(b, measured)])
            ]
            found = difference(gaps) if gaps else None
            cells += [interval(found), found.verdict] if found else ["not measured", ""]
        return (claim, there, *cells)

    yield row(
        "RCAS finds a better network than MobileNetV2 at the same cost",
        "+1.90 (CIFAR-100: 76.1 against 74.2)",
        lambda r: [(r.methods[0], r.method("mobilenetv2"))],
    )
    yield _savings_row(record)
    yield _monotone_row(record)
    yield row(
        "Six block types are better than type 5 alone",
        "+0.30 (76.1 against 75.8)",
        lambda r: [(r.methods[0], r.single_type)],
    )
    yield row(
        "The found blocks are better than random last blocks",
        "+1.20 (76.1 against 74.9)",
        lambda r: [(r.methods[0], other) for other in r.replaced],
    )
    yield row(
        "One random block more makes it worse",
        "+1.00 (76.1 against 75.1)",
        lambda r: [(r.methods[0], other) for other in r.added],
    )
    yield row(
        "The found stages on a larger skeleton are as good as MobileNetV2 there, or better",
        "+0.10 (ImageNet: 72.1 against 72.0)",
        lambda r: [(r.transferred, r.transfer_reference)],
    )


def _savings_row(record: Record) -> tuple[str, ...]:
    found = [saving for repetition in record.repetitions if (saving := savings(repetition))]
    count = len(record.repetitions)
    here = f"reached in {len(found)} of {count} repetitions"
    if found:
        shares = ", ".join(f"{params:.0%} / {madds:.0%}" for params, madds in found)
        here += f", with {shares} fewer params / MAdds"
    verdict = "shows" if len(found) == count and all(p > 0 and m > 0 for p, m in found) else "does not show"
    claim = "A network on the search path is as accurate as MobileNetV2 with fewer params and MAdds"
    return (claim, "45% / 35% fewer", here, verdict, "not measured", "")


def savings(repetition: Repetition) -> tuple[float, float] | None:
    """Shares of MobileNetV2's params and MAdds that the cheapest network on the path saves that is as accurate.

    The path's accuracies are those that the search saw: one training each.
    """
    reference = repetition.method("mobilenetv2")
    enough = [step for step in repetition.path if float(step.counts.accuracy) >= by_seeds(reference)]
    if not enough:
        return None
    first = min(enough, key=lambda step: (step.madds, step.params))
    return 1 - first.params / reference.params, 1 - first.madds / reference.madds


def _monotone_row(record: Record) -> tuple[str, ...]:
    steps = chain_steps(record)
    rising = sum(step.mean > 0 for step in steps)
    means = " → ".join(f"{mean:.2%}"[:-1] for mean in chain_means(record))
    falls = any(step.verdict == "the opposite shows" for step in steps)
    verdict = "shows" if rising == len(steps) and not falls else "does not show"
    claim = "Short trainings rise with every block added"
    there = "54.1 → 54.87 → 55.50 → 55.69 → 55.86 → 55.99"
    return (claim, there, f"{means}: {rising} of {len(steps)} steps rise", verdict, "not measured", "")


def chain_means(record: Record) -> list[float]:
    """Accuracy of each network of the chain by other seeds, mean over repetitions."""
    columns = zip(*(repetition.chain for repetition in record.repetitions), strict=True)
    return [statistics.fmean(by_seeds(one) for one in column) for column in columns]


def chain_steps(record: Record) -> list[Difference]:
    """What each further block of the chain brings."""
    scores = [[by_seeds(one) for one in repetition.chain] for repetition in record.repetitions]
    return [difference(row[i + 1] - row[i] for row in scores) for i in range(len(scores[0]) - 1)]


def chain(record: Record) -> Table:
    """MobileNetV2's blocks added one by one, by short trainings."""
    steps: Sequence[Difference | None] = [None, *chain_steps(record)]
    rows = [
        (str(number), one.network, format_count(one.params), f"{mean:.2%}", interval(step) if step else "")
        for number, (one, mean, step) in enumerate(
            zip(record.repetitions[0].chain, chain_means(record), steps, strict=True)
        )
    ]
    columns = ("blocks added", "network", "params", "accuracy", "this block brings")
    return Table("chain", "Does stopping early hurt: blocks of type 5 added one by one", columns, tuple(rows))


def search_path(record: Record) -> Table:
    """Every accepted architecture of every rule."""
    rows = [
        (
            str(repetition.number),
            step.rule,
            str(step.blocks),
            step.network,
            percent(step.counts.accuracy),
            format_count(step.params),
            format_count(step.madds),
        )
        for repetition in record.repetitions
        for step in repetition.path
    ]
    columns = ("repetition", "rule", "blocks", "network", "accuracy", "params", "MAdds")
    note = "The accuracy is the one that the search saw: one short training."
    return Table("path", "The search path", columns, tuple(rows), note)


def variants(record: Record) -> Table:
    """Every other network that something above rests on."""
    rows = list[tuple[str, ...]]()
    for repetition in record.repetitions:
        named = [
            *((method.name, method) for method in repetition.methods),
            ("type 5 alone", repetition.single_type),
            *(("last blocks replaced", one) for one in repetition.replaced),
            *(("one random block more", one) for one in repetition.added),
            ("transferred", repetition.transferred),
            ("MobileNetV2 on the other skeleton", repetition.transfer_reference),
        ]
        rows += [_variant_row(repetition.number, name, one) for name, one in named]
    columns = ("repetition", "what", "network", "params", "MAdds", "other seeds", "n", "top-1", "top-5", "n")
    return Table("networks", "The networks", columns, tuple(rows))


def _variant_row(repetition: int, name: str, one: Measured) -> tuple[str, ...]:
    return (
        str(repetition),
        name,
        one.network,
        format_count(one.params),
        format_count(one.madds),
        mean_and_deviation([float(c.accuracy) for c in one.seeds]) if one.seeds else "",
        str(len(one.seeds)),
        mean_and_deviation([float(c.accuracy) for c in one.finals]) if one.finals else "",
        mean_and_deviation([float(c.accuracy) for c in one.top5]) if one.top5 else "",
        str(len(one.finals)),
    )


def mean_and_deviation(values: Sequence[float]) -> str:
    """Accuracies for people, such as `79.99% ± 0.41`."""
    mean = percent(statistics.fmean(values))
    return f"{mean} ± {statistics.stdev(values) * 100:.2f}" if len(values) > 1 else mean


def interval(found: Difference) -> str:
    """A difference of accuracies for people, such as `+0.40 ± 0.52`."""
    return points(found.mean) + (f" ± {found.half_width * 100:.2f}" if found.half_width is not None else "")


def _range(counts: Iterable[int]) -> str:
    found = sorted(set(counts))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"
