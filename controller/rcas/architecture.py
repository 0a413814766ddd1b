"""A network with all that is needed to build it again and to feed it images: what is kept beside its weights."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from rcas.evaluation import Model
from rcas.space import Space

METADATA_KEY = "rcas"
"""Under which an `Architecture` stands, as JSON, in the metadata of a safetensors file."""


class Architecture(Model):
    """One network of a space.

    Attributes:
        space: the skeleton. network: its blocks, such as `5,1 / 5 / 5,2`.
        activation: after every convolution but the linear ones.
        mean: subtracted from each input channel of an image whose values lie in [0, 1]; one number a channel.
        classes: names of the classes in the order of the outputs; None if the data set names none.
    """

    format: Literal[1] = 1
    space: Space
    network: str
    activation: Literal["relu6", "relu"]
    mean: tuple[float, ...]
    classes: Annotated[tuple[str, ...], Field(max_length=1_000_000)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> Architecture:
        self.space.network(self.network)
        if len(self.mean) != self.space.input[0]:
            raise ValueError("mean needs one number for each input channel")
        if self.classes is not None and len(self.classes) != self.space.num_classes:
            raise ValueError("classes needs one name for each class of the space")
        return self
