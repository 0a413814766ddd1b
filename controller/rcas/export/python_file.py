"""A network as one readable Python file: plain torch, every layer written out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rcas.architecture import Architecture
from rcas.blocks import Block, strided
from rcas.errors import one_line
from rcas.export.formats import FILE_NAMES
from rcas.space import Network, Space

_MOST_NAMED_CLASSES = 1000
"""More names would bury the network."""
_ACTIVATIONS = {"relu6": "nn.ReLU6", "relu": "nn.ReLU"}

_FILE = '''\
"""{title}

{about}
Params {params:,}; MAdds {madds:,} (multiply-adds of the convolutions, one image).
Input: images (count, {channels}, {height}, {width}), floating point, values from 0 to 1; the mean is subtracted
here.
Output: logits (count, {num_classes}); softmax makes probabilities of them.

    from model import load

    network = load("{weights}")  # in evaluation mode, on the CPU
    logits = network(images)

Needs torch and safetensors.
"""

from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).with_name("{weights}")
INPUT = ({channels}, {height}, {width})  # channels, height, width
MEAN = {mean}  # subtracted, one number a channel
NUM_CLASSES = {num_classes}
{classes}

def convolution(inputs, outputs, kernel, stride=1, groups=1, activation=True):
    """A convolution without bias, batch norm, and {activation_name} unless it is linear."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    if activation:
        layers.append({activation}(inplace=True))
    return nn.Sequential(*layers)


class Block(nn.Module):
    """1x1 expansion, 3x3 depthwise, channel shuffle, linear 1x1 projection; at stride 1 a shortcut around them."""

    def __init__(self, inputs, hidden, outputs, stride, expand_groups, project_groups):
        super().__init__()
        self.expand = convolution(inputs, hidden, kernel=1, groups=expand_groups)
        self.depthwise = convolution(hidden, hidden, kernel=3, stride=stride, groups=hidden)
        self.project = convolution(hidden, outputs, kernel=1, groups=project_groups, activation=False)
        self.project_groups = project_groups
        self.has_shortcut = stride == 1
        if stride == 1 and inputs != outputs:
            self.shortcut = convolution(inputs, outputs, kernel=1, activation=False)
        else:
            self.shortcut = nn.Identity()

    def forward(self, images: Tensor) -> Tensor:
        hidden = self.depthwise(self.expand(images))
        if self.project_groups > 1:
            hidden = torch.channel_shuffle(hidden, self.project_groups)
        found = self.project(hidden)
        return found + self.shortcut(images) if self.has_shortcut else found


class Classifier(nn.Module):
    """Global average pooling and the linear layer."""

    def __init__(self, channels, num_classes):
        super().__init__()
        self.linear = nn.Linear(channels, num_classes)

    def forward(self, features: Tensor) -> Tensor:
        return self.linear(features.mean((2, 3)))


class Network(nn.Module):
    """{blocks}"""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, -1, 1, 1), persistent=False)
        self.layers = nn.Sequential(
{layers}
        )

    def forward(self, images: Tensor) -> Tensor:
        if not images.is_floating_point():
            raise TypeError("images must be floating point with values from 0 to 1: divide bytes by 255")
        if tuple(images.shape[1:]) != INPUT:
            raise ValueError(f"images must have the shape (count, *{{INPUT}}), not {{tuple(images.shape)}}")
        return self.layers(images - self.mean)


def load(weights=WEIGHTS):
    """The trained network in evaluation mode, on the CPU."""
    network = Network()
    network.layers.load_state_dict(load_file(weights))
    return network.eval()
'''


def python_file(architecture: Architecture, title: str, about: Sequence[str] = ()) -> str:
    """The source of a module with a class `Network` and a function `load`.

    Its layers have the names that the weights have: those of `rcas_trainer.model.build`.

    Args:
        architecture: what to write.
        title: first line of its docstring.
        about: further lines of it.
    """
    space = architecture.space
    network = space.network(architecture.network)
    channels, height, width = space.input
    cost = space.cost(network)
    return _FILE.format(
        title=_docstring_line(title),
        about="".join(f"{_docstring_line(line)}\n" for line in about),
        params=cost.params,
        madds=cost.madds,
        channels=channels,
        height=height,
        width=width,
        mean=architecture.mean,
        num_classes=space.num_classes,
        classes=_classes(architecture.classes),
        activation=_ACTIVATIONS[architecture.activation],
        activation_name=_ACTIVATIONS[architecture.activation].removeprefix("nn."),
        weights=FILE_NAMES["safetensors"],
        blocks=str(network),
        layers="\n".join(f"{' ' * 12}{line}" for line in _layers(space, network)),
    )


def _layers(space: Space, network: Network) -> Iterator[str]:
    yield f"# Stem, on {_pixels(*space.input[1:])}"
    yield f"convolution({space.input[0]}, {space.stem.channels}, kernel=3, stride={space.stem.stride}),"
    yield _block(space.stem_block())
    last = space.stem_block()
    placed = space.blocks(network)
    for number, (types, stage) in enumerate(zip(network.stages, space.stages, strict=True)):
        blocks = [next(placed) for _ in types]
        if not blocks:
            yield f"# Stage {number}: empty"
            continue
        last = blocks[-1]
        yield f"# Stage {number}: {stage.channels} channels, from {_pixels(blocks[0].height, blocks[0].width)}"
        for kind, block in zip(types, blocks, strict=True):
            yield f"{_block(block)}  # type {kind}"
    yield f"# Head, on {_pixels(strided(last.height, last.stride), strided(last.width, last.stride))}"
    yield f"convolution({last.out_channels}, {space.head.channels}, kernel=1),"
    yield f"Classifier({space.head.channels}, NUM_CLASSES),"


def _block(placed: Block) -> str:
    kind = placed.type
    return (
        f"Block({placed.in_channels}, {placed.in_channels * kind.expansion}, {placed.out_channels}, "
        f"stride={placed.stride}, expand_groups={kind.expansion_groups}, project_groups={kind.projection_groups}),"
    )


def _pixels(height: int, width: int) -> str:
    return f"{height} x {width}"


def _classes(names: tuple[str, ...] | None) -> str:
    if names is None or len(names) > _MOST_NAMED_CLASSES:
        return ""
    lines = "".join(f"    {name!r},\n" for name in names)
    return f"CLASSES = (  # in the order of the logits\n{lines})\n"


def _docstring_line(text: str) -> str:
    """What others named may hold quotes and backslashes."""
    return one_line(text, 1000).replace("\\", "/").replace('"', "'")
