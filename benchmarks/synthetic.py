"""A set function of the size of the paper's CIFAR-100 search, to count and time searches without training.

Every block brings a capacity that depends on its type; a stage's accuracy saturates in the capacity of its blocks:

    F(S) = 48 % + sum over stages of g_s(sum of the capacities of its blocks),  g_s concave, in whole numbers.

A concave function of a sum of positive numbers has diminishing returns, and so has a sum of them: `smooth` is
monotone and submodular to the last digit, and lazy greedy must take naive greedy's path. The stages' shares are
chosen so that the gains resemble what the paper reports for one block more (54.1, 54.87, 55.50, 55.69, 55.86,
55.99 %).

`noisy` adds to `smooth` what a training adds: a deviation that depends on the network and a seed, normal with a
standard deviation of 0.5 points, measured on 1,000 images. Then returns do not always diminish and ties are frequent,
as in real searches. Nothing is drawn at random: a network has the same value in every process.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from fractions import Fraction
from functools import cache
from itertools import accumulate

from rcas import Budget, Network, Space

SPACE = Space.cifar(100)
BUDGET = Budget(params="2.4M", madds="91.1M")
"""MobileNetV2's on CIFAR-100."""

CAPACITY = {1: 10, 2: 8, 3: 13, 4: 15, 5: 17, 6: 21}
"""By block type, in tenths of type 1's."""

Counts = tuple[int, int]
"""(correct, total)"""
SetFunction = Callable[[Network], Counts]

SHARES: dict[str, tuple[int, ...]] = {
    "even": (30, 30, 30, 30, 30, 30),
    "middle": (14, 24, 40, 48, 36, 18),
    "late": (8, 14, 24, 36, 48, 50),
}
"""What a stage can add at most, in tenths of a point of accuracy, by profile."""
HALF = 40
"""Capacity at which a stage has reached half of its share."""

IMAGES = 10**9


def smooth(profile: str = "middle") -> SetFunction:
    """Monotone and submodular, exactly; correct of 10^9, so that there are no accidental ties."""
    tables = [_concave(share * IMAGES // 1000) for share in SHARES[profile]]

    def counts(network: Network) -> Counts:
        gains = (
            table[sum(CAPACITY[b] for b in blocks)] for table, blocks in zip(tables, network.stages, strict=True)
        )
        return IMAGES * 48 // 100 + sum(gains), IMAGES

    return cache(counts)


def noisy(profile: str = "middle", seed: int = 0, points: float = 0.5, images: int = 1000) -> SetFunction:
    """`smooth` and a deviation of `points` percentage points (one standard deviation), rounded to whole images."""
    expected, deviation = smooth(profile), Fraction(points) / 100

    def counts(network: Network) -> Counts:
        correct, total = expected(network)
        return round(images * (Fraction(correct, total) + deviation * normal(f"{seed} {network}"))), images

    return cache(counts)


def normal(text: str) -> Fraction:
    """A number that looks standard normal (twelve uniform ones added), the same for the same text."""
    digest = hashlib.sha256(text.encode()).digest()
    uniform = (int.from_bytes(digest[2 * i : 2 * i + 2], "big") for i in range(12))
    return Fraction(sum(uniform), 2**16) - 6


def _concave(limit: int) -> list[int]:
    """The values limit x / (x + HALF) at x = 0, 1, ..., by whole steps that never grow however they are rounded."""
    steps = (limit * HALF // ((x + HALF) * (x + HALF + 1)) for x in range(6 * max(CAPACITY.values())))
    return [0, *accumulate(steps)]
