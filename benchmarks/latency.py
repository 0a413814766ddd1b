"""How well the sum over a network's parts tells the time of the whole network, and how well its MAdds do.

Times every part of the paper's CIFAR-100 space and some networks of growing size, all in turns in one process, with
one thread, by CPU time unless --wall is given. Prints tables in Markdown. Needs the trainer.
"""

from __future__ import annotations

import argparse
from itertools import cycle, islice

from rcas import LatencyTable, Network, Space
from rcas.latency import latency_of_network, parts_of
from rcas.messages import PartsQuestion
from rcas.runtimes.measuring import time_parts

SPACE = Space.cifar(100)
RCNET = "5,3,1,1 / 5,2,3,3,5 / 5,3,3,6 / 1,6,4,6 / 5,4,6,4,1 / -"


def growing() -> list[Network]:
    """S0 and networks with 1 to 5 more blocks a stage, each block type as often as any other, in changing places."""
    found = [SPACE.start, SPACE.network(RCNET)]
    for more in (1, 2, 3, 4, 5):
        types = islice(cycle((1, 4, 2, 6, 3, 5)), more, None)
        found.append(Network(tuple((*stage.start, *islice(types, more)) for stage in SPACE.stages)))
    for block in SPACE.block_types:
        found.append(Network(tuple((*stage.start, *[block] * 3) for stage in SPACE.stages)))
    return found


def worst_error(predicted: list[float], measured: list[float]) -> float:
    """The largest relative error after the one factor that makes it smallest: what is left of an order by size."""
    ratios = [p / m for p, m in zip(predicted, measured, strict=True)]
    factor = (max(ratios) * min(ratios)) ** 0.5
    return max(ratios) / factor - 1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--runs", type=int, default=40)
    arguments.add_argument("--batch", type=int, default=1)
    arguments.add_argument("--wall", action="store_true", help="of little use on a busy machine")
    given = arguments.parse_args()
    networks = growing()
    clock = "wall" if given.wall else "cpu"
    texts = tuple(map(str, networks))
    asked = PartsQuestion(space=SPACE, runs=given.runs, batch=given.batch, clock=clock, networks=texts)
    answer = time_parts(asked, lambda _: None)
    tables = {
        "median": answer.table,
        "fastest": LatencyTable.of(
            {part: timing.fastest_ns for part, timing in zip(parts_of(SPACE), answer.parts, strict=True)}
        ),
    }
    print("| network | MAdds | whole, ms | sum / whole | fastest, ms | sum / whole |")
    print("|---|---:|---:|---:|---:|---:|")
    wholes = {"median": list[float](), "fastest": list[float]()}
    sums = {"median": list[float](), "fastest": list[float]()}
    for network, timing in zip(networks, answer.networks, strict=True):
        cells = [str(network), f"{SPACE.madds(network) / 1e6:.1f}M"]
        for name, table in tables.items():
            whole = timing.median_ns if name == "median" else timing.fastest_ns
            total = latency_of_network(table, SPACE, network)
            wholes[name].append(whole)
            sums[name].append(total)
            cells += [f"{whole / 1e6:.2f}", f"{total / whole:.2f}"]
        print(f"| {' | '.join(cells)} |")
    print()
    print("| told by | worst error of the medians | of the fastest |")
    print("|---|---:|---:|")
    madds = [float(SPACE.madds(network)) for network in networks]
    print(f"| the sum of the parts | {' | '.join(f'{worst_error(sums[n], wholes[n]):.0%}' for n in tables)} |")
    print(f"| MAdds | {' | '.join(f'{worst_error(madds, wholes[n]):.0%}' for n in tables)} |")


if __name__ == "__main__":
    main()
