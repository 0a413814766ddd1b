"""Networks that are compared with a found one: made of it, or of the skeleton, by rule and by a seeded draw."""

from __future__ import annotations

import random
from itertools import cycle

from rcas.budget import Budget
from rcas.errors import InvalidSpec
from rcas.search import Search
from rcas.space import Network, Space, Stage

TRIES = 10_000
"""Draws of one variant before there is none: a budget may leave no room."""


def accepted_before_the_last(search: Search, count: int) -> Network:
    """The best rule's network before its last `count` blocks; its start if it has no more than these."""
    best = search.result.best
    assert best
    path = next(rule.path for rule in search.result.rules.values() if rule.path and rule.path[-1] == best)
    return path[max(0, len(path) - 1 - count)].network


def grown_at_random(space: Space, network: Network, blocks: int, budget: Budget | None, seed: str) -> Network:
    """`network` with so many random blocks at random places.

    Args:
        space: that it lies in.
        network: what grows.
        blocks: how many are put in.
        budget: that the result must fit; None: it may cost anything.
        seed: of the draw.

    Raises:
        InvalidSpec: no draw of many fits.
    """
    draw = random.Random(seed)
    for _ in range(TRIES):
        grown = network
        for _ in range(blocks):
            stages = [n for n, stage in enumerate(space.stages) if len(grown.stages[n]) < stage.positions]
            if not stages:
                break
            stage = draw.choice(stages)
            first = len(space.stages[stage].start)
            place = draw.randint(first, len(grown.stages[stage]))
            grown = grown.insert(stage, place, draw.choice(space.block_types))
        enough = grown.block_count == network.block_count + blocks
        if enough and grown != network and (budget is None or budget.fits(space.cost(grown))):
            return grown
    raise InvalidSpec("blocks", got=blocks, allowed=f"so many that some network made of {network} has room for them")


def chain(space: Space, length: int) -> list[Network]:
    """The start network, then with blocks of type 5 added one by one, to the stages in turn.

    Source: paper, section 4.3, "Does early stopping hurt?".
    """
    found = [space.start]
    for stage in cycle(range(len(space.stages))):
        if len(found) > length or all(map(_full, space.stages, found[-1].stages)):
            return found
        if not _full(space.stages[stage], found[-1].stages[stage]):
            found.append(found[-1].insert(stage, len(found[-1].stages[stage]), 5))
    return found


def _full(stage: Stage, blocks: tuple[int, ...]) -> bool:
    return len(blocks) >= stage.positions
