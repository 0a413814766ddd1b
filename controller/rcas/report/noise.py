"""How large chance is beside what a search found (standard errors of shares of validation images)."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from rcas.report.model import Choice, Evaluated, Noise, Pair, RuleReport, Step

CLEAR = 2.0
"""Standard errors from which on a difference is called clear: chance alone gives as much once in twenty times."""


def standard_error(correct: int, total: int) -> float:
    """Of an accuracy, from drawing `total` images (binomial; paper-independent textbook formula)."""
    share = correct / total
    return math.sqrt(share * (1 - share) / total)


def difference_error(one: tuple[int, int], other: tuple[int, int]) -> float:
    """Of the difference of two accuracies, each (correct, total), taken as independent.

    The networks of a search are measured on the same images, which makes the true error of that kind smaller; the
    weights' seeds, which this leaves out, make it larger.
    """
    return math.hypot(standard_error(*one), standard_error(*other))


def noise(
    rules: Sequence[RuleReport],
    choices: Sequence[Choice],
    evaluations: Sequence[Evaluated],
    start: Step | None,
    best: Step | None,
) -> Noise | None:
    """None before anything is measured."""
    counts = {one.network: (one.correct, one.total) for one in evaluations}
    if start is None or best is None or best.network not in counts or start.network not in counts:
        return None
    gains = [step.gain for rule in rules for step in rule.path if step.gain is not None]
    leads = [choice.lead for choice in choices if choice.lead is not None]
    second = _second(rules, best)
    return Noise(
        images=counts[best.network][1],
        error=standard_error(*counts[best.network]),
        gain=_pair(best, start, counts) if best.network != start.network else None,
        top=_pair(best, second, counts) if second else None,
        typical_gain=statistics.median(gains) if gains else None,
        choices=len(leads),
        unclear=sum(abs(lead) <= CLEAR for lead in leads),
    )


def _second(rules: Sequence[RuleReport], best: Step) -> Step | None:
    answers = [rule.path[-1] for rule in rules if rule.path and rule.path[-1].network != best.network]
    others = answers or [step for rule in rules for step in rule.path if step.network != best.network and step.number]
    return max(others, key=lambda step: (step.accuracy, -step.cost.params, -step.cost.madds), default=None)


def _pair(first: Step, second: Step, counts: dict[str, tuple[int, int]]) -> Pair | None:
    if first.network not in counts or second.network not in counts:
        return None
    difference = first.accuracy - second.accuracy
    error = difference_error(counts[first.network], counts[second.network])
    return Pair(
        first=first.network,
        second=second.network,
        difference=difference,
        error=error,
        clear=abs(difference) > CLEAR * error,
    )
