"""A report out of the state of a search and the results that it rests on. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction

import yaml

from rcas.baselines.record import Record
from rcas.errors import one_line
from rcas.evaluation import Protocol, Result
from rcas.final import Final, FinalResult
from rcas.greedy import Candidate, Rule, RuleState, Tally, leads_of, trainings_read
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
from rcas.report.noise import noise
from rcas.search import Point, RulePath, Search
from rcas.space import Space
from rcas.spec import SearchSpec
from rcas.state import Head
from rcas.trace import Decision, trace
from rcas.trained import Trained as Known

SHOWN = 6
"""Candidates of a decision that a report keeps besides those that were measured again."""
SHOWN_AT_MOST = 40
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
    known = search.known
    rules = tuple(_rule(space, path, search) for path in found.rules.values())
    choices = tuple(_choices(search, known))
    evaluations = _evaluations(search, known, results)
    start = next((rule.path[0] for rule in rules if rule.path), None)
    best = _step_of(rules, found.best)
    best_path = next((p for p in found.rules.values() if p.path and found.best == p.path[-1]), None)
    added = [point.element for point in best_path.path if point.element] if best_path else []
    budget = state.search.budget
    again = {str(network): (others or {}).get(search.key(network), ()) for network in known}
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
        budget=Limits(params=budget.params, madds=budget.madds, latency_ns=budget.latency),
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
        noise=noise(rules, choices, {str(n): known.trainings(n) for n in known}, again, start, best),
        protocol=state.protocol,
        spec=spec_text(state.spec, state.protocol),
        finals=tuple(of_final(final, found) for final, found in finals),
        baselines=tuple(
            one
            for record in baselines
            if (one := of_baseline(record, state.search, _others_of(record, others or {})))
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
        read=trainings_read(search.problem, state),
        offered=state.offered,
    )


def _step(space: Space, number: int, point: Point, before: Fraction | None) -> Step:
    return Step(
        number=number,
        network=str(point.network),
        accuracy=float(point.accuracy),
        trainings=point.trainings,
        gain=None if before is None else float(point.accuracy - before),
        cost=costs_of(point.cost),
        position=point.element.position if point.element else None,
        block=point.element.block if point.element else None,
        stage=space.stage_of[point.element.position] if point.element else None,
    )


def _step_of(rules: Iterable[RuleReport], point: Point | None) -> Step | None:
    wanted = (str(point.network), point.trainings) if point else None
    return next((step for rule in rules for step in rule.path if (step.network, step.trainings) == wanted), None)


def _held(tally: Tally) -> Held:
    mean = float(tally.total / tally.broken) if tally.broken else 0.0
    return Held(checked=tally.checked, broken=tally.broken, mean=mean, worst=float(tally.worst))


def _choices(search: Search, known: Known) -> Iterable[Choice]:
    for state in search.states:
        for number, decision in enumerate(trace(search.problem, state.rule, known), start=1):
            yield _choice(search, state.rule, number, decision, known)


def _choice(search: Search, rule: Rule, number: int, decision: Decision, known: Known) -> Choice:
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
        lead=_lead(search, decision.before, winner, second, known) if second else None,
    )


def _lead(search: Search, before: RuleState, first: Candidate, second: Candidate, known: Known) -> float | None:
    """In standard errors. A gain from before the last block was accepted is taken to be as noisy as the winner's."""
    if second.network not in known:
        second = second._replace(network=first.network)
    lead = leads_of(search.problem, before, (first, second), known)[0]
    return float(lead.difference) / lead.error if lead.error else None


def _share(candidate: Candidate, winner: Candidate) -> float | None:
    best = -winner.rank[1]
    return float(-candidate.rank[1] / best) if best > 0 else None


def _evaluations(search: Search, known: Known, results: Mapping[str, Result]) -> tuple[Evaluated, ...]:
    found, read = list[Evaluated](), search.read
    for network, number, (correct, total) in known.all():
        key = search.key(network, number)
        result = results.get(key)
        if result and (result.network, result.correct, result.total) != (str(network), correct, total):
            result = None
        found.append(
            Evaluated(
                key=key,
                network=str(network),
                replicate=search.replicate + number,
                correct=correct,
                total=total,
                accuracy=correct / total,
                cost=costs_of(search.problem.cost(network)),
                read=number < read.get(network, 0),
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
