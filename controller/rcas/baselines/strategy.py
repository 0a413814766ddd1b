"""What the ways to choose networks have in common: ask for networks, tell their accuracies, read the answer.

A strategy puts networks into one order. What stands where depends only on the strategy, its seed and the results of
networks before, never on which results came first or how many trainings ran at once. So a run that was killed goes
on by being told what is stored, and more workers change nothing but the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Literal

from rcas.errors import Conflict, InvalidSpec
from rcas.greedy import Problem
from rcas.space import Network

Stopped = Literal["trainings", "exhausted", "ended", "single"]
"""trainings: all that it may have are used; exhausted: it finds no network that it has not measured;
ended: by its own rules; single: it is one network."""


def fits(problem: Problem, network: Network) -> bool:
    """Whether a network of the problem's space keeps to all budgets."""
    return problem.budget.fits(problem.cost(network))


class Strategy(ABC):
    """One way to choose a network.

    Args:
        problem: space, budget and stop rules.
        limit: distinct networks that it may measure, at least 1.

    Attributes:
        space: in which its networks lie.
        known: accuracies told so far.

    Raises:
        InvalidSpec: a limit below 1.
    """

    def __init__(self, problem: Problem, limit: int) -> None:
        if limit < 1:
            raise InvalidSpec("trainings", got=limit, allowed="a whole number from 1")
        self.problem, self.limit, self.space = problem, limit, problem.space
        self.known = dict[Network, Fraction]()
        self._order = dict[Network, None]()
        self._stopped: Stopped | None = None

    @abstractmethod
    def _extend(self, waiting: int) -> None:
        """Put into the order what the results so far settle, until `waiting` have no result, or set `_stopped`."""

    @property
    @abstractmethod
    def answer(self) -> Network | None:
        """The network that it would choose now; None before there is a result for one."""

    @property
    def order(self) -> tuple[Network, ...]:
        """Networks asked for so far, in the order that counts."""
        return tuple(self._order)

    @property
    def stopped(self) -> Stopped | None:
        """Why it ended, None while it goes on."""
        return self._stopped if self._stopped and not self._waiting() else None

    def ask(self, n: int) -> list[Network]:
        """Up to n networks to measure now, in the order that counts; without a tell in between the same again.

        None if it has ended.
        """
        if self._stopped is None:
            self._extend(n)
        return self._waiting()[:n]

    def tell(self, network: Network, accuracy: Fraction) -> None:
        """Report the accuracy of a network. The same told twice changes nothing.

        Raises:
            InvalidSpec: a network that was not asked for.
            Conflict: another accuracy than the one told before.
        """
        if network not in self._order:
            raise InvalidSpec("network", got=str(network), allowed="one that ask() has returned")
        if self.known.setdefault(network, accuracy) != accuracy:
            raise Conflict(f"{network} was told as {self.known[network]}, now as {accuracy}")

    def goodness(self, network: Network) -> tuple[Fraction, int, int]:
        """Sorts networks that are known, the best last: accuracy, then fewer params, then fewer MAdds."""
        cost = self.space.cost(network)
        return self.known[network], -cost.params, -cost.madds

    def _waiting(self) -> list[Network]:
        return [network for network in self._order if network not in self.known]

    def _append(self, network: Network) -> None:
        self._order[network] = None
        if len(self._order) >= self.limit:
            self._stopped = "trainings"


class BestMeasured(Strategy):
    """A strategy whose answer is the network that measured highest.

    The highest of many noisy numbers is too high on average: measure the answer again from other seeds.
    """

    @property
    def answer(self) -> Network | None:
        """See `Strategy.answer`. Of equally good ones the first in the order."""
        return max((network for network in self._order if network in self.known), key=self.goodness, default=None)
