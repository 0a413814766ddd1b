"""Confirm on accept: whether the best candidates are in a clear order, or which of them are trained once more.

The key of a candidate is its gain g over its cost w (times it, if it is a loss). That the first leads the other is

    g1 > r g2,  r = w1 / w2 for two gains, w2 / w1 for two losses, 1 if only one of them is a loss,

where g = F(S + v) - F(S) and every F is the mean of n trainings. With the variance s^2 of one training
(`noise.training_variance`, over all that are compared and S) the variance of g1 - r g2 is

    s^2 (1 / n1 + r^2 / n2 + (1 - r)^2 / nS).

The order is clear when g1 - r g2 is larger than so many standard errors. All of it is exact: no float decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

from rcas.errors import InvalidSpec
from rcas.noise import Comparison, Trainings, training_variance

MOST = 100
"""No network is trained from more seeds."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """How the order of the best candidates is made sure of before one is accepted.

    Attributes:
        candidates: how many are compared, the first against each of the others.
        most: trainings of one network at most.
        errors: standard errors by which the first must lead.
    """

    candidates: int = 2
    most: int = 5
    errors: Fraction = Fraction(1)

    def __post_init__(self) -> None:
        if not 2 <= self.candidates <= MOST:
            raise InvalidSpec("confirm.candidates", got=self.candidates, allowed=f"a whole number from 2 to {MOST}")
        if not 2 <= self.most <= MOST:
            raise InvalidSpec("confirm.most", got=self.most, allowed=f"a whole number from 2 to {MOST}")
        if not 0 < self.errors <= 10:
            raise InvalidSpec("confirm.errors", got=str(self.errors)[:20], allowed="a number above 0, up to 10")


class Rival(NamedTuple):
    """A candidate in a comparison: its gain, its cost under the rule, and the trainings that the gain rests on."""

    gain: Fraction
    cost: int
    trainings: Trainings


def lead(first: Rival, other: Rival, base: Trainings, variance: Fraction) -> Comparison:
    """By how much the first leads. `base`: trainings of S. `variance`: of one training."""
    ratio = Fraction(1)
    if first.gain >= 0 and other.gain >= 0:
        ratio = Fraction(first.cost, other.cost)
    elif first.gain < 0 and other.gain < 0:
        ratio = Fraction(other.cost, first.cost)
    shares = Fraction(1, len(first.trainings)) + ratio**2 / len(other.trainings) + (1 - ratio) ** 2 / len(base)
    return Comparison(first.gain - ratio * other.gain, variance * shares)


def leads(rivals: Sequence[Rival], base: Trainings) -> list[Comparison]:
    """By how much the first leads each of the others, in their order."""
    variance = training_variance([*(rival.trainings for rival in rivals), base])
    return [lead(rivals[0], other, base, variance) for other in rivals[1:]]


def to_train(confirm: Confirm, rivals: Sequence[Rival], base: Trainings) -> tuple[int, ...]:
    """Which rivals, the first among them, are trained once more now; none if the order is clear or the bound reached.

    Of the first and those whose order to it is not clear: those that have the fewest trainings.
    """
    found = leads(rivals, base)
    open_ = [0, *(number for number, one in enumerate(found, start=1) if not one.clear(confirm.errors))]
    fewest = min(len(rivals[number].trainings) for number in open_)
    if len(open_) == 1 or fewest >= confirm.most:
        return ()
    return tuple(number for number in open_ if len(rivals[number].trainings) == fewest)
