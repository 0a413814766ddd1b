"""The texts of an export: what they say, and that what others named stays text in them."""

import ast
from typing import Any

import pytest

from rcas.evaluation import Seconds, Training
from rcas.export.card import Origin, about, card, title
from rcas.export.formats import FILE_NAMES, FORMATS, LOADING, Delivery, Exported, with_needed
from rcas.export.python_file import python_file
from rcas.final import Final, FinalDraw, FinalProtocol, FinalResult
from trainer.builders import an_architecture

HOSTILE = "a\"\"\"\nimport os\n''' {x} \\ <script>alert(1)</script> | `b` **c** [d](http://e)"


def a_delivery(*formats: Any, **architecture: Any) -> Delivery:
    files = tuple(
        Exported(format=one, name=FILE_NAMES[one], size_bytes=1234, sha256="ab" * 32, difference=2e-7)
        for one in formats or FORMATS
    )
    return Delivery(architecture=an_architecture(**architecture), files=files, versions={"torch": "2.9", "rcas": "1"})


def an_origin(*correct: int, chosen: int = 0, **draw: Any) -> Origin:
    """Trainings with the seeds 0, 1, ... that had so many of 1,000 test images right."""
    architecture = an_architecture()
    protocol = FinalProtocol(
        draw=FinalDraw(**{"dataset": "digits", "held_out": "test", **draw}),
        training=Training(epochs=20, milestones=(6, 12)),
        data_sha256="0" * 64,
        test_sha256="1" * 64,
        device="cpu",
        threads=1,
        versions={"torch": "2.9"},
    )
    final = Final(
        of="best", space=architecture.space, network=architecture.network, protocol=protocol, seeds=len(correct)
    )
    results = tuple(
        FinalResult(
            key=final.key(seed),
            network=final.network,
            protocol_sha256=protocol.sha256,
            replicate=seed,
            correct=right,
            correct_top5=990,
            total=1000,
            loss=0.5,
            train_loss=0.1,
            epochs=20,
            diverged=False,
            seconds=Seconds(startup=0, data=0, training=1, validation=0),
            images_per_second=100,
            device="a machine",
            versions={"torch": "2.9"},
            params=1,
            madds=1,
            weights_sha256="2" * 64,
            train_images=797,
        )
        for seed, right in enumerate(correct)
    )
    return Origin("tiny", final, results, results[chosen])


def test_the_card_says_how_good_the_network_is_with_n_and_spread() -> None:
    text = card(an_origin(900, 910, 920, chosen=2), a_delivery())
    assert "# tiny: a small convolutional network for digits" in text
    assert "| 2 (this network) | 92.00% | 99.00% |" in text
    assert "over 3 seeds the mean is 91.00%, the standard deviation 1.00 points" in text
    assert "its own figure is a little too good" in text
    assert "trained from scratch on 797 images of digits" in text
    assert "too good" not in card(an_origin(900, 910, chosen=0), a_delivery())


def test_one_training_has_no_spread_and_the_card_says_so() -> None:
    [line] = about(an_origin(900))
    assert line.endswith("(seed 0). It is the only training, so nothing is known of the spread over seeds.")
    assert line in card(an_origin(900), a_delivery())


def test_a_card_of_mere_weights_claims_no_accuracy() -> None:
    text = card(None, a_delivery())
    assert "Not known: the network was exported from a file with weights" in text
    assert "%" not in text
    assert (title(None), about(None)) == ("A small convolutional network", ())


def test_the_card_shows_how_to_load_each_file_that_is_there_and_its_checksum() -> None:
    text = card(None, a_delivery("safetensors", "onnx"))
    assert LOADING["onnx"] in text
    assert LOADING["torchscript"] not in text
    assert f"| model.onnx | 1,234 | 2.0e-07 | `{'ab' * 32}` |" in text
    assert "**Do not subtract a mean**: `model.onnx` do" in text
    assert "Do not subtract" not in card(None, a_delivery("safetensors"))
    assert "images (0.25, 0.5) from each channel" in text


def test_images_of_a_folder_are_cropped_and_others_only_resized() -> None:
    assert "7/8 of the largest part" in card(an_origin(1, dataset="imagefolder"), a_delivery())
    assert 'interpolate(pixels.float(), (12, 10), mode="bilinear"' in card(an_origin(1), a_delivery())


def test_what_others_named_stays_text_in_the_card() -> None:
    origin = an_origin(900)._replace(search=HOSTILE)
    text = card(origin, a_delivery(classes=(HOSTILE, *"bcdefghij")))
    assert "<script" not in text
    assert "[d](" not in text
    assert text.count("import os") == 3
    assert not [line for line in text.splitlines() if line.startswith("import os")]


def test_what_others_named_stays_text_in_the_python_file() -> None:
    architecture = an_architecture(classes=(HOSTILE, *"bcdefghij"))
    text = python_file(architecture, HOSTILE, [HOSTILE])
    tree = ast.parse(text)
    imported = {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert imported == {"torch"}
    docstring = ast.get_docstring(tree)
    assert docstring
    assert docstring.splitlines()[0].startswith("a''' import os")
    names = next(
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "CLASSES"
    )
    assert names == architecture.classes


@pytest.mark.parametrize(
    ("asked", "written"),
    [(("python",), ("safetensors", "python")), (("onnx", "torchscript"), ("torchscript", "onnx")), ((), ())],
)
def test_the_python_file_brings_its_weights(asked: Any, written: Any) -> None:
    assert with_needed(asked) == written
