"""What is kept of a baseline beside the search that it belongs to."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated

from pydantic import Field

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
        trainings: distinct networks that it may measure.
        space: in which its networks lie.
        launched: keys of the evaluations that it has trained itself; written before they are launched.
        results: (network, correct, total) of what it asked for, in the order that counts. Empty until it has ended.
        answer: the network that it chose; None until it has ended.
        stopped: why it ended, None while it has not.
        worker_seconds: of all its evaluations, trained by itself or found in the store.
    """

    format: Annotated[int, Field(ge=1, le=1)] = 1
    search: str
    method: Method
    seed: Seed
    trainings: Annotated[int, Field(ge=1, le=MOST_TRAININGS)]
    protocol_sha256: Sha256
    space: Space
    budget: Budget
    launched: Annotated[tuple[Sha256, ...], Field(max_length=MOST_TRAININGS)] = ()
    results: Annotated[tuple[tuple[str, int, int], ...], Field(max_length=MOST_TRAININGS)] = ()
    answer: str | None = None
    stopped: Stopped | None = None
    worker_seconds: Elapsed = 0

    @property
    def trained(self) -> int:
        """How many of its evaluations it trained itself; it found the others in the store."""
        launched = set(self.launched)
        return sum(self.key(self.space.network(network)) in launched for network, _, _ in self.results)

    @property
    def chosen(self) -> tuple[Network, Fraction, Cost] | None:
        """The answer, the accuracy that it was chosen by, and its cost."""
        for name, correct, total in self.results:
            if name == self.answer:
                network = self.space.network(name)
                return network, Fraction(correct, total), self.space.cost(network)
        return None

    def key(self, network: Network) -> str:
        """Of the evaluation of `network`."""
        return evaluation_key(self.space, network, self.protocol_sha256)

    def is_same(self, other: Record) -> bool:
        """Whether the two are the same run, however far."""
        return self._identity() == other._identity()

    def _identity(self) -> tuple[object, ...]:
        return self.search, self.method, self.seed, self.trainings, self.protocol_sha256, self.space, self.budget
