"""Lazy cost-effective greedy (paper, Algorithms 1 and 2) as one pure decision function.

A rule owns a set S, held as the network that it gives, and a queue of every element that may still be added.
An element's gain is F(S + v) - F(S); its key is that gain over its cost c(v | S) = cost(S + v) - cost(S), which is
exact and changes with S. After a block is accepted all gains are stale; the top of the queue is measured again until
the top is fresh. Positions that give the same network share one measurement.
"""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import prod
from typing import Literal, NamedTuple

from rcas.budget import Budget, format_latency
from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.latency import LatencyTable, cost_with_latency
from rcas.space import Element, Network, Space

Rule = Literal["UC", "APR", "AMR", "JOINT", "ALR"]
RULES: tuple[Rule, ...] = ("UC", "APR", "AMR", "JOINT", "ALR")
StopPolicy = Literal["drop-infeasible", "first-infeasible"]
STOP_POLICIES: tuple[StopPolicy, ...] = ("drop-infeasible", "first-infeasible")
StopReason = Literal["full", "budget", "first-infeasible", "min-gain", "max-blocks"]
Known = Mapping[Network, Fraction]
"""Accuracies by network."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What a search is asked: the space, the budget and the stop rules.

    Attributes:
        stop: drop-infeasible passes over elements that do not fit and goes on while any does; first-infeasible
            measures them too and ends when one of them wins (the paper's published path).
        min_gain: end when the winner's gain in accuracy is below this; None never does.
        max_blocks: end after so many accepted blocks.
        latency_table: gives every network its latency; needed by a budget of it and by the rule ALR.
    """

    space: Space
    budget: Budget
    stop: StopPolicy = "drop-infeasible"
    min_gain: Fraction | None = None
    max_blocks: int | None = None
    latency_table: LatencyTable | None = None

    def __post_init__(self) -> None:
        if self.stop not in STOP_POLICIES:
            raise InvalidSpec("stop", got=self.stop, allowed=" or ".join(STOP_POLICIES))
        if self.max_blocks is not None and self.max_blocks < 0:
            raise InvalidSpec("max_blocks", got=self.max_blocks, allowed="a whole number from 0")
        if self.min_gain is not None and abs(self.min_gain) > 1:
            raise InvalidSpec("min_gain", got=str(self.min_gain)[:20], allowed="an accuracy difference from -1 to 1")
        if self.latency_table is not None:
            self.latency_table.require(self.space)
        elif self.budget.latency is not None:
            allowed = "a latency only together with latency.table, which says how long each block takes"
            raise InvalidSpec("budget.latency", got=format_latency(self.budget.latency), allowed=allowed)
        start = self.cost(self.space.start)
        for name in self.budget.exceeded(start):
            latency = "" if start.latency is None else f", {start.latency:,} ns"
            unit = " ns" if name == "latency" else ""
            raise InvalidSpec(
                f"budget.{name}",
                got=f"{getattr(self.budget, name)}{unit}",
                allowed=f"at least {getattr(start, name):,}{unit}, what the start network {self.space.start} needs "
                f"({start.params:,} params, {start.madds:,} MAdds{latency})",
            )

    def cost(self, network: Network) -> Cost:
        """What `network` costs, its latency among it if there is a table."""
        return cost_with_latency(self.latency_table, self.space, network)


class Candidate(NamedTuple):
    """A queue entry. Sorts as the queue does: largest key, earlier position, smaller type.

    Attributes:
        rank: the negated key; unmeasured candidates come first.
        gain: F(S + v) - F(S) at the S of `measured_at` accepted blocks; None if never measured.
        cost: c(v | S) for the current S.
    """

    rank: tuple[int, Fraction]
    element: Element
    gain: Fraction | None
    measured_at: int
    cost: Cost
    network: Network


class Accepted(NamedTuple):
    """A block that a rule took, the network with it and its accuracy."""

    element: Element
    network: Network
    accuracy: Fraction


class Tally(NamedTuple):
    """How often an assumption was checked and broken, and by how much accuracy."""

    checked: int = 0
    broken: int = 0
    total: Fraction = Fraction(0)
    worst: Fraction = Fraction(0)

    def add(self, excess: Fraction) -> Tally:
        """Count one check; it was broken if `excess` is positive."""
        if excess <= 0:
            return self._replace(checked=self.checked + 1)
        return Tally(self.checked + 1, self.broken + 1, self.total + excess, max(self.worst, excess))


@dataclass(frozen=True, slots=True)
class RuleState:
    """One rule's search so far. Immutable; `decide` returns the next.

    Attributes:
        network: S. accuracy: F(S), None before it is known.
        queue: candidates that may be picked now, the top first.
        parked: candidates that do not fit the budget now; they may later, because costs can fall.
        submodularity: refreshed gains against their stale ones; broken when they grew.
        monotonicity: measured gains; broken when negative.
        measured: the networks whose accuracy a decision of this rule has read.
        offered: queue lengths summed over the decisions: the trainings that greedy without laziness would run.
        stopped: why the rule ended, or None.
    """

    rule: Rule
    network: Network
    accuracy: Fraction | None = None
    filled: frozenset[int] = frozenset()
    queue: tuple[Candidate, ...] = ()
    parked: tuple[Candidate, ...] = ()
    path: tuple[Accepted, ...] = ()
    submodularity: Tally = field(default=Tally())
    monotonicity: Tally = field(default=Tally())
    measured: frozenset[Network] = frozenset()
    offered: int = 0
    stopped: StopReason | None = None


class Blocked(NamedTuple):
    """No decision is possible before all these networks are measured."""

    networks: tuple[Network, ...]


class Done(NamedTuple):
    """The rule ended; says why."""

    reason: StopReason


def start(problem: Problem, rule: Rule) -> RuleState:
    """The state before anything is known: S = S0, every element that fits unmeasured in the queue.

    Raises:
        InvalidSpec: an unknown rule, JOINT without two budgets, or ALR without a table of latencies.
    """
    if rule not in RULES:
        raise InvalidSpec("rules", got=rule, allowed=", ".join(RULES))
    if rule == "JOINT" and sum(limit is not None for _, _, limit in problem.budget.uses(Cost(0, 0))) < 2:
        raise InvalidSpec(
            "rules", got="JOINT", allowed="JOINT only with two budgets or more, such as params and madds"
        )
    if rule == "ALR" and problem.latency_table is None:
        raise InvalidSpec("rules", got="ALR", allowed="ALR only with latency.table")
    free = {element.position for element in problem.space.elements}
    filled = frozenset(range(len(problem.space.stage_of))) - free
    state = RuleState(rule, problem.space.start, filled=filled)
    entries = [(element, None, 0) for element in problem.space.elements]
    state = enqueue(problem, state, entries)
    if problem.stop == "first-infeasible":
        # Algorithm 2 queues only what fits at the start; what outgrows the budget later stays in its queue.
        fitting = [(c.element, c.gain, 0) for c in state.queue if problem.budget.fits(_cost_of(problem, c))]
        state = enqueue(problem, state, fitting)
    return state


def decide(problem: Problem, state: RuleState, known: Known) -> tuple[RuleState, Blocked | Done]:
    """Take every decision that `known` allows.

    Reads the accuracies only of networks that it would also be blocked on, so whatever else is known does not
    change the outcome.
    """
    while state.stopped is None:
        following = transition(problem, state, known)
        if isinstance(following, Blocked):
            return state, following
        state = following
    return state, Done(state.stopped)


def transition(problem: Problem, state: RuleState, known: Known) -> RuleState | Blocked:
    """One step of a rule that has not stopped: measure what the next decision reads, or accept the top, or stop."""
    needed = _needed(problem, state)
    missing = tuple(network for network in needed if network not in known)
    if missing:
        return Blocked(missing)
    return _measure(problem, state, needed, known) if needed else _accept_or_stop(problem, state)


def enqueue(problem: Problem, state: RuleState, entries: Iterable[tuple[Element, Fraction | None, int]]) -> RuleState:
    """Sort (element, gain, measured_at) into the queue by their keys at the current S, or park what does not fit."""
    space, now = problem.space, problem.cost(state.network)
    queue, parked = list[Candidate](), list[Candidate]()
    indices = _insertion_indices(space, state.filled)
    for element, gain, measured_at in entries:
        network = state.network.insert(space.stage_of[element.position], indices[element.position], element.block)
        total = problem.cost(network)
        cost = total - now
        rank = _rank(problem.budget, state.rule, gain, cost)
        live = problem.stop == "first-infeasible" or problem.budget.fits(total)
        (queue if live else parked).append(Candidate(rank, element, gain, measured_at, cost, network))
    return replace(state, queue=tuple(sorted(queue)), parked=tuple(sorted(parked)))


def rule_cost(budget: Budget, rule: Rule, cost: Cost) -> int:
    """c(v) under `rule`, on a scale of its own (paper, Algorithm 3).

    JOINT: params / B_p + madds / B_m, with latency / B_l if there is a budget of it. ALR: latency.

    A block that makes the network no larger counts as costing one unit, so that every key is defined.
    """
    if rule == "UC":
        return 1
    if rule == "APR":
        return max(cost.params, 1)
    if rule == "AMR":
        return max(cost.madds, 1)
    if rule == "ALR":
        return max(cost.latency or 0, 1)
    limited = [(used, limit) for _, used, limit in budget.uses(cost) if limit is not None]
    scale = prod(limit for _, limit in limited)
    return max(sum(used * (scale // limit) for used, limit in limited), 1)


def _rank(budget: Budget, rule: Rule, gain: Fraction | None, cost: Cost) -> tuple[int, Fraction]:
    if gain is None:
        return (0, Fraction(0))
    weight = rule_cost(budget, rule, cost)
    # Divided by its cost a loss would look smaller the more it costs.
    return (1, -gain / weight if gain >= 0 else -gain * weight)


def _needed(problem: Problem, state: RuleState) -> tuple[Network, ...]:
    """The networks whose accuracy the next decision reads; none when the top of the queue is fresh."""
    if problem.max_blocks is not None and len(state.path) >= problem.max_blocks and state.accuracy is not None:
        return ()
    unmeasured = tuple(dict.fromkeys(c.network for c in state.queue if c.gain is None))
    if state.accuracy is None:
        return (state.network, *(() if problem.max_blocks == 0 else unmeasured))
    if unmeasured:
        return unmeasured
    top = state.queue[0] if state.queue else None
    return (top.network,) if top and top.measured_at < len(state.path) else ()


def _measure(problem: Problem, state: RuleState, needed: tuple[Network, ...], known: Known) -> RuleState:
    if state.accuracy is None:
        state = replace(state, accuracy=known[state.network])
    base = state.accuracy
    assert base is not None
    fresh = {network: known[network] - base for network in needed if network != state.network}
    submodularity, monotonicity, counted = state.submodularity, state.monotonicity, set[Network]()
    queue = [candidate for candidate in state.queue if candidate.network not in fresh]
    for candidate in state.queue:
        if candidate.network not in fresh:
            continue
        gain = fresh[candidate.network]
        if candidate.network not in counted:
            counted.add(candidate.network)
            monotonicity = monotonicity.add(-gain)
            if candidate.gain is not None:
                submodularity = submodularity.add(gain - candidate.gain)
        rank = _rank(problem.budget, state.rule, gain, candidate.cost)
        insort(queue, candidate._replace(rank=rank, gain=gain, measured_at=len(state.path)))
    return replace(
        state,
        queue=tuple(queue),
        submodularity=submodularity,
        monotonicity=monotonicity,
        measured=state.measured.union(needed),
    )


def _accept_or_stop(problem: Problem, state: RuleState) -> RuleState:
    reason = _stop_reason(problem, state)
    if reason:
        return replace(state, stopped=reason)
    top = state.queue[0]
    assert top.gain is not None
    assert state.accuracy is not None
    grown = extend(problem, state, top.element, state.accuracy + top.gain)
    grown = replace(grown, offered=state.offered + len(state.queue))
    rest = [(c.element, c.gain, c.measured_at) for c in (*state.queue, *state.parked)]
    return enqueue(problem, grown, [entry for entry in rest if entry[0].position not in grown.filled])


def extend(problem: Problem, state: RuleState, element: Element, accuracy: Fraction) -> RuleState:
    """S + v with F(S + v); the queue is left as it was."""
    index = _insertion_indices(problem.space, state.filled)[element.position]
    network = state.network.insert(problem.space.stage_of[element.position], index, element.block)
    return replace(
        state,
        network=network,
        accuracy=accuracy,
        filled=state.filled | {element.position},
        path=(*state.path, Accepted(element, network, accuracy)),
    )


def _stop_reason(problem: Problem, state: RuleState) -> StopReason | None:
    if problem.max_blocks is not None and len(state.path) >= problem.max_blocks:
        return "max-blocks"
    if not state.queue:
        return "full" if len(state.filled) == len(problem.space.stage_of) else "budget"
    top = state.queue[0]
    if not problem.budget.fits(_cost_of(problem, top)):
        return "first-infeasible"
    if problem.min_gain is not None and top.gain is not None and top.gain < problem.min_gain:
        return "min-gain"
    return None


def _cost_of(problem: Problem, candidate: Candidate) -> Cost:
    return problem.cost(candidate.network)


def _insertion_indices(space: Space, filled: frozenset[int]) -> list[int]:
    """For each position, how many filled positions of its stage lie before it."""
    indices, stage, count = list[int](), -1, 0
    for position, its_stage in enumerate(space.stage_of):
        if its_stage != stage:
            stage, count = its_stage, 0
        indices.append(count)
        count += position in filled
    return indices
