"""What repeated measurements of one call say: a typical time and how far it spreads."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from rcas.evaluation import Count, Model

Nanoseconds = Annotated[int, Field(ge=0, le=10**18)]


class Times(Model):
    """Whole nanoseconds of `runs` calls: the fastest, the three quartiles, the slowest.

    The median is the figure to compare: a busy machine makes single runs slow, and none fast.
    """

    runs: Count
    fastest_ns: Nanoseconds
    lower_quartile_ns: Nanoseconds
    median_ns: Nanoseconds
    upper_quartile_ns: Nanoseconds
    slowest_ns: Nanoseconds

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> Times:
        """The summary of at least one sample; quartiles between two samples are interpolated and rounded."""
        # statistics asks for two values; a single one is all three quartiles.
        values = [*samples_ns, *samples_ns] if len(samples_ns) == 1 else samples_ns
        lower, median, upper = statistics.quantiles(values, method="inclusive")
        return cls(
            runs=len(samples_ns),
            fastest_ns=min(samples_ns),
            lower_quartile_ns=round(lower),
            median_ns=round(median),
            upper_quartile_ns=round(upper),
            slowest_ns=max(samples_ns),
        )
