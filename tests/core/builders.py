"""Small spaces, set functions and a driver: a case names only what matters to it."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable
from fractions import Fraction

from hypothesis import strategies as st

from rcas import Budget, Element, Head, Network, Search, Space, Stage, Stem

TOTAL = 1_000_000
"""Validation images of the set functions below; the start networks lie near the middle, so that losses fit too."""

SetFunction = Callable[[Network], int]
"""Correct images of TOTAL."""


def small_space(*stages: Stage, types: tuple[int, ...] = (1, 3, 5), image: int = 8, **changes) -> Space:
    stages = stages or (Stage(8, 3, start=(5,)), Stage(16, 3, stride=2, start=(1,)))
    fields = {"num_classes": 4, "stem": Stem(8, 1, 8), "head": Head(16)} | changes
    return Space((1, image, image), stages=stages, block_types=types, **fields)


def budget_with_slack(space: Space, params: float, madds: float | None = None) -> Budget:
    """S0 and these shares of what lies between it and the space filled with its largest type."""
    largest = Network(
        tuple((*s.start, *[max(space.block_types)] * (s.positions - len(s.start))) for s in space.stages)
    )
    low, high = space.cost(space.start), space.cost(largest)
    spare = [max(0, top - bottom) for bottom, top in zip(low[:2], high[:2], strict=True)]
    madds = params if madds is None else madds
    return Budget(low.params + int(params * spare[0]), low.madds + int(madds * spare[1]))


def hashed(text: str, below: int) -> int:
    """A number in [0, below) that looks random and is the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") % below


def noise(seed: int, size: int) -> SetFunction:
    """Any value at any network: neither submodular nor monotone, and it tells the order of the blocks."""
    return lambda network: TOTAL // 2 + hashed(f"{seed} {network}", 2 * size + 1) - size


def truncated(
    caps: list[int], weights: dict[tuple[int, int], list[int]], losses: dict[tuple[int, int], int]
) -> SetFunction:
    """sum_j min(caps[j], sum of weights[stage, type][j] over the blocks) - sum of losses[stage, type].

    Submodular: adding v of weight w >= 0 to a term that stands at x gains min(cap, x + w) - min(cap, x), which
    falls as x grows; along a path x only grows, because blocks are never taken out, and w depends on nothing
    but the stage and the type of v. Sums keep that, and a modular loss lowers a gain equally everywhere.
    With caps and weights of 0 and 1 it is the coverage function. It does not tell the order of blocks, and
    small numbers give many ties.
    """

    def value(network: Network) -> int:
        found, lost = [0] * len(caps), 0
        for stage, blocks in enumerate(network.stages):
            for block in blocks:
                lost += losses[stage, block]
                found = [x + w for x, w in zip(found, weights[stage, block], strict=True)]
        return TOTAL // 2 + sum(map(min, caps, found)) - lost

    return value


def added(*functions: SetFunction) -> SetFunction:
    return lambda network: sum(f(network) - TOTAL // 2 for f in functions) + TOTAL // 2


def exactly(function: SetFunction) -> Callable[[Network], Fraction]:
    return lambda network: Fraction(function(network), TOTAL)


@st.composite
def spaces(draw: st.DrawFn) -> Space:
    """Two or three stages, some narrower than the one before, so that costs can fall."""
    count = draw(st.integers(2, 3))
    widths = draw(st.permutations((8, 16, 24, 32)))
    types = draw(st.sets(st.sampled_from((1, 2, 3, 4, 5, 6)), min_size=1, max_size=3))
    stages = list[Stage]()
    for width in widths[:count]:
        stride = draw(st.integers(1, 2))
        start = draw(st.sampled_from(((5,), (1,)) if stride == 2 else ((5,), (), ())))
        stages.append(Stage(width, draw(st.integers(2, 4 if count == 2 else 3)), stride, start))
    return small_space(*stages, types=tuple(types))


@st.composite
def budgets(draw: st.DrawFn, space: Space) -> Budget:
    """From S0's own cost to more than the whole space needs."""
    shares = st.sampled_from((0.0, 0.2, 0.4, 0.7, 1.2, 1.2))
    return budget_with_slack(space, draw(shares), draw(shares))


@st.composite
def submodular_functions(draw: st.DrawFn, space: Space) -> SetFunction:
    terms = draw(st.integers(1, 4))
    numbers = random.Random(draw(st.integers(0, 2**32)))
    largest, worst_loss = draw(st.sampled_from((1, 3, 40, 5000))), draw(st.sampled_from((0, 0, 1, 4, 2000)))
    places = [(stage, block) for stage, s in enumerate(space.stages) for block in {*space.block_types, *s.start}]
    return truncated(
        [numbers.randint(1, 3 * largest) for _ in range(terms)],
        {place: [numbers.randint(0, largest) for _ in range(terms)] for place in places},
        {place: numbers.randint(0, worst_loss) for place in places},
    )


@st.composite
def noisy_functions(draw: st.DrawFn, space: Space) -> SetFunction:
    size = draw(st.sampled_from((1, 5, 300, 20_000)))
    return added(draw(submodular_functions(space)), noise(draw(st.integers(0, 2**32)), size))


def drive(search: Search, function: SetFunction, n: int = 1, **ask) -> Search:
    """Answer what the search asks for until it is done."""
    while not search.done:
        for evaluation in search.ask(n, **ask):
            search.tell(evaluation.key, correct=function(evaluation.network), total=TOTAL)
    return search


def drive_at_random(
    search: Search, function: SetFunction, workers: int, seed: int, *, speculate: bool = True
) -> list[str]:
    """As many trainings at once as there are workers, ending in any order. Returns the keys in that order."""
    numbers, running, ended = random.Random(seed), dict[str, Network](), list[str]()
    while not search.done:
        for evaluation in search.ask(workers, speculate=speculate):
            if len(running) < workers:
                running[evaluation.key] = evaluation.network
        key = numbers.choice(sorted(running))
        search.tell(key, correct=function(running.pop(key)), total=TOTAL)
        ended.append(key)
    return ended


def elements_of(search: Search) -> dict[str, list[Element | None]]:
    return {rule: [point.element for point in found.path] for rule, found in search.result.rules.items()}
