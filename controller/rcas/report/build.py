"""A report out of the state of a search and the results that it rests on. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import yaml

from rcas.baselines.record import Record
from rcas.errors import one_line
from rcas.evaluation import Protocol, Result
from rcas.final import Final, FinalResult
from rcas.greedy import Candidate, Problem, Rule, Tally, rule_cost
from rcas.report.attached import costs_of, of_baseline, of_final
from rcas.report.layers import layers
from rcas.report.model import (
    Choice,
    Evaluated,
    Held,
    Limits,
    Report,
    RuleReport,
    Step,
    Trained,
    Weighing,
)
from rcas.report.noise import noise, standard_error
from rcas.search import Point, RulePath, Search
from rcas.space import Network, Space
from rcas.spec import SearchSpec
from rcas.state import Head
from rcas.trace import Decision, trace

SHOWN = 6
"""Candidates of a decision that a report keeps besides those that were measured again."""
SHOWN_AT_MOST = 40
Counts = Mapping[Network, tuple[int, int]]
"""(right, in all) of the validation images by network."""
Others = Mapping[str, Sequence[tuple[int, int]]]
"""The same of trainings from other seeds, by the key of the evaluation that has the search's own seed."""


def build(
    head: Head,
    results: Mapping[str, Result],
    *,
    now: float,
    version: str,
    others: Others | None = None,
    finals: Sequence[tuple[Final, Sequence[FinalResult]]] = (),
    baselines: Sequence[Record] = (),
) -> Report:
    """The report of the search whose state is `head`.

    Args:
        head: as stored.
        results: by key, those that can be read. One that contradicts the state is left out.
        now: seconds since 1970.
        version: of rcas.
        others: results from other seeds than the search's, of networks of the search or of a baseline.
        finals: final trainings of the search, with those of their results that are there.
        baselines: records of those that have ended.

    Raises:
        CorruptState: the parts of the state contradict each other.
    """
    state, search = head.state, Search.from_snapshot(head.state.search)
    found, space = search.result, search.problem.space
    counts = {space.network(name): (correct, total) for name, (correct, total) in state.search.results.items()}
    read = frozenset[Network]().union(*(one.measured for one in search.states))
    rules = tuple(_rule(space, path, search) for path in found.rules.values())
    choices = tuple(_choices(search, counts))
    evaluations = _evaluations(search, counts, read, results)
    start = next((rule.path[0] for rule in rules if rule.path), None)
    best = _step_of(rules, found.best)
    best_path = next((p for p in found.rules.values() if p.path and found.best == p.path[-1]), None)
    added = [point.element for point in best_path.path if point.element] if best_path else []
    budget = state.search.budget
    again = {str(network): (others or {}).get(search.key(network), ()) for network in counts}
    return Report(
        search=head.name,
        rcas=version,
        made=now,
        created=state.created,
        revision=head.seq,
        phase=state.phase,
        message=state.message,
        done=search.done,
        input=space.input,
        classes=space.num_classes,
        budget=Limits(params=budget.params, madds=budget.madds, latency_ns=getattr(budget, "latency", None)),
        stop=state.search.stop,
        min_gain=None if state.search.min_gain is None else float(state.search.min_gain),
        max_blocks=state.search.max_blocks,
        start=start,
        best=best,
        highest=_step_of(rules, found.highest),
        rules=rules,
        choices=choices,
        evaluations=evaluations,
        missing=sum(one.trained is None for one in evaluations),
        offered=found.offered,
        demanded=found.demanded,
        under_way=len(state.attempts),
        bound_holds=found.bound_holds,
        counters=state.counters,
        layers=layers(space, found.best.network, added) if found.best else (),
        noise=noise(rules, choices, {str(n): c for n, c in counts.items()}, again, start, best),
        protocol=state.protocol,
        spec=spec_text(state.spec, state.protocol),
        finals=tuple(of_final(final, found) for final, found in finals),
        baselines=tuple(
            one for record in baselines if (one := of_baseline(record, _others_of(record, others or {})))
        ),
    )


def spec_text(spec: SearchSpec, protocol: Protocol) -> str:
    """YAML that searches the same again: what a machine would settle anew is written out.

    The pod is left out: it belongs to a cluster, and its variables may hold what is not for everybody.
    """
    fields = spec.model_dump(mode="json", exclude_defaults=True, exclude={"pod"})
    fields |= {"device": protocol.device, "threads": protocol.threads}
    return yaml.safe_dump(fields, sort_keys=False, default_flow_style=None, width=100)


def _others_of(record: Record, others: Others) -> Sequence[tuple[int, int]]:
    return others.get(record.key(record.chosen[0]), ()) if record.chosen else ()


def _rule(space: Space, path: RulePath, search: Search) -> RuleReport:
    state = next(one for one in search.states if one.rule == path.rule)
    before: list[Fraction | None] = [None, *(point.accuracy for point in path.path)]
    return RuleReport(
        rule=path.rule,
        path=tuple(
            _step(space, i, one, prior) for i, (one, prior) in enumerate(zip(path.path, before, strict=False))
        ),
        stopped=path.stopped,
        diminishing=_held(path.submodularity),
        rising=_held(path.monotonicity),
        read=len(state.measured),
        offered=state.offered,
    )


def _step(space: Space, number: int, point: Point, before: Fraction | None) -> Step:
    return Step(
        number=number,
        network=str(point.network),
        accuracy=float(point.accuracy),
        gain=None if before is None else float(point.accuracy - before),
        cost=costs_of(point.cost),
        position=point.element.position if point.element else None,
        block=point.element.block if point.element else None,
        stage=space.stage_of[point.element.position] if point.element else None,
    )


def _step_of(rules: Iterable[RuleReport], point: Point | None) -> Step | None:
    name = str(point.network) if point else None
    return next((step for rule in rules for step in rule.path if step.network == name), None)


def _held(tally: Tally) -> Held:
    mean = float(tally.total / tally.broken) if tally.broken else 0.0
    return Held(checked=tally.checked, broken=tally.broken, mean=mean, worst=float(tally.worst))


def _choices(search: Search, counts: Counts) -> Iterable[Choice]:
    for state in search.states:
        for number, decision in enumerate(trace(search.problem, state.rule, search.known), start=1):
            yield _choice(search, state.rule, number, decision, counts)


def _choice(search: Search, rule: Rule, number: int, decision: Decision, counts: Counts) -> Choice:
    space, weighed, winner = search.problem.space, decision.weighed, decision.weighed[0].candidate
    kept = [one for i, one in enumerate(weighed) if i < SHOWN or one.stale is not None][:SHOWN_AT_MOST]
    second = weighed[1].candidate if len(weighed) > 1 else None
    return Choice(
        rule=rule,
        number=number,
        candidates=len(weighed),
        measured=sum(one.fresh for one in weighed),
        parked=len({candidate.network for candidate in decision.before.parked}),
        shown=tuple(
            Weighing(
                network=str(one.candidate.network),
                position=one.candidate.element.position,
                block=one.candidate.element.block,
                stage=space.stage_of[one.candidate.element.position],
                gain=float(one.candidate.gain or 0),
                stale=None if one.stale is None else float(one.stale),
                fresh=one.fresh,
                share=_share(one.candidate, winner),
                cost=costs_of(one.candidate.cost),
            )
            for one in kept
        ),
        margin=float((winner.gain or 0) - (second.gain or 0)) if second else None,
        lead=_lead(search.problem, rule, decision.before.network, winner, second, counts) if second else None,
    )


def _lead(
    problem: Problem, rule: Rule, base: Network, winner: Candidate, second: Candidate, counts: Counts
) -> float | None:
    """The difference of the two keys in standard errors; of the two gains where one of them is a loss."""
    weights, gains = [1, 1], [winner.gain or Fraction(0), second.gain or Fraction(0)]
    if min(gains) >= 0:
        weights = [rule_cost(problem.budget, rule, one.cost) for one in (winner, second)]
    ours, theirs = (weights[0] / weight for weight in weights)
    error = math.hypot(
        ours * _error(winner.network, counts),
        theirs * _error(second.network, counts),
        (ours - theirs) * _error(base, counts),
    )
    difference = ours * float(gains[0]) - theirs * float(gains[1])
    return difference / error if error else None


def _error(network: Network, counts: Counts) -> float:
    return standard_error(counts[network]) if network in counts else 0.0


def _share(candidate: Candidate, winner: Candidate) -> float | None:
    best = -winner.rank[1]
    return float(-candidate.rank[1] / best) if best > 0 else None


def _evaluations(
    search: Search,
    counts: Counts,
    read: frozenset[Network],
    results: Mapping[str, Result],
) -> tuple[Evaluated, ...]:
    found = list[Evaluated]()
    for network, (correct, total) in counts.items():
        key = search.key(network)
        result = results.get(key)
        if result and (result.network, result.correct, result.total) != (str(network), correct, total):
            result = None
        found.append(
            Evaluated(
                key=key,
                network=str(network),
                replicate=search.replicate,
                correct=correct,
                total=total,
                accuracy=correct / total,
                cost=costs_of(search.problem.space.cost(network)),
                read=network in read,
                trained=_trained(result) if result else None,
            )
        )
    return tuple(sorted(found, key=_ended))


def _ended(one: Evaluated) -> float:
    """Python's sort keeps the order of the state where this says nothing."""
    return (one.trained.ended if one.trained else None) or 0.0


def _trained(result: Result) -> Trained:
    return Trained(
        correct_top5=result.correct_top5,
        loss=result.loss,
        epochs=result.epochs,
        diverged=result.diverged,
        startup=result.seconds.startup,
        data=result.seconds.data,
        training=result.seconds.training,
        validation=result.seconds.validation,
        images_per_second=result.images_per_second,
        began=result.began,
        ended=result.ended,
        resumed=result.resumed,
        restarted=result.restarted,
        device=one_line(result.device, 100),
    )
