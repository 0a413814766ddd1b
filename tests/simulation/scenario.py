"""What is searched for in a history, and on what: drawn by its seed, the same whatever goes wrong."""

from __future__ import annotations

from random import Random
from typing import Any, NamedTuple

from simulation.accuracy import Reference, reference_of

_SPACES: list[dict[str, Any]] = [
    {"stages": [(4, 3, 1), (8, 2, 2)], "types": [1]},
    {"stages": [(4, 2, 1), (8, 2, 2)], "types": [1, 2]},
    {"stages": [(4, 3, 1)], "types": [1, 2]},
    {"stages": [(8, 4, 1)], "types": [1, 5]},
    {"stages": [(4, 2, 1), (8, 3, 2)], "types": [5]},
    {"stages": [(4, 3, 1), (8, 3, 2)], "types": [2]},
    {"stages": [(4, 3, 1), (8, 3, 2)], "types": [1, 2]},
    {"stages": [(8, 4, 1), (4, 3, 2)], "types": [2, 5]},
]
_RULES = [["UC"], ["APR"], ["AMR"], ["UC", "APR"], ["UC", "AMR"], ["UC", "APR", "AMR"]]
_BUDGETS = ["1300", "1700", "2500", "9k"]
_NOISE: list[dict[str, Any]] = [
    *[{}] * 6,
    {"replicates": 2},
    {"confirm": {"most": 2}},
    {"confirm": {"candidates": 3, "most": 3}},
]
FEWEST, MOST = 4, 10
"""Evaluations of a search that trains every network once."""
MOST_NOISY = 16
"""Of one that trains some of them several times."""


class Wanted(NamedTuple):
    """A search that a user wants.

    Attributes:
        name: of the resource.
        spec: of the resource.
        reference: what it must decide.
    """

    name: str
    spec: dict[str, Any]
    reference: Reference


class Scenario(NamedTuple):
    """A history before anything goes wrong.

    Attributes:
        searches: that are created at the beginning; two share what they can.
        apart_s: seconds between their creations.
        nodes: trainings that each node has room for.
        page: objects on one page of a list.
        epoch_s: of a training.
        queued: whether Jobs are created suspended and a queue admits them.
        controllers: at the beginning.
        way_s: see `edge.Edge`.
        metrics: whether the controllers have real metrics.
    """

    searches: tuple[Wanted, ...]
    apart_s: float
    nodes: tuple[int, ...]
    page: int
    epoch_s: float
    queued: bool
    controllers: int
    way_s: float
    metrics: bool


def draw(random: Random) -> Scenario:
    """The scenario of a seed."""
    searches = [_search(random, "one")]
    if random.random() < 0.25:
        # The same space and protocol under another rule: they share what they measure.
        other = _search(random, "two")
        spec = searches[0].spec | {"rules": other.spec["rules"], "parallelism": other.spec["parallelism"]}
        reference = reference_of(spec)
        assert reference
        searches.append(Wanted("two", spec, reference))
    return Scenario(
        searches=tuple(searches),
        apart_s=random.choice((0.0, 30.0, 120.0)),
        nodes=tuple(random.choice((1, 2, 4)) for _ in range(random.randint(1, 3))),
        page=random.choice((1, 2, 3, 250, 250)),
        epoch_s=random.choice((1.0, 3.0, 8.0, 20.0)),
        queued=random.random() < 0.1,
        controllers=2 if random.random() < 0.05 else 1,
        way_s=random.choice((0.04, 0.04, 0.04, 0.002)),
        metrics=random.random() < 0.1,
    )


def _search(random: Random, name: str) -> Wanted:
    while True:
        spec = _spec(random)
        reference = reference_of(spec)
        if reference is not None and FEWEST <= reference.evaluations <= MOST:
            break
    # Drawn apart, so that a history without it is the one that it was before there was any.
    noisy = spec | Random(repr(spec)).choice(_NOISE)
    found = reference_of(noisy)
    if found is not None and found.evaluations <= MOST_NOISY:
        return Wanted(name, noisy, found)
    return Wanted(name, spec, reference)


def _spec(random: Random) -> dict[str, Any]:
    shape = random.choice(_SPACES)
    stages = [
        {"channels": channels, "positions": positions, "stride": stride, "start": [1]}
        for channels, positions, stride in shape["stages"]
    ]
    return {
        "space": {
            "skeleton": "custom",
            "classes": 10,
            "input": [1, 8, 8],
            "stages": stages,
            "stem": {"channels": 4, "block_channels": 4},
            "head": {"channels": 8},
            "block_types": shape["types"],
        },
        "budget": {"params": random.choice(_BUDGETS)},
        "rules": random.choice(_RULES),
        "stop": random.choice(("drop-infeasible", "first-infeasible")),
        "data": {"dataset": "digits"},
        "training": {"epochs": random.randint(1, 3), "milestones": [], "seed": random.randrange(4)},
        "parallelism": random.randint(1, 4),
        "speculate": random.random() < 0.6,
        "threads": 1,
    }
