"""How large chance is beside what a search found: which comparisons a report makes of it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rcas import noise as of_counts
from rcas.noise import Counts
from rcas.report.model import Again, Choice, Measured, Noise, Pair, RuleReport, Step

CLEAR = float(of_counts.CLEAR)
"""Standard errors from which on a difference is called clear: chance alone gives as much once in twenty times."""
FEW = 2
"""Trainings from other seeds that a network needs before they say more than the one that chose it."""


def standard_error(counts: Counts) -> float:
    """Of an accuracy, from drawing so many images."""
    return of_counts.standard_error([counts])


def noise(
    rules: Sequence[RuleReport],
    choices: Sequence[Choice],
    counts: Mapping[str, Counts],
    others: Mapping[str, Sequence[Counts]],
    start: Step | None,
    best: Step | None,
) -> Noise | None:
    """What can be said; None before anything is measured.

    Args:
        rules: of the report, with their paths.
        choices: of the report.
        counts: by network, of the training that the search went by.
        others: by network, of trainings from other seeds.
        start: the start network.
        best: the answer.
    """
    if start is None or best is None or best.network not in counts or start.network not in counts:
        return None
    gains = [step.gain for rule in rules for step in rule.path if step.gain is not None]
    leads = [choice.lead for choice in choices if choice.lead is not None]
    second = _second(rules, best)
    grown = best.network != start.network
    again = [others.get(step.network, ()) for step in (best, start)]
    return Noise(
        images=counts[best.network][1],
        error=standard_error(counts[best.network]),
        gain=_pair(best, start, counts) if grown else None,
        top=_pair(best, second, counts) if second else None,
        typical_gain=statistics.median(gains) if gains else None,
        choices=len(leads),
        unclear=sum(abs(lead) <= CLEAR for lead in leads),
        again=_again(best, start, *again) if grown and min(map(len, again)) >= FEW else None,
    )


def _second(rules: Sequence[RuleReport], best: Step) -> Step | None:
    answers = [rule.path[-1] for rule in rules if rule.path and rule.path[-1].network != best.network]
    others = answers or [step for rule in rules for step in rule.path if step.network != best.network and step.number]
    return max(others, key=lambda step: (step.accuracy, -step.cost.params, -step.cost.madds), default=None)


def _pair(first: Step, second: Step, counts: Mapping[str, Counts]) -> Pair | None:
    if first.network not in counts or second.network not in counts:
        return None
    found = of_counts.compare([counts[first.network]], [counts[second.network]])
    return _said(first.network, second.network, found)


def _again(best: Step, start: Step, of_best: Sequence[Counts], of_start: Sequence[Counts]) -> Again:
    pair = _said(best.network, start.network, of_counts.compare(of_best, of_start))
    return Again(pair=pair, best=measured(of_best), start=measured(of_start))


def _said(first: str, second: str, found: of_counts.Comparison) -> Pair:
    return Pair(
        first=first, second=second, difference=float(found.difference), error=found.error, clear=found.clear()
    )


def measured(trainings: Sequence[Counts]) -> Measured:
    """Mean and spread of at least one training."""
    return Measured(
        mean=float(of_counts.pooled(trainings)), spread=of_counts.seed_deviation([trainings]), count=len(trainings)
    )
