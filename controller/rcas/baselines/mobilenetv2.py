"""MobileNetV2's layout (Sandler et al., 2018) made as wide as the budget allows: one network of a space of its own."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from rcas.baselines.strategy import Strategy
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
        InvalidSpec: not even the narrowest fits.
    """
    # A wider network can cost less, where two widths become equal and a shortcut needs no convolution: so no bisection.
    for steps in range(WIDEST * STEPS, 0, -1):
        space = scaled(problem.space, Fraction(steps, STEPS))
        if problem.budget.fits(space.cost(space.start)):
            return space
    narrowest = space.cost(space.start)
    raise InvalidSpec(
        "method",
        got="mobilenetv2",
        allowed=f"a budget that its narrowest network fits: {narrowest.params:,} params, {narrowest.madds:,} MAdds",
    )


def scaled(skeleton: Space, width: Fraction) -> Space:
    """The layout at `width` between the stem and the head of `skeleton`, all positions filled.

    Channels are rounded to whole ones. It halves the resolution as often as the skeleton does, where that is possible:
    as the paper does for CIFAR, by giving up strides from the input on. Neighbouring stages that have become equal are
    one stage, because their blocks are.
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
