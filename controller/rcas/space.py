"""The search space: skeletons, block types and networks (paper, sections 3 and 4.1).

A `Space` is a fixed skeleton (stem, stages, head) with empty positions; a `Network` fills some of them.
Positions left empty are identity, so a network is exactly the ordered block types inside each stage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from rcas import costs
from rcas.blocks import BLOCK_TYPES, Block, BlockType, strided
from rcas.costs import Cost
from rcas.errors import InvalidSpec

MOST_POSITIONS = 1000
"""In all stages; the paper's skeleton has 36. A controller steps many searches in turn: a space that takes it minutes
and gigabytes would hold up the others."""


@dataclass(frozen=True, slots=True)
class Network:
    """An architecture: the ordered block types inside each stage. Equal networks are the same network."""

    stages: tuple[tuple[int, ...], ...]

    def __str__(self) -> str:
        return " / ".join(",".join(map(str, blocks)) or "-" for blocks in self.stages)

    @property
    def block_count(self) -> int:
        """Blocks in all stages together."""
        return sum(map(len, self.stages))

    def can_grow_into(self, other: Network) -> bool:
        """Whether inserting blocks, none or some, leads to `other`."""
        return all(map(_is_subsequence, self.stages, other.stages))

    def insert(self, stage: int, index: int, block: int) -> Network:
        """The network with `block` put at `index` inside `stage`."""
        blocks = self.stages[stage]
        grown = (*blocks[:index], block, *blocks[index:])
        return Network((*self.stages[:stage], grown, *self.stages[stage + 1 :]))


def _is_subsequence(part: tuple[int, ...], whole: tuple[int, ...]) -> bool:
    rest = iter(whole)
    return all(block in rest for block in part)


class Element(NamedTuple):
    """A member of the ground set: a block type at a position (paper, section 3: l_n)."""

    position: int
    block: int


@dataclass(frozen=True, slots=True)
class Stage:
    """Positions that share one resolution and one width.

    Attributes:
        channels: output channels of each of its blocks.
        positions: how many blocks it can hold.
        stride: stride of its first block, 1 or 2.
        start: block types that every network of the space has at the head of this stage.
    """

    channels: int
    positions: int
    stride: int = 1
    start: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", tuple(self.start))


@dataclass(frozen=True, slots=True)
class Stem:
    """A 3x3 convolution, then one t = 1 block of stride 1 (the paper's conv0 and MB1).

    Attributes:
        channels: output channels of the convolution.
        stride: stride of the convolution, 1 or 2.
        block_channels: output channels of the block.
    """

    channels: int = 32
    stride: int = 1
    block_channels: int = 16


@dataclass(frozen=True, slots=True)
class Head:
    """A 1x1 convolution (the paper's conv8), global average pooling and a linear layer to the classes.

    Attributes:
        channels: output channels of the convolution.
    """

    channels: int = 1280


@dataclass(frozen=True)
class Space:
    """A skeleton and the block types that may fill it.

    Attributes:
        input: (channels, height, width) of one image; height and width in pixels.
        num_classes: outputs of the last linear layer.
        stages: from the stem to the head.
        block_types: which of the block types 1-6 may be placed.

    Raises:
        InvalidSpec: a value out of range, channels that the groups do not divide, a stage of stride 2 that
            no start block holds.
    """

    input: tuple[int, int, int]
    num_classes: int
    stages: tuple[Stage, ...]
    stem: Stem = Stem()
    head: Head = Head()
    block_types: tuple[int, ...] = tuple(BLOCK_TYPES)

    def __post_init__(self) -> None:
        for field in ("input", "stages", "block_types"):
            object.__setattr__(self, field, tuple(getattr(self, field)))
        if len(self.input) != 3:
            raise InvalidSpec("space.input", got=self.input, allowed="channels, height and width")
        for field, value, low, high in self._ranges():
            if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
                raise InvalidSpec(f"space.{field}", got=value, allowed=f"a whole number from {low} to {high}")
        object.__setattr__(self, "block_types", tuple(sorted(set(self.block_types))))
        if not self.stages:
            raise InvalidSpec("space.stages", got=[], allowed="at least one stage")
        positions = sum(stage.positions for stage in self.stages)
        if positions > MOST_POSITIONS:
            raise InvalidSpec(
                "space.stages", got=f"{positions} positions", allowed=f"at most {MOST_POSITIONS:,} in all"
            )
        if not self.block_types:
            raise InvalidSpec("space.block_types", got=[], allowed="at least one of 1, 2, 3, 4, 5, 6")
        for number, stage in enumerate(self.stages):
            self._check_stage(number, stage)

    def _ranges(self) -> Iterator[tuple[str, Any, int, int]]:
        for axis, size in zip(("channels", "height", "width"), self.input, strict=True):
            yield f"input.{axis}", size, 1, 4096
        yield "num_classes", self.num_classes, 2, 1_000_000
        yield "stem.channels", self.stem.channels, 1, 65536
        yield "stem.block_channels", self.stem.block_channels, 1, 65536
        yield "stem.stride", self.stem.stride, 1, 2
        yield "head.channels", self.head.channels, 1, 65536
        for block in self.block_types:
            yield "block_types", block, min(BLOCK_TYPES), max(BLOCK_TYPES)
        for number, stage in enumerate(self.stages):
            where = f"stages[{number}]"
            yield f"{where}.channels", stage.channels, 1, 65536
            yield f"{where}.positions", stage.positions, 1, 1000
            yield f"{where}.stride", stage.stride, 1, 2
            for block in stage.start:
                yield f"{where}.start", block, min(BLOCK_TYPES), max(BLOCK_TYPES)

    def _check_stage(self, number: int, stage: Stage) -> None:
        where = f"space.stages[{number}]"
        if len(stage.start) > stage.positions:
            raise InvalidSpec(f"{where}.start", got=stage.start, allowed=f"at most its {stage.positions} positions")
        if stage.stride == 2 and not stage.start:
            raise InvalidSpec(
                f"{where}.start",
                got=stage.start,
                allowed="at least one block type, because the stage has stride 2 and only a block that is "
                "always there can carry it",
            )
        for earlier in self._sources(number):
            if stage.stride == 1 and stage.channels == self.stages[earlier].channels:
                raise InvalidSpec(
                    f"{where}.channels",
                    got=stage.channels,
                    allowed=f"another width than that of stages[{earlier}], because with stride 1 a block here and "
                    "a block there can be the same network; join the two stages",
                )
        for block in sorted({*self.block_types, *stage.start}):
            kind = BLOCK_TYPES[block]
            for channels in sorted(self._possible_inputs(number)):
                self._check_groups(where, block, kind, channels, stage.channels)

    def _check_groups(self, where: str, block: int, kind: BlockType, inputs: int, outputs: int) -> None:
        hidden = inputs * kind.expansion
        for role, channels, groups in (
            ("input", inputs, kind.expansion_groups),
            ("expanded", hidden, kind.projection_groups),
            ("output", outputs, kind.projection_groups),
        ):
            if channels % groups:
                raise InvalidSpec(
                    f"{where}.channels",
                    got=outputs,
                    allowed=f"channels that the groups of block type {block} divide ({channels} {role} channels, "
                    f"{groups} groups), or block_types without {block}",
                )

    def _possible_inputs(self, number: int) -> set[int]:
        """Channel counts that a block of stage `number` may receive, earlier stages being empty or not."""
        sources = self._sources(number)
        found = {self.stages[number].channels, *(self.stages[earlier].channels for earlier in sources)}
        always = bool(sources) and bool(self.stages[sources[-1]].start)
        return found if always else found | {self.stem.block_channels}

    def _sources(self, number: int) -> list[int]:
        """The stages whose output stage `number` may receive, the nearest first."""
        found = list[int]()
        for earlier in range(number - 1, -1, -1):
            found.append(earlier)
            if self.stages[earlier].start:
                break
        return found

    @classmethod
    def cifar(cls, num_classes: int = 100, **changes: Any) -> Space:
        """The paper's skeleton for 32 x 32 images: 36 positions in six stages. `changes` replace fields."""
        return _paper_space((3, 32, 32), num_classes, stem_stride=1, first_stride=1, changes=changes)

    @classmethod
    def imagenet(cls, num_classes: int = 1000, **changes: Any) -> Space:
        """The paper's skeleton for 224 x 224 images: 36 positions in six stages. `changes` replace fields."""
        return _paper_space((3, 224, 224), num_classes, stem_stride=2, first_stride=2, changes=changes)

    @cached_property
    def start(self) -> Network:
        """S0: the start blocks alone."""
        return Network(tuple(stage.start for stage in self.stages))

    @cached_property
    def stage_of(self) -> tuple[int, ...]:
        """For each position, numbered from 0 through all stages, the stage that it lies in."""
        return tuple(number for number, stage in enumerate(self.stages) for _ in range(stage.positions))

    @cached_property
    def elements(self) -> tuple[Element, ...]:
        """The ground set: every block type at every position that no start block holds."""
        first, found = 0, list[Element]()
        for stage in self.stages:
            free = range(first + len(stage.start), first + stage.positions)
            found += [Element(position, block) for position in free for block in self.block_types]
            first += stage.positions
        return tuple(found)

    def network(self, text: str) -> Network:
        """Parse block types by stage, such as `5,3,1,1 / 5,2 / 5 / - / 5,4 / -`.

        Raises:
            InvalidSpec: not that form, too many blocks, a type that the space lacks, or a stage of stride 2
                left empty.
        """
        form = f"{len(self.stages)} stages such as " + " / ".join("5,1" for _ in self.stages)
        parts = [part.strip() for part in text.split("/")]
        if len(parts) != len(self.stages):
            raise InvalidSpec("network", got=text, allowed=form)
        try:
            stages = tuple(() if p == "-" else tuple(int(block) for block in p.split(",")) for p in parts)
        except ValueError:
            raise InvalidSpec("network", got=text, allowed=form) from None
        return self.check(Network(stages))

    def check(self, network: Network) -> Network:
        """Return `network` if it lies in this space.

        Raises:
            InvalidSpec: it does not; says why.
        """
        if len(network.stages) != len(self.stages):
            raise InvalidSpec("network", got=str(network), allowed=f"{len(self.stages)} stages")
        for number, (blocks, stage) in enumerate(zip(network.stages, self.stages, strict=True)):
            allowed = sorted({*self.block_types, *stage.start})
            if not set(blocks) <= set(allowed):
                raise InvalidSpec("network", got=str(network), allowed=f"block types {allowed} in stage {number}")
            if len(blocks) > stage.positions:
                raise InvalidSpec(
                    "network", got=str(network), allowed=f"at most {stage.positions} blocks in stage {number}"
                )
            if stage.stride == 2 and not blocks:
                raise InvalidSpec(
                    "network", got=str(network), allowed=f"a block in stage {number}, which has stride 2"
                )
        return network

    def blocks(self, network: Network) -> Iterator[Block]:
        """The blocks of `network` from stem to head (the stem's own block not among them)."""
        channels = self.stem.block_channels
        height, width = strided(self.input[1], self.stem.stride), strided(self.input[2], self.stem.stride)
        for blocks, stage in zip(network.stages, self.stages, strict=True):
            stride = stage.stride
            for block in blocks:
                yield Block(BLOCK_TYPES[block], channels, stage.channels, stride, height, width)
                height, width = strided(height, stride), strided(width, stride)
                channels, stride = stage.channels, 1

    def stem_block(self) -> Block:
        """The t = 1 block of the stem (the paper's MB1)."""
        height, width = strided(self.input[1], self.stem.stride), strided(self.input[2], self.stem.stride)
        return Block(BlockType(1, 1, 1), self.stem.channels, self.stem.block_channels, 1, height, width)

    def cost(self, network: Network) -> Cost:
        """Params and MAdds of `network`. Source: paper, Table 2 (RCNet: 1.92M, 87.3M)."""
        return cost_of_network(self, network)

    def params(self, network: Network) -> int:
        """Parameters of `network`: convolutions, batch norm weight and bias, the linear layer."""
        return self.cost(network).params

    def madds(self, network: Network) -> int:
        """Multiply-adds of one forward pass on one image, convolutions only."""
        return self.cost(network).madds


@lru_cache(maxsize=65536)
def cost_of_network(space: Space, network: Network) -> Cost:
    """Cached, because a search asks for the same network at every position that gives it."""
    total = costs.stem(space.input, space.stem.channels, space.stem.stride) + costs.block(space.stem_block())
    last = space.stem_block()
    for last in space.blocks(network):
        total += costs.block(last)
    size = strided(last.height, last.stride), strided(last.width, last.stride)
    return total + costs.head(last.out_channels, space.head.channels, space.num_classes, size)


def _paper_space(
    image: tuple[int, int, int],
    num_classes: int,
    *,
    stem_stride: int,
    first_stride: int,
    changes: dict[str, Any],
) -> Space:
    rows = ((24, first_stride, 5), (32, 2, 5), (64, 2, 5), (96, 1, None), (160, 2, 5), (320, 1, None))
    stages = tuple(
        Stage(channels, positions=6, stride=stride, start=(start,) if start else ())
        for channels, stride, start in rows
    )
    space = Space(image, num_classes, stages, stem=Stem(stride=stem_stride))
    return replace(space, **changes) if changes else space
