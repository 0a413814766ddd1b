"""The final training of a found network: from scratch, on all training images, measured once on the test set.

A search ranks networks by short trainings. What a network reaches is another question, answered here with a protocol
of its own and several seeds (paper, section 5).
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import Field, model_validator

from rcas.evaluation import (
    Attempts,
    Count,
    DatasetName,
    DataSource,
    Model,
    Result,
    Seed,
    Seen,
    Sha256,
    Training,
    Versions,
    evaluation_key,
    sha256_of,
)
from rcas.space import Space

MOST_SEEDS = 100
"""Of one final training; a status and a table list them all."""
Seeds = Annotated[int, Field(ge=1, le=MOST_SEEDS)]


class FinalDraw(Model):
    """Which images train a network finally: those that trained and those that measured it in the search.

    Attributes:
        held_out: what measures it. Another value than a search's draw has, so that the two are never mixed up.
        train_per_class: train on at most this many images per class; None trains on all.
        draw_seed: of that choice.
    """

    dataset: DatasetName
    held_out: Literal["test"]
    train_per_class: Count | None = None
    draw_seed: Seed = 0


class FinalProtocol(Model):
    """Everything that can change what a final training gives. Compare `rcas.evaluation.Protocol`.

    Attributes:
        data_sha256: hash of the training set. test_sha256: hash of the test set.
    """

    draw: FinalDraw
    training: Training
    data_sha256: Sha256
    test_sha256: Sha256
    device: Literal["cpu", "cuda"]
    threads: Count
    versions: Versions

    @property
    def sha256(self) -> str:
        """Identity of the protocol."""
        return sha256_of(self.model_dump(mode="json"))


class FinalTask(Model):
    """One final training, as a trainer receives it. `replicate`: its seed, counted from 0."""

    key: Sha256
    space: Space
    network: str
    protocol: FinalProtocol
    replicate: Annotated[int, Field(ge=0, lt=MOST_SEEDS)] = 0
    source: DataSource = DataSource()

    @model_validator(mode="after")
    def _key_is_its_own(self) -> FinalTask:
        network = self.space.network(self.network)
        if evaluation_key(self.space, network, self.protocol.sha256, self.replicate) != self.key:
            raise ValueError("the key is not the hash of network, protocol and replicate")
        return self


class FinalResult(Result):
    """The one result object of a final training. Its counts and its loss are those on the test images.

    Attributes:
        weights_sha256: of the object with the weights, which is written before this one.
        train_images: how many trained it.
    """

    weights_sha256: Sha256
    train_images: Annotated[Seen, Field(ge=1)]


class Final(Model):
    """One network that is trained finally, with several seeds.

    Attributes:
        of: which network of the search it is: `best` or `highest` of its result, or one that was given.
        onto: name of the other skeleton that its stages are put onto; None is the search's own.
        source: where the data lie; no part of the identity.
        seeds: how many trainings, with the seeds 0, 1, ...
    """

    of: Literal["best", "highest", "given"]
    onto: Annotated[str, Field(max_length=253)] | None = None
    space: Space
    network: str
    protocol: FinalProtocol
    source: DataSource = DataSource()
    seeds: Seeds

    @model_validator(mode="after")
    def _network_lies_in_the_space(self) -> Final:
        self.space.network(self.network)
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """Of its trainings, by seed."""
        return tuple(self.key(seed) for seed in range(self.seeds))

    def key(self, seed: int) -> str:
        """Of the training with this seed: a hash of the layers as built, the protocol and the seed."""
        return evaluation_key(self.space, self.space.network(self.network), self.protocol.sha256, seed)

    def task(self, seed: int) -> FinalTask:
        """The training with this seed, as a trainer receives it."""
        return FinalTask(
            key=self.key(seed),
            space=self.space,
            network=self.network,
            protocol=self.protocol,
            replicate=seed,
            source=self.source,
        )

    def is_same(self, other: Final) -> bool:
        """Whether the two differ in the number of seeds and the place of the data at most."""
        mine, theirs = (one.model_copy(update={"seeds": 1, "source": DataSource()}) for one in (self, other))
        return mine == theirs


class Finals(Model):
    """Index of the final trainings that belong to a search: written before any of them is launched.

    Attributes:
        search: its name.
        writer: who wrote the index. epoch: how often it was taken over, seq: writes so far; both only rise.
        finals: in the order in which they were asked for.
        attempts: of trainings that have no result yet, by key.
    """

    format: Literal[1] = 1
    search: str
    writer: str
    epoch: Annotated[int, Field(ge=0)] = 0
    seq: Annotated[int, Field(ge=0)] = 0
    finals: tuple[Final, ...] = ()
    attempts: dict[str, Attempts] = Field(default_factory=dict[str, Attempts])

    def with_final(self, final: Final) -> Finals:
        """This index with `final` in it. One that is in it already gets more seeds, if more are asked for."""
        found = [one for one in self.finals if one.is_same(final)]
        if not found:
            return self.model_copy(update={"finals": (*self.finals, final)})
        grown = final.model_copy(update={"seeds": max(final.seeds, found[0].seeds)})
        finals = tuple(grown if one is found[0] else one for one in self.finals)
        return self.model_copy(update={"finals": finals})


class Spread(NamedTuple):
    """Of an accuracy over seeds.

    Attributes:
        mean: exact.
        deviation: standard deviation of the sample (n - 1); None for one seed, which tells nothing of it.
        seeds: how many.
    """

    mean: Fraction
    deviation: float | None
    seeds: int


def spread(accuracies: Iterable[Fraction]) -> Spread:
    """Mean and spread of at least one accuracy."""
    values = list(accuracies)
    deviation = statistics.stdev(map(float, values)) if len(values) > 1 else None
    return Spread(sum(values, Fraction(0)) / len(values), deviation, len(values))


class _Schedule(NamedTuple):
    """`lr`: None keeps the search's. `milestones`: as shares of the epochs."""

    epochs: int
    lr: float | None
    milestones: tuple[Fraction, ...]


_CIFAR_MILESTONES = (Fraction(60, 200), Fraction(120, 200), Fraction(180, 200))
_SCHEDULES = {
    "cifar": _Schedule(200, 0.1, _CIFAR_MILESTONES),
    "imagenet": _Schedule(400, 0.01, (Fraction(200, 400), Fraction(300, 400))),
    "custom": _Schedule(200, None, _CIFAR_MILESTONES),
}


def final_training(
    skeleton: Literal["cifar", "imagenet", "custom"], base: Training, given: Mapping[str, Any]
) -> Training:
    """The training of a final: the paper's schedule for the skeleton, the rest as in the search.

    An own skeleton takes the schedule of CIFAR and keeps the search's learning rate. Milestones keep their shares of
    the epochs if only the epochs are given.

    Args:
        skeleton: whose schedule.
        base: the training of the search.
        given: fields that the user gives instead.

    Raises:
        pydantic.ValidationError: a field of `given` that is not allowed.
    """
    schedule = _SCHEDULES[skeleton]
    epochs = given.get("epochs", schedule.epochs)
    fields: dict[str, Any] = {"epochs": schedule.epochs, "gamma": 0.1}
    if schedule.lr is not None:
        fields["lr"] = schedule.lr
    if isinstance(epochs, int):
        steps = dict.fromkeys(max(1, round(share * epochs)) for share in schedule.milestones)
        fields["milestones"] = tuple(step for step in steps if step < epochs)
    return Training.model_validate({**base.model_dump(), **fields, **given})
