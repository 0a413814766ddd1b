"""A search played through before it is paid for: made-up accuracies, and workers whose trainings take known times.

How many trainings a search needs depends on F, which nobody knows beforehand. The functions here resemble what the
paper reports: a stage's accuracy saturates in the capacity of its blocks. They differ in where the accuracy is to be
gained and in how noisy it is, so together they give a range; it is no bound. Nothing is drawn at random.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from functools import cache
from heapq import heapify, heappop, heappush
from typing import NamedTuple, Protocol

from rcas.search import Search
from rcas.space import Network, Space

Counts = tuple[int, int]
"""(correct, total)"""
Seconds = Callable[[Network], float]


class Accuracy(Protocol):
    """Stands in for F: what training number `replicate` of a network counts."""

    def __call__(self, network: Network, replicate: int = 0, /) -> Counts:
        """Counts of one training."""
        ...


_CAPACITY = {1: 10, 2: 8, 3: 13, 4: 15, 5: 17, 6: 21}
"""By block type: a wider one brings more, a grouped one a little less."""
_HALF = 7
"""Capacity for each position of a stage at which the stage has reached half of its share."""
_START, _GAIN = Fraction(48, 100), Fraction(18, 100)
"""Accuracy of the start network, and what all stages can add at most; the paper's CIFAR-100 lies in between."""
_NOISE = Fraction(5, 1000)
"""Standard deviation between two trainings of one network."""
_IMAGES = 10**9
"""So many that accuracies never tie by accident."""


class Durations(NamedTuple):
    """How long a training takes: `fixed_s` seconds, and `per_madd_s` for each multiply-add of its network."""

    fixed_s: float
    per_madd_s: float = 0.0

    def seconds(self, madds: int) -> float:
        """Seconds of a training of a network with so many multiply-adds."""
        return self.fixed_s + self.per_madd_s * madds


class Rehearsal(NamedTuple):
    """One search played through.

    Attributes:
        evaluations: trainings that ended with a result.
        demanded: of them, those that a decision read.
        wall_s: seconds until the last decision.
        busy_s: seconds that workers were in use, summed over them.
    """

    evaluations: int
    demanded: int
    wall_s: float
    busy_s: float


def fit_durations(measured: Iterable[tuple[int, float]]) -> Durations:
    """The line through (multiply-adds, seconds) by least squares, neither of its parts negative.

    Raises:
        ValueError: nothing is measured.
    """
    points = list(measured)
    count, madds, seconds = len(points), sum(x for x, _ in points), sum(y for _, y in points)
    if not points:
        raise ValueError("no durations to fit")
    squares, products = sum(x * x for x, _ in points), sum(x * y for x, y in points)
    spread = count * squares - madds * madds
    slope = (count * products - madds * seconds) / spread if spread else products / squares
    fixed = (seconds - slope * madds) / count
    if slope < 0:
        return Durations(seconds / count)
    if fixed < 0:
        return Durations(0.0, products / squares)
    return Durations(fixed, slope)


def imagined(space: Space, images: int = 1000) -> Mapping[str, Accuracy]:
    """Functions that could be the accuracy in `space`, by name. `images`: that validate, where there is noise."""
    count = len(space.stages)
    shares = {
        "even": [1] * count,
        "middle": [1 + min(number, count - 1 - number) for number in range(count)],
        "late": [1 + number for number in range(count)],
    }
    smooth = {name: _saturating(space, share) for name, share in shares.items()}
    return smooth | {"noisy": _noisy(smooth["middle"], images)}


def _saturating(space: Space, shares: list[int]) -> Accuracy:
    most = [_GAIN * share / sum(shares) for share in shares]

    def counts(network: Network, _replicate: int = 0) -> Counts:
        accuracy = _START
        for blocks, stage, share in zip(network.stages, space.stages, most, strict=True):
            capacity = sum(_CAPACITY[block] for block in blocks)
            accuracy += share * Fraction(capacity, capacity + _HALF * stage.positions)
        return int(accuracy * _IMAGES), _IMAGES

    return cache(counts)


def _noisy(smooth: Accuracy, images: int) -> Accuracy:
    def counts(network: Network, replicate: int = 0) -> Counts:
        name = f"{network} {replicate}" if replicate else str(network)
        accuracy = Fraction(*smooth(network)) + _NOISE * _normal(name)
        return min(images, max(0, round(images * accuracy))), images

    return cache(counts)


def _normal(text: str) -> Fraction:
    """A number that looks standard normal, twelve uniform ones added; always the same for the same text."""
    digest = hashlib.sha256(text.encode()).digest()
    uniform = (int.from_bytes(digest[2 * i : 2 * i + 2], "big") for i in range(12))
    return Fraction(sum(uniform), 2**16) - 6


def rehearse(search: Search, accuracy: Accuracy, seconds: Seconds, workers: int, *, speculate: bool) -> Rehearsal:
    """Play `search` on to its end.

    A free worker takes what a decision waits for, else what will probably be needed. Trainings that no decision can
    use any more are ended, as the controller does. Asking, telling and deciding take no time.

    Args:
        search: is told the accuracies.
        accuracy: stands in for F.
        seconds: of a worker for a network.
        workers: trainings at once.
        speculate: see `Search.ask`.
    """
    now_s, busy_s, trained = 0.0, 0.0, 0
    running = list[tuple[float, float, str]]()
    """(end, begin, key), the next to end first."""
    supply = _Supply(search, workers, speculate=speculate)
    while not search.done:
        for key, network in supply.take(workers - len(running), {key for _, _, key in running}):
            heappush(running, (now_s + seconds(network), now_s, key))
        now_s, began_s, key = heappop(running)
        network = search.network_of(key)
        assert network
        correct, total = accuracy(network, search.replicate_of(key))
        before = [state.network for state in search.states]
        search.tell(key, correct=correct, total=total)
        busy_s, trained = busy_s + now_s - began_s, trained + 1
        if before != [state.network for state in search.states]:
            useless = [item for item in running if not search.may_need(item[2])]
            busy_s += sum(now_s - began_s for _, began_s, _ in useless)
            running = [item for item in running if item not in useless]
            heapify(running)
    busy_s += sum(now_s - began_s for _, began_s, _ in running)
    return Rehearsal(trained, search.result.demanded, now_s, busy_s)


class _Supply:
    """What free workers do next.

    Looking for speculation takes most of the time of a rehearsal with many workers, so it is looked for in advance,
    for half as many more. What decisions wait for is always asked anew.
    """

    def __init__(self, search: Search, workers: int, *, speculate: bool) -> None:
        self._search, self._workers, self._speculate = search, workers, speculate
        self._ahead: Iterator[tuple[str, Network]] = iter(())

    def take(self, free: int, taken: set[str]) -> Iterator[tuple[str, Network]]:
        """Up to `free` trainings that nobody does yet. `taken`: keys of those under way."""
        taken = set(taken)
        for key, network in self._candidates():
            if free <= 0:
                return
            if key not in taken and self._search.may_need(key):
                taken.add(key)
                free -= 1
                yield key, network

    def _candidates(self) -> Iterator[tuple[str, Network]]:
        demanded = self._search.ask(self._workers, speculate=False)
        yield from ((evaluation.key, evaluation.network) for evaluation in demanded)
        if self._speculate:
            yield from self._ahead
            more = self._search.ask(self._workers + self._workers // 2, speculate=True)
            self._ahead = iter([(evaluation.key, evaluation.network) for evaluation in more])
            yield from self._ahead
