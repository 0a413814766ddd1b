"""What is measured and how: the protocol, the task given to a trainer, the result it writes, and their key."""

from __future__ import annotations

import hashlib
import json
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rcas.space import Network, Space

DatasetName = Literal["cifar10", "cifar100", "fashion-mnist", "mnist", "svhn", "imagefolder", "digits"]
Count = Annotated[int, Field(ge=1)]
Natural = Annotated[int, Field(ge=0)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
RESULT_LIMIT_BYTES = 65_536
"""No result and no description is larger. Trainers write them, so a reader trusts none."""
Seen = Annotated[int, Field(ge=0, le=10**15)]
"""A count that a trainer tells. It is another program, which may tell anything, and sums of it must stay numbers."""
Elapsed = Annotated[float, Field(ge=0, le=1e12)]
"""Seconds that a trainer tells."""
Moment = Annotated[float, Field(ge=0, le=1e11)]
"""Seconds since 1970 that a trainer tells by its own clock. No decision reads them."""
Versions = Annotated[
    dict[Annotated[str, Field(max_length=100)], Annotated[str, Field(max_length=200)]], Field(max_length=50)
]
"""Of the training code and the libraries under it. They go into every task, which a container gets as a variable."""


T = TypeVar("T")
Later = Annotated[T | None, Field(exclude_if=lambda value: value is None)]
"""A field that format 1 did not have at first: not written where it is None, so objects without keep their bytes."""


class Model(BaseModel):
    """Base of all stored and user-written objects: frozen, unknown fields and NaN are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Draw(Model):
    """Which images train a network and which measure it."""

    dataset: DatasetName = Field(description="Which data set.")
    validation_per_class: Count = Field(
        default=10,
        description="Images per class drawn once from the training set as the fixed validation set.",
    )
    train_per_class: Count | None = Field(
        default=None,
        description="Train on at most this many images per class; null trains on all that remain.",
    )
    draw_seed: Seed = Field(default=0, description="Seed of both draws.")


class Training(Model):
    """The training of one evaluation (paper, section 4.1). Defaults are the paper's for CIFAR-100."""

    epochs: Count = Field(default=10, description="Passes over the training images.")
    batch_size: Count = Field(default=128, description="Images per step.")
    lr: float = Field(default=0.1, gt=0, description="Initial learning rate.")
    milestones: tuple[Count, ...] = Field(
        default=(4, 7, 9), description="Epochs after which lr is multiplied by gamma."
    )
    gamma: float = Field(default=0.1, gt=0, le=1, description="Factor of the learning rate at a milestone.")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="Momentum of SGD.")
    nesterov: bool = Field(default=True, description="Nesterov momentum; needs momentum above 0.")
    weight_decay: float = Field(default=4e-5, ge=0, description="L2 factor, on every parameter.")
    pad: int = Field(default=4, ge=0, le=64, description="Zero padding in pixels before the random crop; 0: no crop.")
    flip: bool = Field(default=True, description="Random horizontal flip.")
    mean_subtraction: bool = Field(default=True, description="Subtract the training images' mean per channel.")
    activation: Literal["relu6", "relu"] = Field(default="relu6", description="The paper's table says relu6.")
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description="bfloat16 means autocast.")
    seed: Seed = Field(default=0, description="Seed of the weights, the data order and the augmentation.")

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Training:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Protocol(Model):
    """Everything that can change an accuracy. Equal protocols make results interchangeable.

    Attributes:
        data_sha256: hash of the images and labels themselves (of names and sizes for an image folder).
        device: where it trains; cpu and cuda round differently.
        threads: CPU threads of one training; they change the order of additions, so the result.
        versions: of the training code and the libraries under it.
    """

    draw: Draw
    training: Training
    data_sha256: Sha256
    device: Literal["cpu", "cuda"]
    threads: Count
    versions: Versions

    @property
    def sha256(self) -> str:
        """Identity of the protocol."""
        return sha256_of(self.model_dump(mode="json"))


def evaluation_key(space: Space, network: Network, protocol_sha256: str, replicate: int = 0) -> str:
    """The identity of an evaluation: 64 hexadecimal digits.

    Made from the layers that are built, not from the space they were found in, so that searches over
    different spaces share what is the same network.
    """
    layers = [[*block.type, *block[1:4]] for block in space.blocks(network)]
    stem, head = space.stem, space.head
    built = [
        space.input,
        [stem.channels, stem.stride, stem.block_channels],
        layers,
        head.channels,
        space.num_classes,
    ]
    return sha256_of({"network": built, "protocol": protocol_sha256, "replicate": replicate})


class DataSource(Model):
    """Where a data set lies. No part of the protocol: its hash is."""

    path: str | None = Field(
        default=None,
        description="Folder that holds the data set, or s3://bucket/prefix; digits needs none, scikit-learn has it.",
    )
    download: bool = Field(
        default=False, description="Let torchvision download the data set into path if it is missing."
    )


class Task(Model):
    """One evaluation, as a trainer receives it."""

    key: Sha256
    space: Space
    network: str
    protocol: Protocol
    replicate: Annotated[int, Field(ge=0)] = 0
    source: DataSource = DataSource()

    @model_validator(mode="after")
    def _key_is_its_own(self) -> Task:
        network = self.space.network(self.network)
        if evaluation_key(self.space, network, self.protocol.sha256, self.replicate) != self.key:
            raise ValueError("the key is not the hash of network, protocol and replicate")
        return self


class Seconds(Model):
    """Where the time of one evaluation went, in seconds; over all its attempts but for `startup`."""

    startup: Elapsed
    data: Elapsed
    training: Elapsed
    validation: Elapsed


class Result(Model):
    """The one result object of an evaluation. Written once, never changed.

    Attributes:
        correct: validation images whose first guess is right (top-1).
        correct_top5: validation images whose class is among the five first guesses.
        total: validation images.
        loss: mean cross-entropy on the validation images; null if it is not finite.
        train_loss: mean of the last epoch; null if it is not finite.
        epochs: epochs trained; fewer than asked for only if `diverged`.
        diverged: the training loss left the finite numbers; the accuracy is as measured after that.
        images_per_second: training images over training seconds.
        resumed: how many times the training went on from a checkpoint.
        restarted: how many times it began anew because its checkpoint could not be used.
        began, ended: of the attempt that wrote this; None where the trainer does not tell.
    """

    format: Literal[1] = 1
    key: Sha256
    network: str
    protocol_sha256: Sha256
    replicate: Annotated[int, Field(ge=0)] = 0
    correct: Seen
    correct_top5: Seen
    total: Annotated[Seen, Field(ge=1)]
    loss: float | None
    train_loss: float | None
    epochs: Seen
    diverged: bool
    seconds: Seconds
    images_per_second: Annotated[float, Field(ge=0)]
    resumed: Seen = 0
    restarted: Seen = 0
    began: Moment | None = None
    ended: Moment | None = None
    device: str
    versions: Versions
    params: Count
    madds: Count

    @model_validator(mode="after")
    def _counts_fit(self) -> Result:
        if not self.correct <= self.correct_top5 <= self.total:
            raise ValueError("counts must satisfy correct <= correct_top5 <= total")
        if self.began is not None and self.ended is not None and self.ended < self.began:
            raise ValueError("it must have begun before it ended")
        return self


class Attempts(Model):
    """What has been tried for one evaluation that has no result yet: committed before it is launched.

    Attributes:
        network: its block types.
        started: attempts launched so far.
        failed: how many of them ended in failure; interruptions are none.
        counted: number of the last attempt whose end is counted.
        last_words: of the last failure.
    """

    network: str
    started: Natural = 0
    failed: Natural = 0
    counted: Natural = 0
    last_words: str = ""


class Description(Model):
    """What a trainer finds on its machine: fills the protocol's fields that a spec cannot know.

    Attributes:
        test_sha256, test_images: of the test set, if a final training asks.
    """

    data_sha256: Sha256
    input: tuple[Seen, Seen, Seen]
    num_classes: Annotated[Seen, Field(ge=1)]
    train_images: Annotated[Seen, Field(ge=1)]
    gpus: Seen
    versions: Versions
    test_sha256: Sha256 | None = None
    test_images: Annotated[Seen, Field(ge=1)] | None = None


def sha256_of(value: Any) -> str:
    """The hash of a value of JSON, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
