"""Exact costs of layers (paper, sections 2.1 and 4).

Params count convolution weights, batch norm weight and bias, and the linear layer. One multiply with its add
counts as 1 MAdd; MAdds count convolutions only, on one image. No convolution has a bias.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from rcas.blocks import Block, strided


class Cost(NamedTuple):
    """What a network or a block costs; differences of costs may be negative.

    Attributes:
        latency: in nanoseconds, by a table of latencies; None where none is given. It stays None in a sum or a
            difference with a cost that has none.
    """

    params: int
    madds: int
    latency: int | None = None

    def __add__(self, other: object) -> Cost:
        if not isinstance(other, Cost):
            return NotImplemented
        latency = None if self.latency is None or other.latency is None else self.latency + other.latency
        return Cost(self.params + other.params, self.madds + other.madds, latency)

    def __sub__(self, other: Cost) -> Cost:
        latency = None if self.latency is None or other.latency is None else self.latency - other.latency
        return Cost(self.params - other.params, self.madds - other.madds, latency)


def conv(inputs: int, outputs: int, kernel: int, groups: int, pixels: int) -> Cost:
    """A convolution without bias and its batch norm; `pixels` is height x width of its output."""
    weights = inputs // groups * outputs * kernel * kernel
    return Cost(weights + 2 * outputs, weights * pixels)


@lru_cache(maxsize=4096)
def block(placed: Block) -> Cost:
    """A depthwise block with its shortcut (a 1x1 convolution where the widths differ at stride 1)."""
    kind, inputs, outputs, stride, height, width = placed
    hidden = inputs * kind.expansion
    before, after = height * width, strided(height, stride) * strided(width, stride)
    total = (
        conv(inputs, hidden, 1, kind.expansion_groups, before)
        + conv(hidden, hidden, 3, hidden, after)
        + conv(hidden, outputs, 1, kind.projection_groups, after)
    )
    return total + conv(inputs, outputs, 1, 1, after) if stride == 1 and inputs != outputs else total


def stem(image: tuple[int, int, int], channels: int, stride: int) -> Cost:
    """The first 3x3 convolution on an image of (channels, height, width)."""
    inputs, height, width = image
    return conv(inputs, channels, 3, 1, strided(height, stride) * strided(width, stride))


def head(inputs: int, channels: int, num_classes: int, size: tuple[int, int]) -> Cost:
    """The last 1x1 convolution on `size` (height, width) pixels, and the linear layer with its bias."""
    return conv(inputs, channels, 1, 1, size[0] * size[1]) + Cost(channels * num_classes + num_classes, 0)
