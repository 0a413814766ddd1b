"""How long networks take on a machine: what is asked of a trainer, and what repeated measurements say."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field

from rcas.architecture import Architecture
from rcas.evaluation import Count, Model, Versions

Nanoseconds = Annotated[int, Field(ge=0, le=10**18)]


class Times(Model):
    """Whole nanoseconds of `runs` calls: the fastest, the three quartiles, the slowest.

    The median is the figure to compare: a busy machine makes single runs slow, and none fast.
    """

    runs: Count
    fastest_ns: Nanoseconds
    lower_quartile_ns: Nanoseconds
    median_ns: Nanoseconds
    upper_quartile_ns: Nanoseconds
    slowest_ns: Nanoseconds

    @classmethod
    def of(cls, samples_ns: Sequence[int]) -> Times:
        """The summary of at least one sample; quartiles between two samples are interpolated and rounded."""
        # statistics asks for two values; a single one is all three quartiles.
        values = [*samples_ns, *samples_ns] if len(samples_ns) == 1 else samples_ns
        lower, median, upper = statistics.quantiles(values, method="inclusive")
        return cls(
            runs=len(samples_ns),
            fastest_ns=min(samples_ns),
            lower_quartile_ns=round(lower),
            median_ns=round(median),
            upper_quartile_ns=round(upper),
            slowest_ns=max(samples_ns),
        )


class NetworksQuestion(Model):
    """What a trainer is asked to time, in turns.

    Attributes:
        networks: built with fresh weights, which do not change the time.
        files: paths of networks as `rcasctl retrain` and `rcasctl export` write them, by the ends of their names:
            .safetensors, .pt (TorchScript) and .onnx.
        threads: CPU threads of a pass. batch: images of a pass.
        runs: timed passes of each. warm_up: passes of each before them.
    """

    networks: Annotated[tuple[Architecture, ...], Field(max_length=100)] = ()
    files: Annotated[tuple[str, ...], Field(max_length=100)] = ()
    threads: Count = 1
    batch: Count = 1
    runs: Count = 100
    warm_up: Annotated[int, Field(ge=0)] = 10


class TimedNetwork(Model):
    """One network in one form.

    Attributes:
        name: path of its file, or its blocks if it has none. size_bytes: of the file.
        runtime: what ran it.
    """

    name: str
    size_bytes: Annotated[int, Field(ge=0)] | None = None
    runtime: Literal["torch", "TorchScript", "onnxruntime"]
    times: Times


class NetworksAnswer(Model):
    """Times of the networks asked for, then of the files, in their order. `machine`: in words."""

    machine: str
    versions: Versions
    timed: tuple[TimedNetwork, ...]
