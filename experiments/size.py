"""How large the experiments are made: a spec, and how often everything is repeated."""

from __future__ import annotations

from importlib.resources import files
from typing import Annotated, Any

import yaml
from pydantic import Field, ValidationError

from rcas.evaluation import Count, Model
from rcas.spec import BudgetSpec, DataSpec, SearchSpec, SpaceSpec, explain


class Transfer(Model):
    """The other skeleton that found stages are put onto.

    Attributes:
        budget: that the MobileNetV2 beside them is scaled to.
        data: where its images lie; None: those of the search.
        training: fields of the final training that differ from the other finals'.
    """

    space: SpaceSpec
    budget: BudgetSpec
    data: DataSpec | None = None
    training: dict[str, Any] = Field(default_factory=dict[str, Any])


class Expected(Model):
    """What a plan reckons with, measured in an earlier run.

    Attributes:
        evaluations: trainings of one search. single_type: of one with type 5 alone.
        short_s, final_s: seconds of a worker for a short and for a final training.
    """

    evaluations: Count
    single_type: Count
    short_s: Annotated[float, Field(gt=0)]
    final_s: Annotated[float, Field(gt=0)]


class Size(Model):
    """All that the experiments are told.

    Attributes:
        search: the search that is repeated; each repetition has its own seeds for weights, order and both draws.
        repetitions: how often.
        seeds: further seeds that every answer is measured from, by the short training.
        draws: random variants of the found network in each repetition.
        chain: how many blocks of type 5 are added one by one.
        final: fields of the final training (`rcas.final.final_training`).
        final_seeds: final trainings of an answer in each repetition.
        final_train_per_class: images of a class that train it; None takes all.
    """

    search: SearchSpec
    repetitions: Count
    seeds: Count
    draws: Count
    chain: Count
    final: dict[str, Any]
    final_seeds: Count
    final_train_per_class: Count | None = None
    transfer: Transfer
    expected: Expected


def sizes() -> list[str]:
    """Names of those that there are."""
    folder = files("experiments").joinpath("sizes")
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def read_size(name: str) -> Size:
    """The size of this name.

    Raises:
        InvalidSpec: its file says something that is not allowed.
    """
    data = yaml.safe_load(files("experiments").joinpath("sizes", f"{name}.yaml").read_text(encoding="utf-8"))
    try:
        return Size.model_validate(data)
    except ValidationError as error:
        raise explain(error, data) from None


def repetition_spec(size: Size, repetition: int) -> SearchSpec:
    """The search of one repetition: no seed and no draw is another's."""
    spec, seed = size.search, 1000 * repetition
    return spec.model_copy(
        update={
            "name": f"{spec.name}-{repetition}",
            "data": spec.data.model_copy(update={"draw_seed": spec.data.draw_seed + repetition}),
            "training": spec.training.model_copy(update={"seed": spec.training.seed + seed}),
        }
    )
