import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from rcas.blocks import BLOCK_TYPES, Block
from rcas.costs import Cost
from rcas.space import Head, Network, Space, Stage, Stem
from rcas_trainer.model import DepthwiseBlock, build, check_costs, count


@st.composite
def custom_spaces(draw: st.DrawFn) -> Space:
    widths = draw(st.lists(st.integers(1, 6), min_size=1, max_size=3, unique=True))
    stages = [Stage(4 * width, draw(st.integers(1, 3)), draw(st.sampled_from([1, 2])), (5,)) for width in widths]
    stem = Stem(4 * draw(st.integers(1, 3)), draw(st.sampled_from([1, 2])), 4 * draw(st.integers(1, 3)))
    image = (draw(st.integers(1, 4)), draw(st.integers(1, 20)), draw(st.integers(1, 20)))
    return Space(image, draw(st.integers(2, 12)), tuple(stages), stem=stem, head=Head(draw(st.integers(1, 40))))


@st.composite
def networks(draw: st.DrawFn) -> tuple[Space, Network]:
    paper = [Space.cifar(10, input=(3, 16, 16)), Space.imagenet(10, input=(3, 32, 32))]
    space = draw(st.one_of(st.sampled_from(paper), custom_spaces()))
    stages = []
    for stage in space.stages:
        room = min(2, stage.positions - len(stage.start))
        stages.append((*stage.start, *draw(st.lists(st.sampled_from(space.block_types), max_size=room))))
    return space, Network(tuple(stages))


@given(networks())
@settings(max_examples=25, deadline=None)
def test_a_module_costs_what_the_search_reckons_and_gives_one_logit_a_class(drawn: tuple[Space, Network]) -> None:
    space, network = drawn
    with torch.device("meta"):
        module = build(space, network)
    assert check_costs(module, space, network) == space.cost(network)
    assert module.eval()(torch.empty(2, *space.input, device="meta")).shape == (2, space.num_classes)


@pytest.mark.parametrize(
    ("space", "text", "cost"),
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
    ids=["CIFAR-100", "ImageNet"],
)
def test_the_papers_networks_cost_what_its_tables_say(space: Space, text: str, cost: Cost) -> None:
    assert count(build(space, space.network(text)), space.input) == cost


def test_a_module_that_differs_from_the_reckoning_is_refused() -> None:
    space = Space.cifar(10)
    module = build(space, space.start)
    with pytest.raises(AssertionError, match="the search reckons with"):
        check_costs(nn.Sequential(module, nn.Linear(10, 10)), space, space.start)


@pytest.mark.parametrize("number", BLOCK_TYPES)
def test_the_projection_sees_every_group_in_turn(number: int) -> None:
    kind = BLOCK_TYPES[number]
    block = DepthwiseBlock(Block(kind, 8, 8, 1, 4, 4), nn.ReLU6).eval()
    hidden, groups = 8 * kind.expansion, kind.projection_groups
    seen: dict[str, torch.Tensor] = {}
    block.depthwise.register_forward_hook(lambda _m, _i, output: seen.update(before=output.clone()))
    block.project.register_forward_pre_hook(lambda _m, inputs: seen.update(after=inputs[0].clone()))
    block(torch.randn(2, 8, 4, 4).contiguous(memory_format=torch.channels_last))
    order = [group * hidden // groups + index for index in range(hidden // groups) for group in range(groups)]
    assert torch.equal(seen["after"], seen["before"][:, order])


def test_shortcuts_are_identity_or_a_convolution_at_stride_1_and_absent_at_stride_2() -> None:
    def kind(inputs: int, stride: int) -> tuple[bool, type[nn.Module]]:
        block = DepthwiseBlock(Block(BLOCK_TYPES[5], inputs, 8, stride, 4, 4), nn.ReLU)
        return block.has_shortcut, type(block.shortcut)

    assert kind(8, 1) == (True, nn.Identity)
    assert kind(4, 1) == (True, nn.Sequential)
    assert not kind(8, 2)[0]
    assert not kind(4, 2)[0]


def test_an_identity_shortcut_adds_the_input() -> None:
    block = DepthwiseBlock(Block(BLOCK_TYPES[5], 8, 8, 1, 4, 4), nn.ReLU).eval()
    nn.init.zeros_(block.project[0].weight)
    images = torch.randn(2, 8, 4, 4)
    assert torch.equal(block(images), images)


@pytest.mark.parametrize(("name", "kind"), [("relu", nn.ReLU), ("relu6", nn.ReLU6)])
def test_the_activation_is_a_choice_and_no_projection_has_one(name: str, kind: type[nn.Module]) -> None:
    space = Space.cifar(10)
    module = build(space, space.start, name)
    found = [type(layer) for layer in module.modules() if isinstance(layer, nn.ReLU | nn.ReLU6)]
    blocks = 1 + space.start.block_count
    assert found == [kind] * (2 * blocks + 2)
