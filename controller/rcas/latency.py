"""Latency as a further cost: a table with the time of each part of a network, and their sum.

The model is additive: latency(network) = stem + its blocks + head, each part alone as the table says. Nanoseconds are
whole numbers, so that there are no rounding ties between networks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, astuple, dataclass
from functools import cached_property, lru_cache
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rcas.blocks import BLOCK_TYPES, Block, strided
from rcas.costs import Cost
from rcas.errors import InvalidSpec, one_line
from rcas.evaluation import Count, Model, Versions
from rcas.space import Network, Space

MOST_BLOCKS = 1000
"""Entries of a table; the paper's skeletons need 53 each. A table goes into the state of a search."""
MOST_HEADS = 64
TABLE_LIMIT_BYTES = 400_000
"""No table is larger."""

_TYPE_NUMBERS = {kind: number for number, kind in BLOCK_TYPES.items()}

Clock = Literal["wall", "cpu"]
Nanoseconds = Annotated[int, Field(strict=True, ge=0, le=10**15, description="Nanoseconds of one pass.")]
Size = Annotated[int, Field(strict=True, ge=1, le=65_536)]
Stride = Annotated[int, Field(strict=True, ge=1, le=2)]
TypeNumber = Annotated[int, Field(strict=True, ge=min(BLOCK_TYPES), le=max(BLOCK_TYPES))]
Classes = Annotated[int, Field(strict=True, ge=2, le=1_000_000)]


ImageChannels = Annotated[Size, Field(description="Channels of the image.")]
Height = Annotated[Size, Field(description="Of its input, in pixels.")]
Width = Annotated[Size, Field(description="Of its input, in pixels.")]
Inputs = Annotated[Size, Field(description="Channels that it receives.")]
Outputs = Annotated[Size, Field(description="Channels that it gives.")]
Channels = Annotated[Size, Field(description="Output channels of its convolution.")]


@dataclass(frozen=True, slots=True)
class StemPart:
    """The first convolution with the t = 1 block after it."""

    image_channels: ImageChannels
    height: Height
    width: Width
    channels: Channels
    stride: Annotated[Stride, Field(description="Of its convolution.")]
    block_channels: Annotated[Size, Field(description="Output channels of its block.")]

    def __str__(self) -> str:
        image = f"{self.image_channels} x {self.height} x {self.width}"
        return f"the stem of {self.channels} and {self.block_channels} channels, stride {self.stride}, on {image}"


@dataclass(frozen=True, slots=True)
class BlockPart:
    """A block, its sizes those of its input."""

    type: Annotated[TypeNumber, Field(description="Which of the block types 1-6.")]
    in_channels: Inputs
    out_channels: Outputs
    stride: Annotated[Stride, Field(description="Of its depthwise convolution.")]
    height: Height
    width: Width

    def __str__(self) -> str:
        channels = f"{self.in_channels} to {self.out_channels} channels"
        return f"a block of type {self.type}, {channels}, stride {self.stride}, on {self.height} x {self.width}"


@dataclass(frozen=True, slots=True)
class HeadPart:
    """The last convolution, the pooling and the linear layer."""

    in_channels: Inputs
    channels: Channels
    classes: Annotated[Classes, Field(description="Outputs of its linear layer.")]
    height: Height
    width: Width

    def __str__(self) -> str:
        through = f"{self.in_channels} through {self.channels} channels to {self.classes} classes"
        return f"the head, {through}, on {self.height} x {self.width}"


Part = StemPart | BlockPart | HeadPart
"""What a network is made of, stem first and head last; the time of each is measured alone."""


@dataclass(frozen=True, slots=True)
class StemEntry(StemPart):
    """How long a stem takes."""

    ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class BlockEntry(BlockPart):
    """How long a block takes."""

    ns: Nanoseconds


@dataclass(frozen=True, slots=True)
class HeadEntry(HeadPart):
    """How long a head takes."""

    ns: Nanoseconds


class LatencyTable(Model):
    """How long each part of a network takes on one machine.

    Attributes:
        format: of the table.
        machine: what kind of machine it was, in words.
        device: cpu, cuda or whatever else it ran on.
        threads: threads of one pass.
        batch: images of one pass; the times are of the whole batch.
        runs: of which each time is the median; null if the times come from elsewhere.
        clock: wall, or cpu: the time for which the one thread of a pass had the processor.
        activation: after the convolutions of what was measured.
        versions: of the libraries under it.
        stems: times of stems.
        blocks: times of blocks.
        heads: times of heads.
    """

    format: Literal[1] = 1
    machine: Annotated[str, Field(max_length=200)] = ""
    device: Annotated[str, Field(max_length=100)] = "cpu"
    threads: Count = 1
    batch: Count = 1
    runs: Count | None = None
    clock: Clock = "wall"
    activation: Literal["relu6", "relu"] = "relu6"
    versions: Versions = Field(default_factory=dict)
    stems: Annotated[tuple[StemEntry, ...], Field(max_length=MOST_HEADS)]
    blocks: Annotated[tuple[BlockEntry, ...], Field(max_length=MOST_BLOCKS)]
    heads: Annotated[tuple[HeadEntry, ...], Field(max_length=MOST_HEADS)]

    @model_validator(mode="after")
    def _each_once(self) -> LatencyTable:
        seen = set[Part]()
        for part, _ in self.entries():
            if part in seen:
                raise ValueError(f"each part once; {part} is there twice")
            seen.add(part)
        return self

    @classmethod
    def of(cls, times: Mapping[Part, int], **about: Any) -> LatencyTable:
        """The table of these times in nanoseconds. `about`: its other fields."""
        stems = [StemEntry(**asdict(part), ns=ns) for part, ns in times.items() if isinstance(part, StemPart)]
        blocks = [BlockEntry(**asdict(part), ns=ns) for part, ns in times.items() if isinstance(part, BlockPart)]
        heads = [HeadEntry(**asdict(part), ns=ns) for part, ns in times.items() if isinstance(part, HeadPart)]
        return cls(stems=tuple(stems), blocks=tuple(blocks), heads=tuple(heads), **about)

    def __hash__(self) -> int:
        return hash(self.sha256)

    def __repr__(self) -> str:
        where = one_line(self.machine or self.device, 60)
        return f"the table {self.sha256[:12]} ({len(self.blocks)} blocks, {where})"

    __str__ = __repr__

    @cached_property
    def sha256(self) -> str:
        """Identity of the table."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()

    @cached_property
    def ns(self) -> dict[Part, int]:
        """Nanoseconds of each part that the table has."""
        return dict(self.entries())

    def entries(self) -> Iterator[tuple[Part, int]]:
        """(part, nanoseconds) of all, in the table's order."""
        for kind, entries in ((StemPart, self.stems), (BlockPart, self.blocks), (HeadPart, self.heads)):
            for entry in entries:
                yield kind(*astuple(entry)[:-1]), entry.ns

    def require(self, space: Space, field: str = "latency.table") -> None:
        """Check that it has every part that a search in `space` can ask for.

        Raises:
            InvalidSpec: it lacks one; names the first.
        """
        for part in _parts(space):
            if part not in self.ns:
                needed = f"an entry for {part}; `rcasctl latency table` measures all that a space needs"
                raise InvalidSpec(field, got="no entry", allowed=needed)


def parts_of_network(space: Space, network: Network) -> Iterator[Part]:
    """The parts of `network`, from stem to head."""
    yield _stem(space)
    last = space.stem_block()
    for last in space.blocks(network):
        yield _block(last)
    yield _head(space, last.out_channels, strided(last.height, last.stride), strided(last.width, last.stride))


def parts_of(space: Space) -> tuple[Part, ...]:
    """Every part that a network which a search in `space` can build may have, each once, from stem to head."""
    return tuple(dict.fromkeys(_parts(space)))


def _parts(space: Space) -> Iterator[Part]:
    """The same, some of them more than once, each made when it is asked for: of a large space there are millions."""
    stem = space.stem_block()
    incoming, height, width = {stem.out_channels}, stem.height, stem.width
    yield _stem(space)
    for stage in space.stages:
        first = {stage.start[0]} if stage.start else set(space.block_types)
        later = set(stage.start[1:]) | (set(space.block_types) if stage.positions > len(stage.start) else set[int]())
        for channels in sorted(incoming):
            for block in sorted(first):
                yield BlockPart(block, channels, stage.channels, stage.stride, height, width)
        height, width = strided(height, stage.stride), strided(width, stage.stride)
        for block in sorted(later) if stage.positions > 1 else ():
            yield BlockPart(block, stage.channels, stage.channels, 1, height, width)
        incoming = {stage.channels} | (set[int]() if stage.start else incoming)
    for channels in sorted(incoming):
        yield _head(space, channels, height, width)


@lru_cache(maxsize=65536)
def latency_of_network(table: LatencyTable, space: Space, network: Network) -> int:
    """Nanoseconds of one pass of `network`: the sum over its parts.

    Raises:
        InvalidSpec: the table has no entry for one of them; names it.
    """
    total = 0
    for part in parts_of_network(space, network):
        if part not in table.ns:
            raise InvalidSpec("latency.table", got="no entry", allowed=f"an entry for {part}")
        total += table.ns[part]
    return total


def cost_with_latency(table: LatencyTable | None, space: Space, network: Network) -> Cost:
    """What `network` costs, its latency among it if there is a table.

    Raises:
        InvalidSpec: the table lacks a part of the network.
    """
    cost = space.cost(network)
    return cost if table is None else cost._replace(latency=latency_of_network(table, space, network))


def _stem(space: Space) -> StemPart:
    return StemPart(*space.input, space.stem.channels, space.stem.stride, space.stem.block_channels)


def _block(placed: Block) -> BlockPart:
    return BlockPart(_TYPE_NUMBERS[placed.type], *placed[1:])


def _head(space: Space, inputs: int, height: int, width: int) -> HeadPart:
    return HeadPart(inputs, space.head.channels, space.num_classes, height, width)
