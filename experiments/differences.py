"""Whether a difference shows: paired over repetitions, with an interval that says how certain it is."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from typing import Literal, NamedTuple

from scipy import stats

CONFIDENCE = 0.95
Verdict = Literal["shows", "does not show", "the opposite shows"]


class Difference(NamedTuple):
    """A mean difference over repetitions.

    Attributes:
        mean: of the paired differences. deviation: their standard deviation; None for a single one.
        half_width: of the 95% interval of the mean by Student's t; None for a single one.
        repetitions: how many.
    """

    mean: float
    deviation: float | None
    half_width: float | None
    repetitions: int

    @property
    def verdict(self) -> Verdict:
        """Whether the interval lies above zero, holds it, or lies below."""
        if self.half_width is None or abs(self.mean) <= self.half_width:
            return "does not show"
        return "shows" if self.mean > 0 else "the opposite shows"


def difference(paired: Iterable[float]) -> Difference:
    """Of at least one paired difference, one for each repetition."""
    values = list(paired)
    mean, count = statistics.fmean(values), len(values)
    if count < 2:
        return Difference(mean, None, None, count)
    deviation = statistics.stdev(values)
    half_width = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / count**0.5
    return Difference(mean, deviation, half_width, count)
