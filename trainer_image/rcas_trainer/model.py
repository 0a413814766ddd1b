"""The torch network of a `Network` (paper, Table 1 and section 4.1), and what it costs as built."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from rcas.blocks import Block
from rcas.costs import Cost
from rcas.space import Network, Space

Activation = Literal["relu6", "relu"]
_ACTIVATIONS: dict[Activation, type[nn.Module]] = {"relu6": nn.ReLU6, "relu": nn.ReLU}


class DepthwiseBlock(nn.Module):
    """A placed block: 1x1 expansion, 3x3 depthwise, shuffle, linear 1x1 projection, shortcut at stride 1."""

    def __init__(self, placed: Block, activation: type[nn.Module]) -> None:
        super().__init__()
        kind, inputs, outputs, stride = placed[:4]
        hidden = inputs * kind.expansion
        self.expand = _conv(inputs, hidden, groups=kind.expansion_groups, activation=activation)
        self.depthwise = _conv(hidden, hidden, 3, stride, groups=hidden, activation=activation)
        self.project = _conv(hidden, outputs, groups=kind.projection_groups)
        self.groups = kind.projection_groups
        self.has_shortcut = stride == 1
        self.shortcut = _conv(inputs, outputs) if stride == 1 and inputs != outputs else nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        """(count, in_channels, height, width) to (count, out_channels, height / stride, width / stride)."""
        hidden = self.depthwise(self.expand(images))
        if self.groups > 1:
            hidden = torch.channel_shuffle(hidden, self.groups)
        found = self.project(hidden)
        return found + self.shortcut(images) if self.has_shortcut else found


class Classifier(nn.Module):
    """Global average pooling and the linear layer.

    A plain mean, because the backward pass of adaptive pooling has no deterministic CUDA kernel.
    """

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        """(count, channels, height, width) to logits (count, num_classes)."""
        return self.linear(features.mean((2, 3)))


def build(space: Space, network: Network, activation: Activation = "relu6") -> nn.Sequential:
    """The network in float32 with fresh weights from torch's global generator.

    The weights are torch's default draw. Every convolution is followed by batch norm, so their scale changes no
    output, only how far a step turns them. Kaiming fan-out, measured against it on Fashion-MNIST at 14x14 (means
    of 4 seeds, of 1,000 right, three settings): 711, 708, 761 against 689, 730, 764. The means are uncertain by
    about 10, so there is no winner and the simplest stays.

    Args:
        space: the skeleton.
        network: its blocks.
        activation: after every convolution but the linear projections and shortcuts.

    Raises:
        InvalidSpec: the network does not lie in the space.
    """
    space.check(network)
    layers: list[nn.Module] = [*stem(space, activation)]
    channels = space.stem.block_channels
    for placed in space.blocks(network):
        layers.append(block(placed, activation))
        channels = placed.out_channels
    return nn.Sequential(*layers, *head(space, channels, activation))


def stem(space: Space, activation: Activation = "relu6") -> nn.Sequential:
    """The first convolution and the t = 1 block after it."""
    kind = _ACTIVATIONS[activation]
    first = _conv(space.input[0], space.stem.channels, 3, space.stem.stride, activation=kind)
    return nn.Sequential(first, DepthwiseBlock(space.stem_block(), kind))


def block(placed: Block, activation: Activation = "relu6") -> DepthwiseBlock:
    """A placed block."""
    return DepthwiseBlock(placed, _ACTIVATIONS[activation])


def head(space: Space, inputs: int, activation: Activation = "relu6") -> nn.Sequential:
    """The last convolution on `inputs` channels, the pooling and the linear layer."""
    last = _conv(inputs, space.head.channels, activation=_ACTIVATIONS[activation])
    return nn.Sequential(last, Classifier(space.head.channels, space.num_classes))


def count(module: nn.Module, image: tuple[int, int, int]) -> Cost:
    """Params and convolution multiply-adds of a module, found by running it on one empty image.

    Args:
        module: takes (count, channels, height, width). Comes back as it was.
        image: (channels, height, width).
    """
    madds = 0

    def add(layer: nn.Module, _inputs: object, output: Tensor) -> None:
        nonlocal madds
        assert isinstance(layer, nn.Conv2d)
        madds += layer.weight.numel() * output.shape[2] * output.shape[3]

    convolutions = [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]
    handles = [layer.register_forward_hook(add) for layer in convolutions]
    was_training, device = module.training, next(module.parameters()).device
    with torch.no_grad():
        # Evaluation mode, because a forward pass in training changes the statistics of batch norm.
        module.eval()(torch.zeros(1, *image, device=device))
    module.train(was_training)
    for handle in handles:
        handle.remove()
    return Cost(sum(parameter.numel() for parameter in module.parameters()), madds)


def check_costs(module: nn.Module, space: Space, network: Network) -> Cost:
    """The cost of the module as built.

    Raises:
        AssertionError: it differs from what the search reckons with: a budget would be broken unseen.
    """
    built, reckoned = count(module, space.input), space.cost(network)
    if built != reckoned:
        raise AssertionError(f"network {network} was built with {built}, the search reckons with {reckoned}")
    return built


def _conv(
    inputs: int,
    outputs: int,
    kernel: int = 1,
    stride: int = 1,
    *,
    groups: int = 1,
    activation: type[nn.Module] | None = None,
) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, activation(inplace=True)) if activation else nn.Sequential(*layers)
