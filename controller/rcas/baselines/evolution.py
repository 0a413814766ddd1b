"""Regularised evolution (Real et al.: Regularized Evolution for Image Classifier Architecture Search, 2019).

The first networks are random ones. After that each network is a child: of a few members of the population, drawn at
random, the most accurate is changed a little. The child joins, the oldest leaves, however good it was.

Unlike there, a budget binds. A changed network is filled up to it with random blocks, as the first ones are: one with
room left would lose by its size alone, and a block could never be exchanged for two.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from rcas.baselines.draws import Draws
from rcas.baselines.sampling import Sampler
from rcas.baselines.strategy import BestMeasured, fits
from rcas.greedy import Problem
from rcas.space import Network, Space

POPULATION = 16
"""Members. The paper has 100 for 20,000 trainings; here there are some dozens to some hundreds of trainings."""
SAMPLE = 4
"""Members drawn for each child, a quarter of the population as in the paper."""
IN_FLIGHT = 4
"""Child i is made of what is known after network i - IN_FLIGHT, so that as many can train at once. It is a constant,
and not the number of workers, because it changes which children there are."""

REDRAWS = 50
"""So many changes of one parent without a new child, and another parent is taken."""


class Evolution(BestMeasured):
    """The first `POPULATION` networks are those of `RandomSearch` with the same seed: stored results are shared."""

    def __init__(self, problem: Problem, limit: int, seed: int) -> None:
        super().__init__(problem, limit)
        self._sampler, self._draws = Sampler(problem, seed), Draws("evolution", seed)

    def _extend(self, waiting: int) -> None:
        while self._stopped is None and len(self._waiting()) < waiting:
            number = len(self._order)
            if number < POPULATION:
                # Where there are fewer random networks than that, the children begin sooner.
                network = self._sampler.next()
                if network is not None:
                    self._append(network)
                    continue
            settled = self.order[: max(1, number - IN_FLIGHT + 1)]
            if any(network not in self.known for network in settled):
                return
            child = self._child(number, settled[-POPULATION:])
            if child is None:
                self._stopped = "exhausted"
            else:
                self._append(child)

    def _child(self, number: int, population: Sequence[Network]) -> Network | None:
        """Of the tournament's winner; of the next best if every child of it is known already."""
        sample = self._draws.shuffled(population, number, "sample")[:SAMPLE]
        ranked = sorted(population, key=self.goodness, reverse=True)
        for parent in (*sorted(sample, key=self.goodness, reverse=True), *(n for n in ranked if n not in sample)):
            for attempt in range(REDRAWS):
                kind = self._draws.choice(CHANGES, number, parent, attempt, "kind")
                changed = [network for network in kind(self.space, parent) if self._allowed(network)]
                if changed:
                    child = self._draws.choice(changed, number, parent, attempt, "change")
                    child = self._filled(child, number, parent, attempt)
                    if child not in self._order:
                        return child
        return None

    def _filled(self, network: Network, *counters: object) -> Network:
        """The network with blocks added at random until none fits."""
        while True:
            grown = [larger for larger in additions(self.space, network) if self._allowed(larger)]
            if not grown:
                return network
            network = self._draws.choice(grown, *counters, "fill", network.block_count)

    def _allowed(self, network: Network) -> bool:
        most = self.problem.max_blocks
        return fits(self.problem, network) and (
            most is None or network.block_count - self.space.start.block_count <= most
        )


def additions(space: Space, network: Network) -> Iterator[Network]:
    """Each network with one block more."""
    for number, (blocks, stage) in enumerate(zip(network.stages, space.stages, strict=True)):
        if len(blocks) < stage.positions:
            for index in range(len(stage.start), len(blocks) + 1):
                yield from (network.insert(number, index, block) for block in space.block_types)


def removals(space: Space, network: Network) -> Iterator[Network]:
    """Each network with one block less. Start blocks stay."""
    for number, index in _movable(space, network):
        yield _without(network, number, index)


def replacements(space: Space, network: Network) -> Iterator[Network]:
    """Each network with one block of another type."""
    for number, index in _movable(space, network):
        rest, before = _without(network, number, index), network.stages[number][index]
        yield from (rest.insert(number, index, block) for block in space.block_types if block != before)


def moves(space: Space, network: Network) -> Iterator[Network]:
    """Each network with one block at another place."""
    for number, index in _movable(space, network):
        rest, block = _without(network, number, index), network.stages[number][index]
        for target, (blocks, stage) in enumerate(zip(rest.stages, space.stages, strict=True)):
            if len(blocks) < stage.positions:
                yield from (rest.insert(target, place, block) for place in range(len(stage.start), len(blocks) + 1))


CHANGES: tuple[Callable[[Space, Network], Iterator[Network]], ...] = (additions, removals, replacements, moves)
"""One of them is drawn for a child, then one of its results that fits, each equally likely."""


def _movable(space: Space, network: Network) -> Iterator[tuple[int, int]]:
    """(stage, index) of each block that is no start block."""
    for number, (blocks, stage) in enumerate(zip(network.stages, space.stages, strict=True)):
        yield from ((number, index) for index in range(len(stage.start), len(blocks)))


def _without(network: Network, stage: int, index: int) -> Network:
    blocks = network.stages[stage]
    shorter = (*blocks[:index], *blocks[index + 1 :])
    return Network((*network.stages[:stage], shorter, *network.stages[stage + 1 :]))
