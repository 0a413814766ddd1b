"""What belongs to a search beside its own results: final trainings, baselines, trainings from other seeds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from rcas.baselines.record import Record
from rcas.costs import Cost
from rcas.final import Final, FinalResult, spread
from rcas.noise import Counts
from rcas.report.model import BaselineReport, Costs, FinalReport, Measured
from rcas.report.noise import measured
from rcas.snapshot import Snapshot


def of_final(final: Final, results: Sequence[FinalResult]) -> FinalReport:
    """A final training with those of its results that are there."""
    return FinalReport(
        of=final.of,
        onto=final.onto,
        network=final.network,
        cost=costs_of(final.space.cost(final.space.network(final.network))),
        epochs=final.protocol.training.epochs,
        seeds=final.seeds,
        top1=_over_seeds([(one.correct, one.total) for one in results]),
        top5=_over_seeds([(one.correct_top5, one.total) for one in results]),
    )


def of_baseline(record: Record, search: Snapshot, others: Sequence[Counts]) -> BaselineReport | None:
    """A baseline of `search` that has ended; None if it found nothing. `others`: its answer from other seeds."""
    if record.chosen is None:
        return None
    network, accuracy, _ = record.chosen
    return BaselineReport(
        method=record.method,
        seed=record.seed,
        network=str(network),
        accuracy=float(accuracy),
        other_seeds=measured(others) if others else None,
        cost=costs_of(search.cost(record.space, network)),
        trainings=record.asked,
    )


def costs_of(cost: Cost) -> Costs:
    """The plain form of a cost."""
    return Costs(params=cost.params, madds=cost.madds, latency_ns=cost.latency)


def _over_seeds(counts: list[Counts]) -> Measured | None:
    if not counts:
        return None
    found = spread(Fraction(*one) for one in counts)
    return Measured(mean=float(found.mean), spread=found.deviation, count=found.seeds)
