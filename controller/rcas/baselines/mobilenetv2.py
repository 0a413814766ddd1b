"""MobileNetV2's layout (Sandler et al., 2018), as wide as the budget allows: one network of a space of its own."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import replace
from fractions import Fraction

from rcas.baselines.strategy import Strategy
from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.greedy import Problem
from rcas.space import Network, Space, Stage

BLOCK = 5
"""Expansion 6 without groups: MobileNetV2's block."""
LAYOUT = ((24, 2), (32, 3), (64, 4), (96, 3), (160, 3), (320, 1))
"""(channels at width 1, blocks) of each stage; the paper's skeleton has the same widths."""
CAN_HALVE = (0, 1, 2, 4)
"""Stages whose first block has stride 2 on ImageNet."""
STEPS = 1000
"""Widths are multiples of 1 / STEPS."""
WIDEST = 4
"""Wider ones are not tried; the widest of the literature is 1.4."""


class MobileNetV2(Strategy):
    """One network, measured once.

    Raises:
        InvalidSpec: not even the narrowest fits.
    """

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem, limit=1)
        self.space = widest(problem)

    @property
    def answer(self) -> Network | None:
        """See `Strategy.answer`."""
        return next(iter(self.known), None)

    def _extend(self, waiting: int) -> None:  # noqa: ARG002 - there is but one
        self._append(self.space.start)
        self._stopped = "single"


def widest(problem: Problem) -> Space:
    """The space whose start network is the widest MobileNetV2 that fits.

    Raises:
        InvalidSpec: not even the narrowest fits, or there is a budget of latency: no table has its parts.
    """
    if problem.budget.latency is not None:
        allowed = "random, evolution or greedy, because the table of latencies has none of its parts"
        raise InvalidSpec("method", got="mobilenetv2", allowed=allowed)

    def space(steps: int) -> Space:
        return scaled(problem.space, Fraction(steps, STEPS))

    # A wider network can cost less, where two widths become equal and a shortcut needs no convolution. But shortcuts
    # are less than half of the cost: what is twice too large is so at every width above.
    widths = range(1, WIDEST * STEPS + 1)
    for steps in reversed(widths[: bisect_left(widths, True, key=lambda steps: not _fits(problem, space(steps), 2))]):
        if _fits(problem, space(steps)):
            return space(steps)
    narrowest = space(1).cost(space(1).start)
    raise InvalidSpec(
        "method",
        got="mobilenetv2",
        allowed=f"a budget that its narrowest network fits: {narrowest.params:,} params, {narrowest.madds:,} MAdds",
    )


def _fits(problem: Problem, space: Space, times: int = 1) -> bool:
    """Whether the start network of `space` costs at most so many times the budget."""
    cost = space.cost(space.start)
    return problem.budget.fits(Cost(cost.params // times, cost.madds // times))


def scaled(skeleton: Space, width: Fraction) -> Space:
    """The layout at `width` between the stem and the head of `skeleton`, all positions filled.

    Channels are rounded to whole ones. It halves the resolution as often as the skeleton does, where that is
    possible: as the paper does for CIFAR, by giving up strides from the input on. Neighbouring stages that have
    become equal are one stage, because their blocks are.
    """
    halvings = sum(stage.stride == 2 for stage in skeleton.stages)
    halving = CAN_HALVE[max(0, len(CAN_HALVE) - halvings) :]
    stages = list[Stage]()
    for number, (channels, repeats) in enumerate(LAYOUT):
        width_now, stride = max(1, round(channels * width)), 2 if number in halving else 1
        last = stages[-1] if stages else None
        if last and stride == 1 and last.channels == width_now:
            count = last.positions + repeats
            stages[-1] = replace(last, positions=count, start=(BLOCK,) * count)
        else:
            stages.append(Stage(width_now, repeats, stride, (BLOCK,) * repeats))
    return replace(skeleton, stages=tuple(stages), block_types=(BLOCK,))
