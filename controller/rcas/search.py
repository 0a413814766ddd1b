"""The search as an ask/tell optimiser (paper, Algorithm 3): any F can be plugged in.

search = rcas.Search(rcas.Space.cifar(100), rcas.Budget(params="2.4M", madds="91.1M"))
while not search.done:
    for evaluation in search.ask(8):
        search.tell(evaluation.key, correct=measure(evaluation.network), total=1000)
print(search.result.best.network)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from rcas.budget import Budget
from rcas.costs import Cost
from rcas.errors import Conflict, CorruptState, InvalidSpec
from rcas.evaluation import evaluation_key
from rcas.greedy import RULES, Blocked, Problem, Rule, RuleState, StopPolicy, Tally, decide, start
from rcas.latency import LatencyTable
from rcas.planning import plan
from rcas.snapshot import Snapshot, StoredRule
from rcas.space import Element, Network, Space

DEFAULT_RULES: tuple[Rule, ...] = ("UC", "APR", "AMR")
"""The paper's three (Algorithm 3)."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A network whose accuracy is asked for. Equal keys are the same training.

    Attributes:
        demanded: a decision waits for it; otherwise it is speculation.
    """

    key: str
    network: Network
    demanded: bool = True


class Point(NamedTuple):
    """A network on a rule's path. `element` is the block that led to it, None for the start network."""

    network: Network
    accuracy: Fraction
    cost: Cost
    element: Element | None = None


class RulePath(NamedTuple):
    """What one rule found.

    Attributes:
        path: from the start network to the last accepted one; empty before F(S0) is known.
        stopped: why it ended, None while it runs.
        submodularity, monotonicity: how often what the paper assumes was checked and did not hold.
    """

    rule: Rule
    path: tuple[Point, ...]
    stopped: str | None
    submodularity: Tally
    monotonicity: Tally


class SearchResult(NamedTuple):
    """The outcome of a search, or of as much of it as has been decided.

    Attributes:
        best: Algorithm 3's answer, the best by F of the rules' last networks (then fewer params, fewer
            MAdds, lower latency); None before F(S0) is known.
        highest: the highest accuracy anywhere on the paths; differs from best only where a block lowered it.
        rules: in the order asked for.
        evaluations: distinct networks measured.
        demanded: of them, those that a decision read; the others were speculation.
        offered: trainings that greedy without laziness and sharing would have run for the same decisions.
    """

    best: Point | None
    highest: Point | None
    rules: dict[Rule, RulePath]
    evaluations: int
    demanded: int
    offered: int

    @property
    def bound_holds(self) -> bool:
        """Whether nothing measured contradicts what the 1/2 (1 - 1/e) bound assumes (paper, Theorem 1).

        False once a violation was seen. True is no proof: only what was measured was checked.
        """
        tallies = [t for path in self.rules.values() for t in (path.submodularity, path.monotonicity)]
        return not any(tally.broken for tally in tallies)


class Search:
    """Lazy cost-effective greedy search under several rules at once.

    Args:
        space: skeleton and block types.
        budget: all of it binds under every rule.
        rules: any of UC, APR, AMR, JOINT, ALR.
        stop: drop-infeasible or first-infeasible, see `Problem`.
        min_gain: stop a rule when its winner gains less accuracy than this.
        max_blocks: stop a rule after so many accepted blocks.
        protocol: identifies how accuracies are measured; goes into the keys.
        replicate: goes into the keys.
        latency_table: how long each part of a network takes; a budget of latency and ALR need it.

    Raises:
        InvalidSpec: a value that is not allowed, or a budget that the start network already exceeds.
    """

    def __init__(
        self,
        space: Space,
        budget: Budget,
        rules: Iterable[Rule] = DEFAULT_RULES,
        *,
        stop: StopPolicy = "drop-infeasible",
        min_gain: float | Fraction | str | None = None,
        max_blocks: int | None = None,
        protocol: str = "",
        replicate: int = 0,
        latency_table: LatencyTable | None = None,
    ) -> None:
        exact_gain = None if min_gain is None else _exact(min_gain)
        self.problem = Problem(space, budget, stop, exact_gain, max_blocks, latency_table)
        self.protocol, self.replicate = protocol, replicate
        names: list[Rule] = list(rules)
        if not names or len(set(names)) < len(names):
            raise InvalidSpec("rules", got=names, allowed=f"one or more of {', '.join(RULES)}, each once")
        self._states: dict[Rule, RuleState] = {rule: start(self.problem, rule) for rule in names}
        self._counts: dict[Network, tuple[int, int]] = {}
        self._known: dict[Network, Fraction] = {}
        self._asked: dict[str, Network] = {}

    @property
    def done(self) -> bool:
        """Whether every rule has ended."""
        return all(state.stopped for state in self._states.values())

    def ask(self, n: int = 1, *, speculate: bool = True) -> list[Evaluation]:
        """The up to n evaluations most worth running now, in a fixed order; none of them told yet.

        Asking changes nothing: without a tell in between the answer is the same, so what is already running
        is in it again. Those that decisions wait for come first; `speculate` fills up with what the next
        decisions will probably need.
        """
        demanded = {network for state in self._states.values() for network in self._blocked_on(state)}
        found = list[Evaluation]()
        for network in islice(plan(self.problem, self._states.values(), self._known, speculate=speculate), n):
            key = self.key(network)
            self._asked[key] = network
            found.append(Evaluation(key, network, network in demanded))
        return found

    def key(self, network: Network) -> str:
        """The identity of the evaluation of `network` in this search."""
        return evaluation_key(self.problem.space, network, self.protocol, self.replicate)

    def network_of(self, key: str) -> Network | None:
        """The network that was asked for under this key, None if none was."""
        return self._asked.get(key)

    def has_been_told(self, key: str) -> bool:
        """Whether the result of this key is known already."""
        return self._asked.get(key) in self._counts

    def may_need(self, key: str) -> bool:
        """Whether a decision of this search can still read the result of this key.

        A rule only adds blocks: what its network cannot grow into it will never ask for.
        """
        network = self._asked.get(key)
        if network is None or network in self._counts:
            return False
        return any(not state.stopped and state.network.can_grow_into(network) for state in self._states.values())

    def tell(self, key: str, *, correct: int, total: int) -> None:
        """Report that `correct` of `total` validation images were right.

        The same result told twice changes nothing.

        Raises:
            InvalidSpec: a key that was never asked for, or counts out of range.
            Conflict: a different result than the one told before.
        """
        network = self._asked.get(key)
        if network is None:
            raise InvalidSpec("key", got=key, allowed="a key that ask() has returned")
        counts = _counts(correct, total)
        if self._counts.setdefault(network, counts) != counts:
            raise Conflict(f"{network} was told as {self._counts[network]}, now as {(correct, total)}")
        self._known[network] = Fraction(correct, total)
        for rule, state in self._states.items():
            self._states[rule] = decide(self.problem, state, self._known)[0]

    def _blocked_on(self, state: RuleState) -> tuple[Network, ...]:
        outcome = decide(self.problem, state, self._known)[1]
        return outcome.networks if isinstance(outcome, Blocked) else ()

    @property
    def states(self) -> tuple[RuleState, ...]:
        """The rules' states with their queues."""
        return tuple(self._states.values())

    @property
    def known(self) -> dict[Network, Fraction]:
        """A copy of the accuracies told so far."""
        return dict(self._known)

    @property
    def result(self) -> SearchResult:
        """What has been decided so far; final when `done`."""
        paths: dict[Rule, RulePath] = {rule: self._path(state) for rule, state in self._states.items()}
        points = [point for path in paths.values() for point in path.path]
        last = [path.path[-1] for path in paths.values() if path.path]
        demanded = frozenset[Network]().union(*(state.measured for state in self._states.values()))
        return SearchResult(
            best=max(last, key=_goodness, default=None),
            highest=max(points, key=_goodness, default=None),
            rules=paths,
            evaluations=len(self._known),
            demanded=len(demanded),
            offered=1 + sum(state.offered for state in self._states.values()),
        )

    def _path(self, state: RuleState) -> RulePath:
        start, points = self.problem.space.start, list[Point]()
        if state.accuracy is not None:
            points.append(Point(start, self._known[start], self.problem.cost(start)))
        for element, network, accuracy in state.path:
            points.append(Point(network, accuracy, self.problem.cost(network), element))
        return RulePath(state.rule, tuple(points), state.stopped, state.submodularity, state.monotonicity)

    def to_json(self) -> str:
        """Everything, the queues in their order; `from_json` gives a search that goes on identically."""
        return self.snapshot().model_dump_json()

    def snapshot(self) -> Snapshot:
        """Everything, as an object that can be stored inside another."""
        return Snapshot(
            space=self.problem.space,
            budget=self.problem.budget,
            stop=self.problem.stop,
            min_gain=self.problem.min_gain,
            max_blocks=self.problem.max_blocks,
            protocol=self.protocol,
            replicate=self.replicate,
            latency_table=self.problem.latency_table,
            rules=tuple(StoredRule.of(state) for state in self._states.values()),
            results={str(network): counts for network, counts in self._counts.items()},
            asked={key: str(network) for key, network in self._asked.items() if network not in self._counts},
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> Search:
        """The search that `to_json` wrote.

        Raises:
            CorruptState: not such a text, or its parts contradict each other.
        """
        return cls.from_snapshot(Snapshot.parse(text))

    @classmethod
    def from_snapshot(cls, stored: Snapshot) -> Search:
        """The search that `snapshot` came from.

        Raises:
            CorruptState: its parts contradict each other.
        """
        try:
            return cls._restored(stored)
        except (ValueError, LookupError, ArithmeticError, TypeError) as error:
            cause = " ".join(f"{type(error).__name__}: {error}".split())
            raise CorruptState(f"the stored parts of a search contradict each other: {cause[:200]}") from error

    @classmethod
    def _restored(cls, stored: Snapshot) -> Search:
        search = cls(
            stored.space,
            stored.budget,
            [rule.rule for rule in stored.rules],
            stop=stored.stop,
            min_gain=stored.min_gain,
            max_blocks=stored.max_blocks,
            protocol=stored.protocol,
            replicate=stored.replicate,
            latency_table=stored.latency_table,
        )
        search._counts = {stored.space.network(name): _counts(*counts) for name, counts in stored.results.items()}
        search._known = {network: Fraction(*counts) for network, counts in search._counts.items()}
        search._asked = {key: stored.space.network(name) for key, name in stored.asked.items()}
        if any(search.key(network) != key for key, network in search._asked.items()):
            raise CorruptState("the stored search contradicts itself: asked")
        search._asked |= {search.key(network): network for network in search._counts}
        search._states = {r.rule: r.restore(search.problem, search._known) for r in stored.rules}
        return search


def _counts(correct: int, total: int) -> tuple[int, int]:
    if not (isinstance(correct, int) and isinstance(total, int) and 0 <= correct <= total and total > 0):
        raise InvalidSpec("correct, total", got=(correct, total), allowed="integers, 0 <= correct <= total")
    return correct, total


def _exact(min_gain: float | Fraction | str) -> Fraction:
    try:
        return Fraction(str(min_gain))
    except (ValueError, ZeroDivisionError):
        raise InvalidSpec("min_gain", got=min_gain, allowed="an accuracy difference such as 0.001") from None


def _goodness(point: Point) -> tuple[Fraction, int, int, int]:
    return (point.accuracy, -point.cost.params, -point.cost.madds, -(point.cost.latency or 0))
