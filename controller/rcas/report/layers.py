"""The layers of a network, one by one, with what each costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rcas import costs
from rcas.blocks import Block, strided
from rcas.report.model import Costs, Layer
from rcas.space import Element, Network, Space


def layers(space: Space, network: Network, added: Iterable[Element] = ()) -> tuple[Layer, ...]:
    """From the stem to the classifier.

    Args:
        space: of the network.
        network: whose layers.
        added: the elements that a search put in, in its order; tells when each block came in.
    """
    return tuple(_layers(space, network, list(added)))


def _layers(space: Space, network: Network, added: list[Element]) -> Iterator[Layer]:
    stem = space.stem_block()
    yield Layer(
        part="stem",
        inputs=space.input[0],
        outputs=space.stem.channels,
        stride=space.stem.stride,
        height=stem.height,
        width=stem.width,
        cost=_costs(costs.stem(space.input, space.stem.channels, space.stem.stride)),
    )
    yield _block(stem)
    last, numbers = stem, _numbers(space, added)
    kinds = ((stage, index) for stage, blocks in enumerate(network.stages) for index in range(len(blocks)))
    for (stage, index), last in zip(kinds, space.blocks(network), strict=True):
        own = numbers[stage][index] if index < len(numbers[stage]) else None
        yield _block(last, stage, network.stages[stage][index], own)
    size = strided(last.height, last.stride), strided(last.width, last.stride)
    head, whole = space.head.channels, costs.head(last.out_channels, space.head.channels, space.num_classes, size)
    linear = costs.Cost(head * space.num_classes + space.num_classes, 0)
    yield Layer(
        part="head",
        inputs=last.out_channels,
        outputs=head,
        height=size[0],
        width=size[1],
        cost=_costs(whole - linear),
    )
    yield Layer(part="classifier", inputs=head, outputs=space.num_classes, height=1, width=1, cost=_costs(linear))


def _block(placed: Block, stage: int | None = None, number: int | None = None, added: int | None = None) -> Layer:
    kind, inputs, outputs, stride, height, width = placed
    return Layer(
        part="stem-block" if stage is None else "block",
        stage=stage,
        type=number,
        added=added,
        expansion=kind.expansion,
        expansion_groups=kind.expansion_groups,
        projection_groups=kind.projection_groups,
        inputs=inputs,
        outputs=outputs,
        stride=stride,
        height=strided(height, stride),
        width=strided(width, stride),
        shortcut=None if stride > 1 else "identity" if inputs == outputs else "conv",
        cost=_costs(costs.block(placed)),
    )


def _numbers(space: Space, added: list[Element]) -> list[list[int | None]]:
    """For each stage and each block in it: as the how many-th it was added; None for a start block."""
    found = list[list[int | None]]()
    for stage, described in enumerate(space.stages):
        own = sorted((e.position, n) for n, e in enumerate(added, start=1) if space.stage_of[e.position] == stage)
        found.append([*[None] * len(described.start), *(number for _, number in own)])
    return found


def _costs(cost: costs.Cost) -> Costs:
    return Costs(params=cost.params, madds=cost.madds)
