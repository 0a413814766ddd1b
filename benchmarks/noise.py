"""What replicates and confirming bring, against other uses of as many trainings. Prints the table of README.md.

F is `synthetic.smooth`, profile middle, and every training of a network deviates from it: normal, with the standard
deviation that counting so many images has at 50 %. What a search returns is judged by its F without the noise.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable, Iterator
from functools import cache
from statistics import mean, stdev

from synthetic import BUDGET, SPACE, Counts, noisy, smooth

from rcas import Network, Search
from rcas.confirm import Confirm

LEVELS = ((100_000, 0.16), (10_000, 0.5), (1_000, 1.6))
"""(validation images, standard deviation of one training in points)."""
TRUTH = smooth()
Measure = Callable[[Network, int], Counts]


def measure(seed: int, images: int, points: float) -> Measure:
    """Training `number` of a network under one seed of the benchmark."""

    @cache
    def numbered(number: int) -> Callable[[Network], Counts]:
        return noisy(seed=1000 * seed + number, points=points, images=images)

    return lambda network, number: numbered(number)(network)


def searched(function: Measure, **changes) -> tuple[Network, float, int]:
    """(best network, the accuracy that the search saw, trainings)."""
    search = Search(SPACE, BUDGET, **changes)
    while not search.done:
        for evaluation in search.ask(16, speculate=False):
            correct, total = function(evaluation.network, evaluation.replicate)
            search.tell(evaluation.key, correct=correct, total=total)
    best = search.result.best
    assert best
    return best.network, float(best.accuracy), search.evaluations


def repeated(function: Measure, times: int) -> tuple[Network, float, int]:
    """The search done again from other seeds; the answer that saw the highest accuracy."""
    found = [searched(function, replicate=10 * (number + 1)) for number in range(times)]
    return (*max(found, key=lambda one: one[1])[:2], sum(one[2] for one in found))


def drawn(function: Measure, seed: int, count: int) -> tuple[Network, float, int]:
    """`count` networks of random blocks, each until nothing fits; the one that measured highest."""
    networks = [filled(f"{seed} {number}") for number in range(count)]
    seen = [(correct / total, network) for network in networks for correct, total in [function(network, 0)]]
    accuracy, network = max(seen, key=lambda one: one[0])
    return network, accuracy, count


def filled(text: str) -> Network:
    """The start network and random blocks, as long as one fits."""
    elements = sorted(SPACE.elements, key=lambda e: hashlib.sha256(f"{text} {e}".encode()).digest())
    network, taken = SPACE.start, set[int]()
    for element in elements:
        stage = SPACE.stage_of[element.position]
        grown = network.insert(stage, len(network.stages[stage]), element.block)
        if element.position not in taken and BUDGET.fits(SPACE.cost(grown)):
            network, _ = grown, taken.add(element.position)
    return network


def methods(function: Measure, seed: int) -> Iterator[tuple[str, tuple[Network, float, int]]]:
    """Each way to spend trainings, and what it found."""
    once = searched(function)
    yield "one training", once
    for replicates in (2, 3):
        yield f"`replicates: {replicates}`", searched(function, replicates=replicates)
    for most in (3, 5):
        yield f"`confirm: {{most: {most}}}`", searched(function, confirm=Confirm(most=most))
    for times in (2, 3):
        yield f"one training, {times} searches", repeated(function, times)
    yield "random networks", drawn(function, seed, once[2])


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, default=5)
    given = arguments.parse_args()

    def true(network: Network) -> float:
        correct, total = TRUTH(network)
        return 100 * correct / total

    best = true(searched(lambda network, _: TRUTH(network))[0])
    print(f"without noise: {best:.2f} %\n")
    print("| images | noise, points | method | trainings | regret, points | accuracy seen too high by |")
    print("|---:|---:|---|---:|---:|---:|")
    for images, points in LEVELS:
        rows = dict[str, list[tuple[int, float, float]]]()
        for seed in range(given.seeds):
            for name, (network, seen, trainings) in methods(measure(seed, images, points), seed):
                found = true(network)
                rows.setdefault(name, []).append((trainings, best - found, 100 * seen - found))
        for name, row in rows.items():
            trainings, regret, excess = zip(*row, strict=True)
            spread = f"{mean(regret):.2f} ± {stdev(regret):.2f}"
            print(
                f"| {images:,} | {points} | {name} | {mean(trainings):,.0f} | {spread} | {mean(excess):+.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
