"""Random search: networks that fill the budget with blocks drawn at random."""

from __future__ import annotations

from collections.abc import Mapping

from rcas.baselines.draws import Draws
from rcas.baselines.strategy import BestMeasured, fits
from rcas.greedy import Problem
from rcas.space import Network, Space

DRAWS_WITHOUT_NEW = 1000
"""So many draws in a row that give no new network mean that there is none, or hardly any."""


class RandomSearch(BestMeasured):
    """Networks of `random_network`, the same one never twice."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        super().__init__(problem, limit)
        self._sampler = Sampler(problem, seed)

    def _extend(self, waiting: int) -> None:
        while self._stopped is None and len(self._waiting()) < waiting:
            network = self._sampler.next()
            if network is None:
                self._stopped = "exhausted"
            else:
                self._append(network)


class Sampler:
    """Distinct networks drawn at random, one after another."""

    def __init__(self, problem: Problem, seed: int) -> None:
        self._problem, self._draws = problem, Draws("random", seed)
        self._drawn, self._in_vain, self._seen = 0, 0, set[Network]()

    def next(self) -> Network | None:
        """The next one, or None if many draws have given nothing new."""
        while self._in_vain < DRAWS_WITHOUT_NEW:
            network = random_network(self._problem, self._draws, self._drawn)
            self._drawn += 1
            if network not in self._seen:
                self._seen.add(network)
                self._in_vain = 0
                return network
            self._in_vain += 1
        return None


def random_network(problem: Problem, draws: Draws, number: int) -> Network:
    """The start network filled at random until no element fits. `number`: which draw.

    All elements of the ground set, position and block type, are put into a random order. Each in turn is taken if its
    position is free and the network with it fits; this is repeated until nothing more is taken, for a block can lower
    the cost of what comes after it. `max_blocks` holds here too.
    """
    space = problem.space
    blocks, network = start_blocks(space), space.start
    most = len(blocks) + (len(space.elements) if problem.max_blocks is None else problem.max_blocks)
    remaining = draws.shuffled(space.elements, number)
    while True:
        passed_over = list[tuple[int, int]]()
        for position, block in remaining:
            if position in blocks or len(blocks) >= most:
                continue
            grown = placed(space, {**blocks, position: block})
            if fits(problem, grown):
                blocks[position], network = block, grown
            else:
                passed_over.append((position, block))
        if len(passed_over) == len(remaining) or not passed_over:
            return network
        remaining = passed_over


def start_blocks(space: Space) -> dict[int, int]:
    """Block types of the start network by position."""
    first, blocks = 0, dict[int, int]()
    for stage in space.stages:
        blocks.update(enumerate(stage.start, start=first))
        first += stage.positions
    return blocks


def placed(space: Space, blocks: Mapping[int, int]) -> Network:
    """The network with these block types by position."""
    stages: list[list[int]] = [[] for _ in space.stages]
    for position in sorted(blocks):
        stages[space.stage_of[position]].append(blocks[position])
    return Network(tuple(map(tuple, stages)))
