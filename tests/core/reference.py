"""Greedy search as the paper and the issue tell it, written without the project's own.

Sets are sets of elements, everything is computed anew at every step, and there is no queue: slow and plain.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import NamedTuple

from rcas import Budget, Element, Network, Space

Accuracy = Callable[[Network], Fraction]


class Measured(NamedTuple):
    """One network that a decision read. `stale`: the gain that the best placed of its elements had before."""

    network: Network
    stale: Fraction | None
    gain: Fraction


class Trace(NamedTuple):
    """What a reference did.

    Attributes:
        path: (element, network) of each accepted block.
        measured: each measurement of a gain, in order.
        stale: for each accepted block, the last measured gain of each element that it beat.
        evaluations: trainings, S0's among them.
    """

    path: list[tuple[Element, Network]]
    stopped: str
    measured: list[Measured]
    stale: list[dict[Element, Fraction]]
    evaluations: int


class Rules(NamedTuple):
    """A search problem; the arguments that both references take."""

    space: Space
    budget: Budget
    rule: str
    stop: str = "drop-infeasible"
    min_gain: Fraction | None = None
    max_blocks: int | None = None
    times: dict[tuple, int] | None = None

    def latency(self, network: Network) -> int:
        """Time of stem and head, by the head's input, and of each block as the space places it."""
        blocks = list(self.space.blocks(network))
        width = blocks[-1].out_channels if blocks else self.space.stem.block_channels
        return self.times[width,] + sum(self.times[block] for block in blocks)

    def start(self) -> frozenset[Element]:
        chosen, first = list[Element](), 0
        for stage in self.space.stages:
            chosen += [Element(first + i, block) for i, block in enumerate(stage.start)]
            first += stage.positions
        return frozenset(chosen)

    def network(self, chosen: frozenset[Element]) -> Network:
        stages, first, blocks = list[tuple[int, ...]](), 0, dict(chosen)
        for stage in self.space.stages:
            places = range(first, first + stage.positions)
            stages.append(tuple(blocks[place] for place in places if place in blocks))
            first += stage.positions
        return Network(tuple(stages))

    def free(self, chosen: frozenset[Element]) -> list[Element]:
        taken = dict(chosen)
        places = range(sum(stage.positions for stage in self.space.stages))
        return [Element(p, b) for p in places if p not in taken for b in self.space.block_types]

    def fits(self, chosen: frozenset[Element]) -> bool:
        cost, budget = self.space.cost(self.network(chosen)), self.budget
        in_time = budget.latency is None or self.latency(self.network(chosen)) <= budget.latency
        return (
            (budget.params is None or cost.params <= budget.params)
            and (budget.madds is None or cost.madds <= budget.madds)
            and in_time
        )

    def candidates(self, chosen: frozenset[Element]) -> list[Element]:
        if self.stop == "drop-infeasible":
            return [v for v in self.free(chosen) if self.fits(chosen | {v})]
        return [v for v in self.free(chosen) if self.fits(self.start() | {v})]

    def key(self, chosen: frozenset[Element], v: Element, gain: Fraction) -> Fraction:
        before = self.space.cost(self.network(chosen))
        after = self.space.cost(self.network(chosen | {v}))
        params, madds = after.params - before.params, after.madds - before.madds
        if self.rule == "JOINT":
            limits = self.budget.params, self.budget.madds
            unit, cost = Fraction(1, limits[0] * limits[1]), Fraction(params, limits[0]) + Fraction(madds, limits[1])
            if self.budget.latency is not None:
                unit, cost = (
                    unit / self.budget.latency,
                    cost + Fraction(self.added_time(chosen, v), self.budget.latency),
                )
        elif self.rule == "ALR":
            unit, cost = Fraction(1), Fraction(self.added_time(chosen, v))
        else:
            unit, cost = Fraction(1), Fraction({"UC": 1, "APR": params, "AMR": madds}[self.rule])
        if cost <= 0:
            cost = unit
        return gain * cost if gain < 0 else gain / cost

    def added_time(self, chosen: frozenset[Element], v: Element) -> int:
        return self.latency(self.network(chosen | {v})) - self.latency(self.network(chosen))

    def best(self, chosen: frozenset[Element], gains: dict[Element, Fraction]) -> Element:
        return min(gains, key=lambda v: (-self.key(chosen, v, gains[v]), v.position, v.block))

    def end(self, chosen: frozenset[Element], steps: int) -> str | None:
        """Why the search ends before anything is compared."""
        if self.max_blocks is not None and steps >= self.max_blocks:
            return "max-blocks"
        if not self.free(chosen):
            return "full"
        return None if self.candidates(chosen) else "budget"

    def refusal(self, chosen: frozenset[Element], winner: Element, gain: Fraction) -> str | None:
        """Why the winner is not taken."""
        if not self.fits(chosen | {winner}):
            return "first-infeasible"
        return "min-gain" if self.min_gain is not None and gain < self.min_gain else None


def naive_greedy(accuracy: Accuracy, rules: Rules) -> Trace:
    """Cost-effective greedy (Algorithm 1): every element that may be picked is measured at every step."""
    chosen, path, evaluations = rules.start(), list[tuple[Element, Network]](), 1
    while not (stopped := rules.end(chosen, len(path))):
        base = accuracy(rules.network(chosen))
        gains = {v: accuracy(rules.network(chosen | {v})) - base for v in rules.candidates(chosen)}
        evaluations += len(gains)
        winner = rules.best(chosen, gains)
        stopped = rules.refusal(chosen, winner, gains[winner])
        if stopped:
            break
        chosen |= {winner}
        path.append((winner, rules.network(chosen)))
    return Trace(path, stopped, [], [], evaluations)


def lazy_greedy(accuracy: Accuracy, rules: Rules, *, share: bool = True) -> Trace:
    """Lazy cost-effective greedy (Algorithm 2, steps 1-5 of the text).

    An element that was never measured is measured before any is compared. Then the best by last measured gain and
    current cost is measured, again and again, until the best is one measured at the present set. `share`: one
    training serves all candidates that give the same network.
    """
    chosen, path = rules.start(), list[tuple[Element, Network]]()
    last, fresh = dict[Element, Fraction](), set[Element]()
    measured, stale, evaluations = list[Measured](), list[dict[Element, Fraction]](), 1
    while not (stopped := rules.end(chosen, len(path))):
        candidates = rules.candidates(chosen)
        unknown = [v for v in candidates if v not in last]
        winner = rules.best(chosen, {v: last[v] for v in candidates if v in last}) if not unknown else None
        if winner in fresh:
            stopped = rules.refusal(chosen, winner, last[winner])
            if stopped:
                break
            stale.append({v: last[v] for v in candidates})
            chosen, fresh = chosen | {winner}, set[Element]()
            path.append((winner, rules.network(chosen)))
            continue
        base, seen = accuracy(rules.network(chosen)), set[Network]()
        for v in unknown or [winner]:
            network = rules.network(chosen | {v})
            if share and network in seen:
                continue
            seen.add(network)
            evaluations += 1
            gain = accuracy(network) - base
            measured.append(Measured(network, last.get(v), gain))
            twins = [u for u in candidates if share and rules.network(chosen | {u}) == network]
            for u in twins or [v]:
                last[u] = gain
                fresh.add(u)
    return Trace(path, stopped, measured, stale, evaluations)
