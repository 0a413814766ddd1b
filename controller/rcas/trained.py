"""What trainings have found: accuracies by network, each over several seeds."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fractions import Fraction

from rcas.noise import Counts, pooled
from rcas.space import Network


class Trained(Mapping[Network, Fraction]):
    """F by network, as far as it is known: over the first `replicates` trainings, once all of these are there.

    Trainings of a network are numbered from 0, one for each seed. Further ones than F needs are kept beside it.
    """

    def __init__(self, replicates: int = 1) -> None:
        self.replicates = replicates
        self._counts: dict[Network, dict[int, Counts]] = {}
        self._accuracies: dict[Network, Fraction] = {}

    def __getitem__(self, network: Network) -> Fraction:
        return self._accuracies[network]

    def __iter__(self) -> Iterator[Network]:
        return iter(self._accuracies)

    def __len__(self) -> int:
        return len(self._accuracies)

    def add(self, network: Network, replicate: int, counts: Counts) -> Counts:
        """Take in a training; what is there already stays. Returns what is there then."""
        found = self._counts.setdefault(network, {})
        there = found.setdefault(replicate, counts)
        if network not in self._accuracies and len(self.trainings(network)) >= self.replicates:
            self._accuracies[network] = self.accuracy(network, self.replicates)
        return there

    def has(self, network: Network, replicate: int) -> bool:
        """Whether this training is known."""
        return replicate in self._counts.get(network, {})

    def missing(self, network: Network) -> tuple[int, ...]:
        """Numbers of the trainings that F of `network` still needs."""
        return tuple(number for number in range(self.replicates) if not self.has(network, number))

    def trainings(self, network: Network) -> tuple[Counts, ...]:
        """(correct, total) of its trainings from 0 on, up to the first that is not known."""
        found, numbered = self._counts.get(network, {}), list[Counts]()
        while len(numbered) in found:
            numbered.append(found[len(numbered)])
        return tuple(numbered)

    def counts(self, network: Network) -> Counts:
        """(correct, total) over the trainings that make its F, once these are known."""
        found = self.trainings(network)[: self.replicates]
        return sum(correct for correct, _ in found), sum(total for _, total in found)

    def accuracy(self, network: Network, count: int) -> Fraction:
        """All correct over all validation images of its first `count` trainings.

        Raises:
            LookupError: they are not all known.
        """
        found = self.trainings(network)[:count]
        if len(found) < count:
            raise LookupError(f"{network} is not known from {count} trainings")
        return pooled(found)

    def all(self) -> Iterator[tuple[Network, int, Counts]]:
        """Every training: network, number, (correct, total)."""
        for network, found in self._counts.items():
            for number, counts in found.items():
                yield network, number, counts

    @property
    def count(self) -> int:
        """How many trainings are known."""
        return sum(map(len, self._counts.values()))

    def copy(self) -> Trained:
        """One that may change apart from this."""
        return self.without(())

    def without(self, networks: Collection[Network]) -> Trained:
        """All but what is known of `networks`."""
        made = Trained(self.replicates)
        for network, number, counts in self.all():
            if network not in networks:
                made.add(network, number, counts)
        return made

    def limited(self, most: Mapping[Network, int]) -> Trained:
        """Of each network only the trainings below its number in `most`."""
        made = Trained(self.replicates)
        for network, number, counts in self.all():
            if number < most.get(network, 0):
                made.add(network, number, counts)
        return made
