"""What is kept of a baseline beside the search that it belongs to."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field, model_validator

from rcas.baselines.methods import Method
from rcas.baselines.strategy import Stopped
from rcas.budget import Budget
from rcas.costs import Cost
from rcas.evaluation import Elapsed, Model, Seed, Sha256, evaluation_key
from rcas.space import Network, Space

MOST_TRAININGS = 100_000
"""Of one baseline; a record holds them all."""


class Record(Model):
    """One run of a method.

    Attributes:
        search: the search whose budget and protocol it has.
        seed: of the method's draws; the seeds of trainings belong to the protocol.
        trainings: that it may ask for. replicates: of them for each network, from the seeds 0, 1, ...
        space: in which its networks lie.
        launched: keys of the evaluations that it has trained itself; written before they are launched.
        results: (network, correct, total) of what it asked for, in the order that counts; the counts of a network's
            trainings are added. Empty until it has ended.
        answer: the network that it chose; None until it has ended.
        stopped: why it ended, None while it has not.
        worker_seconds: of all its evaluations, trained by itself or found in the store.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    search: str
    method: Method
    seed: Seed
    trainings: Annotated[int, Field(ge=1, le=MOST_TRAININGS)]
    replicates: Annotated[int, Field(ge=1, le=100)] = 1
    protocol_sha256: Sha256
    space: Space
    budget: Budget
    launched: Annotated[tuple[Sha256, ...], Field(max_length=MOST_TRAININGS)] = ()
    results: Annotated[tuple[tuple[str, int, int], ...], Field(max_length=MOST_TRAININGS)] = ()
    answer: str | None = None
    stopped: Stopped | None = None
    worker_seconds: Elapsed = 0

    @model_validator(mode="after")
    def _adds_up(self) -> Record:
        for network, correct, total in self.results:
            self.space.network(network)
            if not 0 <= correct <= total or total < 1:
                raise ValueError("counts must satisfy 0 <= correct <= total, total from 1")
        if self.answer is not None and self.answer not in {network for network, _, _ in self.results}:
            raise ValueError("the answer is none of the results")
        return self

    @property
    def trained(self) -> int:
        """How many of its trainings it ran itself; it found the results of the others in the store."""
        launched = set(self.launched)
        networks = [self.space.network(name) for name, _, _ in self.results]
        return sum(self.key(network, seed) in launched for network in networks for seed in range(self.replicates))

    @property
    def asked(self) -> int:
        """How many trainings it asked for."""
        return len(self.results) * self.replicates

    @property
    def chosen(self) -> tuple[Network, Fraction, Cost] | None:
        """The answer, the accuracy that it was chosen by, and its cost."""
        for name, correct, total in self.results:
            if name == self.answer:
                network = self.space.network(name)
                return network, Fraction(correct, total), self.space.cost(network)
        return None

    def key(self, network: Network, replicate: int = 0) -> str:
        """Of a training of `network`."""
        return evaluation_key(self.space, network, self.protocol_sha256, replicate)

    def is_same(self, other: Record) -> bool:
        """Whether the two are the same run, however far."""
        return self._identity() == other._identity()

    def _identity(self) -> tuple[object, ...]:
        counts = self.seed, self.trainings, self.replicates
        return self.search, self.method, *counts, self.protocol_sha256, self.space, self.budget
