"""How far an accuracy can be trusted, from the counts of the trainings that measured it.

Two kinds of noise are told apart. Counting: n validation images tell an accuracy a with a variance of a (1 - a) / n.
Seeds: trainings of one network that differ in nothing but their seed spread. The variance of one training is taken as
the larger of the two. They are not added, because the images are the same for every seed, and a part of the spread
between seeds is that of counting. All numbers are shares from 0 to 1; what decisions use is exact.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import pairwise
from math import sqrt
from typing import NamedTuple

Counts = tuple[int, int]
"""(correct, total) of one training."""
Trainings = Sequence[Counts]
"""Of one network, from different seeds; at least one."""
CLEAR = Fraction(2)
"""Standard errors by which two networks must differ for a reader to believe in the difference."""


class Comparison(NamedTuple):
    """Two networks, or the gain of one over the other.

    Attributes:
        difference: of their accuracies, the first less the second.
        variance: of that difference, were all trainings done again from other seeds.
    """

    difference: Fraction
    variance: Fraction

    @property
    def error(self) -> float:
        """Standard error of the difference."""
        return sqrt(self.variance)

    def clear(self, errors: Fraction = CLEAR) -> bool:
        """Whether the difference, of either sign, is larger than so many standard errors."""
        return self.difference**2 > errors**2 * self.variance


def pooled(trainings: Trainings) -> Fraction:
    """F over several trainings: all correct images over all validation images."""
    return Fraction(sum(correct for correct, _ in trainings), sum(total for _, total in trainings))


def counting_variance(trainings: Trainings) -> Fraction:
    """Variance of one training's accuracy that comes from the number of validation images (binomial)."""
    accuracy = pooled(trainings)
    return accuracy * (1 - accuracy) * len(trainings) / sum(total for _, total in trainings)


def seed_variance(networks: Iterable[Trainings]) -> Fraction | None:
    """Variance between trainings of one network, pooled over the networks; None if none was trained twice."""
    squares, freedom = Fraction(0), 0
    for trainings in networks:
        accuracies = [Fraction(*counts) for counts in trainings]
        mean = sum(accuracies, Fraction(0)) / len(accuracies)
        squares += sum(((accuracy - mean) ** 2 for accuracy in accuracies), Fraction(0))
        freedom += len(accuracies) - 1
    return squares / freedom if freedom else None


def training_variance(networks: Sequence[Trainings]) -> Fraction:
    """Variance of the accuracy of one training of any of the networks: of counting or of seeds, the larger one."""
    counting = sum((counting_variance(trainings) for trainings in networks), Fraction(0)) / len(networks)
    return max(counting, seed_variance(networks) or Fraction(0))


def standard_error(trainings: Trainings) -> float:
    """Of the pooled accuracy of one network."""
    return sqrt(training_variance([trainings]) / len(trainings))


def seed_deviation(networks: Iterable[Trainings]) -> float | None:
    """Standard deviation between trainings of one network; None if none was trained twice."""
    variance = seed_variance(networks)
    return None if variance is None else sqrt(variance)


def compare(first: Trainings, second: Trainings) -> Comparison:
    """`first` against `second`; `clear` says whether they can be told apart."""
    variance = training_variance([first, second])
    shares = Fraction(1, len(first)) + Fraction(1, len(second))
    return Comparison(pooled(first) - pooled(second), variance * shares)


def gains(path: Sequence[Trainings]) -> list[Comparison]:
    """The gain of every block of a path against its noise; `path`: the start network's trainings, then the others'.

    The spread between seeds is taken over the whole path, because few networks of it are trained often.
    """
    if not path:
        return []
    variance = training_variance(path)
    return [
        Comparison(pooled(after) - pooled(before), variance * (Fraction(1, len(after)) + Fraction(1, len(before))))
        for before, after in pairwise(path)
    ]
