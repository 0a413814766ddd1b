"""Exact costs: the paper's networks, a network counted by hand, and what a block adds wherever it is put."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import builders
from rcas import Network, Space, Stage
from rcas.costs import Cost


@pytest.mark.parametrize(
    ("space", "network", "cost"),
    [
        (
            Space.cifar(100),
            "5,3,1,1 / 5,2,3,3,5 / 5,3,3,6 / 1,6,4,6 / 5,4,6,4,1 / -",
            Cost(1_918_436, 87_253_504),
        ),
        (
            Space.imagenet(1000),
            "5,1,4 / 5,1 / 5,2,4 / 1,6,4,6 / 5,3,3,6,3 / 6",
            Cost(3_436_224, 294_401_408),
        ),
    ],
)
def test_the_papers_networks_to_the_unit(space, network, cost):
    found = space.network(network)
    assert Cost(space.params(found), space.madds(found)) == cost


def test_a_small_network_counted_by_hand():
    space = builders.small_space(
        Stage(8, 2), Stage(16, 2, stride=2, start=(3,)), Stage(24, 2), types=(1, 2, 3), image=8
    )
    params, madds = (
        # 1 -> 8, 3x3 at 8x8; the t = 1 block 8 -> 8.
        (72 + 16) + (64 + 16 + 72 + 16 + 64 + 16),
        72 * 64 + (64 + 72 + 64) * 64,
    )
    # Type 1, 8 -> 24 -> 8: the shortcut is the identity.
    params += (192 + 48) + (216 + 48) + (192 + 16)
    madds += (192 + 216 + 192) * 64
    # Type 3, 8 -> 48 -> 16 in two groups each, 8x8 -> 4x4: no shortcut.
    params += (192 + 96) + (432 + 96) + (384 + 32)
    madds += 192 * 64 + (432 + 384) * 16
    # Type 2, 16 -> 48 -> 24 with two groups in the projection, and a 1x1 convolution as its shortcut.
    params += (768 + 96) + (432 + 96) + (576 + 48) + (384 + 48)
    madds += (768 + 432 + 576 + 384) * 16
    # 24 -> 16, 1x1; linear 16 -> 4, which MAdds do not count.
    params += (384 + 32) + (16 * 4 + 4)
    madds += 384 * 16
    assert space.cost(space.network("1 / 3 / 2")) == Cost(params, madds)


def test_costs_fall_where_a_narrow_block_comes_between_wide_ones():
    space = builders.small_space(Stage(32, 1, start=(5,)), Stage(8, 1), Stage(24, 1, start=(5,)), types=(1,))
    without, with_block = space.cost(space.network("5 / - / 5")), space.cost(space.network("5 / 1 / 5"))
    assert with_block.params < without.params
    assert with_block.madds < without.madds


def networks(space: Space) -> st.SearchStrategy[Network]:
    def stage(of: Stage):
        blocks = st.sampled_from(sorted({*space.block_types, *of.start}))
        return st.lists(blocks, min_size=of.stride - 1, max_size=of.positions).map(tuple)

    return st.tuples(*map(stage, space.stages)).map(Network)


PAPER = Space.cifar(10)


@given(networks(PAPER), st.data())
def test_inside_a_stage_a_block_costs_the_same_whatever_surrounds_it(network, data):
    stage = data.draw(st.integers(0, 5))
    if not network.stages[stage] or len(network.stages[stage]) == 6:
        return
    block = data.draw(st.sampled_from(PAPER.block_types))
    grown = network.insert(stage, data.draw(st.integers(1, len(network.stages[stage]))), block)
    alone = Network(tuple((5,) for _ in range(6)))
    expected = PAPER.cost(alone.insert(stage, 1, block)) - PAPER.cost(alone)
    # What stands first keeps the stage's change of width and its stride.
    assert PAPER.cost(grown) - PAPER.cost(network) == expected


@given(networks(PAPER), st.data())
def test_inserting_puts_the_block_there_and_moves_nothing_else(network, data):
    stage = data.draw(st.integers(0, 5))
    index = data.draw(st.integers(0, len(network.stages[stage])))
    grown = network.insert(stage, index, 6)
    assert grown.stages[stage][index] == 6
    assert grown.block_count == network.block_count + 1
    shrunk = list(grown.stages)
    shrunk[stage] = shrunk[stage][:index] + shrunk[stage][index + 1 :]
    assert Network(tuple(shrunk)) == network


@given(builders.spaces(), st.data())
def test_a_printed_network_is_read_back(space, data):
    network = data.draw(networks(space))
    assert space.network(str(network)) == network
    assert space.network(str(network).replace(" ", "")) == network
