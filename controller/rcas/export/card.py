"""The model card of an export: what the network is, how good, on what, and how to use it. Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import NamedTuple

from rcas.architecture import Architecture
from rcas.errors import one_line
from rcas.export.formats import FORMATS, LOADING, PACKAGES, TOLERANCE, Delivery, Format
from rcas.final import Final, FinalResult, spread
from rcas.wording import counted, percent

_SHOWN_CLASSES = 100


class Origin(NamedTuple):
    """Where weights come from.

    Attributes:
        search: its name. final: which network of it was trained finally, and how.
        results: of all its trainings that are done, by seed.
        chosen: the result whose weights these are.
        searched: accuracy in the search's short training; None if the search did not measure this network.
    """

    search: str
    final: Final
    results: tuple[FinalResult, ...]
    chosen: FinalResult
    searched: Fraction | None = None


def title(origin: Origin | None) -> str:
    """What the network is, in a line."""
    if origin is None:
        return "A small convolutional network"
    return f"{origin.search}: a small convolutional network for {origin.final.protocol.draw.dataset}"


def about(origin: Origin | None) -> tuple[str, ...]:
    """How good it is, in a few lines of text."""
    return (_accuracy_line(origin),) if origin else ()


def card(origin: Origin | None, delivery: Delivery) -> str:
    """The text of the card.

    Args:
        origin: None if nothing is known but the file with the weights.
        delivery: the files, as they were written and checked.
    """
    architecture = delivery.architecture
    sections = [
        [f"# {_plain(title(origin))}"],
        _network(architecture, delivery),
        _accuracy(origin),
        _training(origin),
        _feeding(origin, delivery),
        _loading(delivery),
        _files(delivery),
        _use(origin, architecture),
    ]
    return "\n\n".join(part for section in sections for part in section) + "\n"


def _network(architecture: Architecture, delivery: Delivery) -> Iterator[str]:
    space = architecture.space
    cost = space.cost(space.network(architecture.network))
    channels, height, width = space.input
    yield (
        f"An image classifier, found by rcas {delivery.versions.get('rcas', '')}: a search for the most accurate "
        "small convolutional network under a budget of parameters and multiply-adds."
    )
    yield _table(
        ("", ""),
        [
            ("input", f"images (count, {channels}, {height}, {width}), float32, values from 0 to 1"),
            ("output", f"logits (count, {space.num_classes}); softmax makes probabilities of them"),
            ("params", f"{cost.params:,} (convolutions, batch norm, linear layer)"),
            ("MAdds", f"{cost.madds:,} (multiply-adds of the convolutions, one image)"),
            ("blocks", f"`{space.network(architecture.network)}` (types by stage)"),
            ("activation", {"relu6": "ReLU6", "relu": "ReLU"}[architecture.activation]),
        ],
    )
    if architecture.classes:
        names = ", ".join(map(_plain, architecture.classes[:_SHOWN_CLASSES]))
        more = len(architecture.classes) - _SHOWN_CLASSES
        yield f"Classes, in the order of the logits: {names}{f' and {more:,} more' if more > 0 else ''}."


def _accuracy(origin: Origin | None) -> Iterator[str]:
    yield "## Accuracy"
    if origin is None:
        yield "Not known: the network was exported from a file with weights, which tells nothing of its training."
        return
    chosen, results = origin.chosen, origin.results
    yield (
        f"On the {counted(chosen.total, 'test image')} of {origin.final.protocol.draw.dataset}, measured once for "
        "each seed after its last epoch. Top-5: the class is among the first five guesses."
    )
    rows = [
        (
            f"{one.replicate}{' (this network)' if one.key == chosen.key else ''}",
            percent(Fraction(one.correct, one.total)),
            percent(Fraction(one.correct_top5, one.total)),
        )
        for one in results
    ]
    yield _table(("seed", "top-1", "top-5"), rows)
    yield _accuracy_line(origin)
    if len(results) > 1 and chosen.correct == max(one.correct for one in results):
        yield (
            "It is the best of its seeds on these very images, so its own figure is a little too good. The mean is "
            "what to expect of the architecture."
        )
    if origin.searched is not None:
        yield (
            f"The search saw {percent(origin.searched)} of this architecture: after a short training, on validation "
            "images. That figure ranks networks and is not comparable with those above."
        )


def _accuracy_line(origin: Origin) -> str:
    found = spread(Fraction(one.correct, one.total) for one in origin.results)
    own = percent(Fraction(origin.chosen.correct, origin.chosen.total))
    line = (
        f"This network has {own} on the {counted(origin.chosen.total, 'test image')} (seed {origin.chosen.replicate})"
    )
    if found.deviation is None:
        return f"{line}. It is the only training, so nothing is known of the spread over seeds."
    points = f"{found.deviation * 100:.2f}"
    return (
        f"{line}; over {found.seeds} seeds the mean is {percent(found.mean)}, the standard deviation {points} points."
    )


def _training(origin: Origin | None) -> Iterator[str]:
    if origin is None:
        return
    final, chosen = origin.final, origin.chosen
    protocol, recipe = final.protocol, final.protocol.training
    which = {"best": "its best network", "highest": "its most accurate network", "given": "a network given by hand"}
    onto = f", its stages put onto the skeleton {_plain(final.onto)}" if final.onto else ""
    yield "## Data and training"
    yield (
        f"Search {_plain(origin.search)}, {which[final.of]}{onto}; trained from scratch on "
        f"{counted(chosen.train_images, 'image')} of {protocol.draw.dataset} (training and validation images of the "
        "search), none of which is among the test images."
    )
    milestones = ", ".join(map(str, recipe.milestones))
    augmentation = ["random crops"] * (recipe.pad > 0) + ["horizontal flips"] * recipe.flip
    yield _table(
        ("", ""),
        [
            ("epochs", f"{chosen.epochs} of {recipe.epochs}" + (" (it diverged)" if chosen.diverged else "")),
            ("optimizer", f"SGD, momentum {recipe.momentum:g}{', Nesterov' if recipe.nesterov else ''}"),
            ("learning rate", f"{recipe.lr:g}, times {recipe.gamma:g} after epochs {milestones or 'none'}"),
            ("weight decay", f"{recipe.weight_decay:g}"),
            ("batch size", str(recipe.batch_size)),
            ("augmentation", " and ".join(augmentation) or "none"),
            (
                "precision, device",
                f"{recipe.precision}, {protocol.device}, {counted(protocol.threads, 'CPU thread')}",
            ),
            ("seed", str(chosen.replicate)),
            ("key", f"`{chosen.key}`"),
            ("data (sha256)", f"`{protocol.data_sha256}`"),
            ("versions", _versions(protocol.versions)),
        ],
    )


def _feeding(origin: Origin | None, delivery: Delivery) -> Iterator[str]:
    channels, height, width = delivery.architecture.space.input
    ready = " and ".join(f"`{file.name}`" for file in delivery.files if file.format != "safetensors")
    yield "## What to feed it"
    yield (
        f"Images with {counted(channels, 'channel')}, {height} pixels high and {width} wide, values from 0 to 1: "
        "bytes divided by 255."
        + (f" **Do not subtract a mean**: {ready} do it. They refuse whole numbers and other sizes." if ready else "")
    )
    if origin and origin.final.protocol.draw.dataset == "imagefolder":
        yield (
            "Images of another size: take the centre, 7/8 of the largest part with this ratio of sides, and resize "
            "it bilinearly, as Pillow's `Image.resize` does."
        )
        return
    yield "Images of another size, as bytes in a tensor `pixels` (count, channels, height, width):"
    yield _code(
        "from torch.nn.functional import interpolate\n\n"
        f'resized = interpolate(pixels.float(), ({height}, {width}), mode="bilinear", antialias=True)\n'
        "images = resized.round().clamp(0, 255) / 255\n"
    )


def _loading(delivery: Delivery) -> Iterator[str]:
    yield "## Load it"
    yield "In the folder of the files, with a torch tensor `images` (`model.onnx` takes a numpy array):"
    written: dict[Format, str] = {file.format: file.name for file in delivery.files}
    for one in sorted(written, key=lambda one: (one == "safetensors", FORMATS.index(one))):
        yield f"**{written[one]}** needs {PACKAGES[one]}."
        yield _code(LOADING[one])
    if "safetensors" in written:
        mean = ", ".join(f"{value:.6g}" for value in delivery.architecture.mean)
        yield (
            "`weights` is the state of the layers alone: who builds them anew must subtract the mean of the training "
            f"images ({mean}) from each channel first."
        )


def _files(delivery: Delivery) -> Iterator[str]:
    yield "## Files"
    yield _table(
        ("file", "bytes", "largest difference", "sha256"),
        [(f.name, f"{f.size_bytes:,}", f"{f.difference:.1e}", f"`{f.sha256}`") for f in delivery.files],
    )
    yield (
        "Each was loaded without rcas after it was written, and its logits on random images compared with those of "
        f"the trained network (allowed: {TOLERANCE:g}). Written with {_versions(delivery.versions)}."
    )


def _use(origin: Origin | None, architecture: Architecture) -> Iterator[str]:
    images = (
        f"images like those of {origin.final.protocol.draw.dataset}" if origin else "images like those of its data"
    )
    yield "## Intended use and limits"
    yield "\n".join(
        [
            f"- It is for telling {counted(architecture.space.num_classes, 'class', 'classes')} apart on {images}, "
            "where memory and arithmetic are scarce.",
            "- It answers every image with one of its classes, also an image of none of them.",
            "- Nothing is known of its accuracy on other data, for single groups of images, under noise, or against "
            "images made to deceive it. Its probabilities are not calibrated.",
            "- Params and multiply-adds are exact. They are neither latency nor energy: `rcasctl latency` measures.",
        ]
    )
    yield "## Licence"
    yield "To be filled in by who publishes it. The terms of the training data count as well."


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ("---",) * len(head), *rows))


def _versions(versions: Mapping[str, str]) -> str:
    return ", ".join(f"{_plain(name)} {_plain(number)}" for name, number in sorted(versions.items()))


def _code(text: str) -> str:
    return f"```python\n{text}```"


def _plain(text: str) -> str:
    """What others named, as text that neither Markdown nor HTML takes for its own."""
    return re.sub(r"([\\`*_{}\[\]()#+!|~])", r"\\\1", html.escape(one_line(text, 200), quote=False))
