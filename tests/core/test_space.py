"""Which spaces and networks are refused, and that the message says what to change."""

from __future__ import annotations

import pytest

from core import builders
from rcas import Element, InvalidSpec, Space, Stage, Stem

BIG = 10**9


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"input": (3, 32)}, "space.input", "channels, height and width"),
        ({"input": (0, 32, 32)}, "space.input.channels", "from 1"),
        ({"input": (3, 32, BIG)}, "space.input.width", "to 4096"),
        ({"input": (3, 32.5, 32)}, "space.input.height", "whole number"),
        ({"input": (3, "32", 32)}, "space.input.height", "whole number"),
        ({"num_classes": 1}, "space.num_classes", "from 2"),
        ({"num_classes": True}, "space.num_classes", "whole number"),
        ({"stages": ()}, "space.stages", "at least one stage"),
        ({"block_types": ()}, "space.block_types", "at least one of"),
        ({"block_types": (1, 7)}, "space.block_types", "from 1 to 6"),
        ({"block_types": (1, "5")}, "space.block_types", "whole number"),
        ({"stem": Stem(stride=3)}, "space.stem.stride", "from 1 to 2"),
        ({"stages": (Stage(24, 0),)}, "space.stages[0].positions", "from 1"),
        ({"stages": (Stage(24, 2, stride=4, start=(5,)),)}, "space.stages[0].stride", "from 1 to 2"),
        ({"stages": (Stage(24, 2, start=(0,)),)}, "space.stages[0].start", "from 1 to 6"),
        ({"stages": (Stage(24, 1, start=(5, 5)),)}, "space.stages[0].start", "its 1 positions"),
        ({"stages": (Stage(24, 2), Stage(32, 2, stride=2))}, "space.stages[1].start", "has stride 2"),
        ({"stages": (Stage(25, 2),)}, "space.stages[0].channels", "block type 2 divide"),
        ({"stages": (Stage(26, 2),)}, "space.stages[0].channels", "26 output channels, 4 groups"),
        ({"stem": Stem(block_channels=15)}, "space.stages[0].channels", "45 expanded channels, 2 groups"),
        ({"stages": (Stage(24, 2), Stage(24, 2))}, "space.stages[1].channels", "join the two stages"),
        ({"stages": (Stage(24, 2), Stage(32, 2), Stage(24, 2))}, "space.stages[2].channels", "stages[0]"),
    ],
)
def test_a_space_that_cannot_be_built_is_refused_with_the_reason(change, field, reason):
    with pytest.raises(InvalidSpec) as refused:
        Space.cifar(**change)
    assert refused.value.field == field
    assert reason in str(refused.value)


def test_groups_are_checked_against_the_blocks_that_a_stage_may_receive():
    # Stage 0 may stay empty, so the stem's 6 channels can reach stage 1; with a start block they cannot.
    stem, wide = Stem(block_channels=6), Stage(16, 2)
    fine = Space.cifar(10, stem=stem, stages=(Stage(8, 2, start=(1,)), wide), block_types=(1, 6))
    assert fine.params(fine.network("1 / 6")) > 0
    Space.cifar(10, stem=Stem(block_channels=5), stages=(Stage(8, 2, start=(1,)), wide), block_types=(1,))
    with pytest.raises(InvalidSpec, match="5 input channels"):
        Space.cifar(10, stem=Stem(block_channels=5), stages=(Stage(8, 2), wide), block_types=(3,))


def test_equal_widths_are_two_stages_where_a_stride_or_a_start_block_separates_them():
    Space.cifar(10, stages=(Stage(24, 2), Stage(24, 2, stride=2, start=(5,))))
    Space.cifar(10, stages=(Stage(24, 2), Stage(32, 2, start=(5,)), Stage(24, 2)))


def test_lists_do_for_tuples():
    space = Space([3, 32, 32], 10, [Stage(24, 2, start=[5])], block_types=[5, 1, 5])
    assert space == Space((3, 32, 32), 10, (Stage(24, 2, start=(5,)),), block_types=(1, 5))
    assert space.params(space.start) == space.params(space.network("5"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "2 stages"),
        ("5", "2 stages"),
        ("5 / 1 / 1", "2 stages"),
        ("5 / ", "2 stages"),
        ("5,,3 / 1", "2 stages"),
        ("5,a / 1", "2 stages"),
        ("5,3.0 / 1", "2 stages"),
        ("5;3 / 1", "2 stages"),
        ("5,2 / 1", "block types [1, 3, 5] in stage 0"),
        ("5,-3 / 1", "block types [1, 3, 5] in stage 0"),
        ("5,5,5,5 / 1", "at most 3 blocks in stage 0"),
        ("5 / -", "a block in stage 1, which has stride 2"),
    ],
)
def test_a_network_outside_the_space_is_refused_with_the_reason(text, reason):
    with pytest.raises(InvalidSpec) as refused:
        builders.small_space().network(text)
    assert refused.value.field == "network"
    assert reason in str(refused.value)


def test_the_papers_ground_set():
    space = Space.cifar(100)
    assert str(space.start) == "5 / 5 / 5 / - / 5 / -"
    assert len(space.elements) == 32 * 6
    assert not {0, 6, 12, 24} & {element.position for element in space.elements}
    assert Element(18, 1) in space.elements
