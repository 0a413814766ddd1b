"""The six block types and a block in its place (paper, Table 1)."""

from __future__ import annotations

from typing import NamedTuple


class BlockType(NamedTuple):
    """A depthwise block: expansion t, groups of its 1x1 expansion and of its 1x1 projection (paper, Table 1)."""

    expansion: int
    expansion_groups: int
    projection_groups: int


BLOCK_TYPES: dict[int, BlockType] = {
    1: BlockType(3, 1, 1),
    2: BlockType(3, 1, 2),
    3: BlockType(6, 2, 2),
    4: BlockType(6, 1, 2),
    5: BlockType(6, 1, 1),
    6: BlockType(12, 2, 4),
}


class Block(NamedTuple):
    """One placed block with everything that its layers need. Sizes are of its input, in pixels."""

    type: BlockType
    in_channels: int
    out_channels: int
    stride: int
    height: int
    width: int


def strided(size: int, stride: int) -> int:
    """Output size in pixels of a 3x3 convolution with padding 1."""
    return (size - 1) // stride + 1
