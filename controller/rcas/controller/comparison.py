"""Answers of searches, of baselines and of nobody, side by side: what they were chosen by and what they are worth.

A method that takes the maximum of many noisy measurements overstates it, the more the more it measured. So answers
are ranked only by trainings from other seeds, which chose nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import NamedTuple

from rcas.baselines.methods import DRAWN
from rcas.baselines.record import Record
from rcas.budget import Budget
from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.evaluation import DataSource, Protocol, Result, Task, evaluation_key
from rcas.final import Final, Spread, spread
from rcas.search import Search
from rcas.space import Network, Space
from rcas.state import Head, read_final, read_finals, read_result
from rcas.stores.base import Store


class Spent(NamedTuple):
    """What an answer took.

    Attributes:
        measured: networks that were measured for it. trained, reused: by itself, and found in the store.
        worker_seconds: of all of them, whoever trained them; None if a result is gone.
    """

    measured: int
    trained: int
    reused: int
    worker_seconds: float | None


class Contender(NamedTuple):
    """A network that is compared.

    Attributes:
        name: for people. group: runs that differ in the seed of their draws only have the same.
        accuracy: that it was chosen by; None if it was not chosen.
        spent: None for a network that was given.
        final: accuracy on the test set after final trainings; None if there is none.
        first_other_seed: from it on no seed can have chosen the network.
    """

    name: str
    group: str
    search: str
    space: Space
    network: Network
    cost: Cost
    protocol: Protocol
    source: DataSource
    budget: Budget
    max_attempts: int
    accuracy: Fraction | None
    spent: Spent | None
    final: Spread | None
    first_other_seed: int

    def task(self, replicate: int) -> Task:
        """Its training from another seed."""
        return Task(
            key=evaluation_key(self.space, self.network, self.protocol.sha256, replicate),
            space=self.space,
            network=str(self.network),
            protocol=self.protocol,
            replicate=replicate,
            source=self.source,
        )


class Row(NamedTuple):
    """A contender with what its trainings from other seeds say; None if there are none."""

    contender: Contender
    others: Spread | None


class Group(NamedTuple):
    """Runs of one method: its spread over the seeds of its draws.

    Attributes:
        chosen: of the accuracies that they were chosen by.
        others: of their means from other seeds; None if one of them has none.
    """

    name: str
    chosen: Spread
    others: Spread | None


class Comparison(NamedTuple):
    """Rows, the best first if they can be ranked.

    Attributes:
        unranked: why they cannot; None if they are.
        lead: of the first over the second, with its standard error, which is None if there is no spread.
    """

    rows: tuple[Row, ...]
    groups: tuple[Group, ...]
    unranked: str | None
    lead: tuple[Fraction, float | None] | None


def of_search(head: Head, store: Store) -> Contender:
    """What a search found.

    Raises:
        InvalidSpec: it has found nothing yet.
    """
    search = Search.from_snapshot(head.state.search)
    best = search.result.best
    if best is None:
        raise InvalidSpec("search", got=head.name, allowed="a search that has accepted a network")
    keys = [search.key(network, number) for network, number, _ in search.known.all()]
    counters = head.state.counters
    spent = Spent(len(search.known), counters.trained, counters.reused, _worker_seconds(store, keys))
    return _contender(head, head.name, store, search.problem.space, best.network, best.accuracy, spent)


def of_baseline(head: Head, record: Record, store: Store) -> Contender:
    """What a baseline chose.

    Raises:
        InvalidSpec: it belongs to a search of this name that is gone, or has no answer.
    """
    name = f"{head.name}:{record.method}"
    if record.protocol_sha256 != head.state.protocol.sha256:
        raise InvalidSpec(
            "baseline", got=f"{name}, of an earlier search {head.name}", allowed="one of this search; run it again"
        )
    if record.chosen is None:
        raise InvalidSpec("baseline", got=f"{name}, which has no answer", allowed="one that has")
    network, accuracy, _ = record.chosen
    spent = Spent(len(record.results), record.trained, record.asked - record.trained, record.worker_seconds)
    numbered = f"{name}-{record.seed}" if record.method in DRAWN else name
    return _contender(head, numbered, store, record.space, network, accuracy, spent)._replace(
        group=name, first_other_seed=max(head.state.search.first_other_seed, record.replicates)
    )


def of_network(head: Head, text: str, store: Store) -> Contender:
    """A network that was given, in the space and by the protocol of a search.

    Raises:
        InvalidSpec: it does not lie in that space.
    """
    space = head.state.search.space
    network = space.network(text)
    return _contender(head, str(network), store, space, network, None, None)


def _contender(
    head: Head,
    name: str,
    store: Store,
    space: Space,
    network: Network,
    accuracy: Fraction | None,
    spent: Spent | None,
) -> Contender:
    state = head.state
    return Contender(
        name=name,
        group=name,
        search=head.name,
        space=space,
        network=network,
        cost=state.search.cost(space, network),
        protocol=state.protocol,
        source=state.spec.data.source(),
        budget=state.search.budget,
        max_attempts=state.spec.max_attempts,
        accuracy=accuracy,
        spent=spent,
        final=_final(store, head.name, space, network),
        first_other_seed=state.search.first_other_seed,
    )


def _worker_seconds(store: Store, keys: Iterable[str]) -> float | None:
    total = 0.0
    for key in keys:
        result = read_result(store, key)
        if result is None:
            return None
        total += result.seconds.data + result.seconds.training + result.seconds.validation
    return total


def _final(store: Store, search: str, space: Space, network: Network) -> Spread | None:
    """Of the last final training of this network on its own skeleton, over the seeds that have ended."""
    index = read_finals(store, search)
    finals = [f for f in index.finals if (f.space, f.network) == (space, str(network))] if index else []
    return _accuracy_of(store, finals[-1]) if finals else None


def _accuracy_of(store: Store, final: Final) -> Spread | None:
    results = [result for key in final.keys if (result := read_final(store, key))]
    return spread(Fraction(result.correct, result.total) for result in results) if results else None


def compared(contenders: Iterable[Contender], others: Iterable[list[Result]]) -> Comparison:
    """The contenders, ranked by their trainings from other seeds if that is possible.

    Args:
        contenders: at least one.
        others: for each of them, results from other seeds.
    """
    pairs = zip(contenders, others, strict=True)
    rows = [Row(one, spread(Fraction(r.correct, r.total) for r in found) if found else None) for one, found in pairs]
    groups = tuple(_groups(rows))
    unranked = _unranked(rows)
    if unranked:
        return Comparison(tuple(rows), groups, unranked, None)
    ranked = sorted(rows, key=lambda row: (-_mean(row), row.contender.cost))
    lead = _lead(ranked[0], ranked[1]) if len(ranked) > 1 else None
    return Comparison(tuple(ranked), groups, None, lead)


def _mean(row: Row) -> Fraction:
    assert row.others
    return row.others.mean


def _unranked(rows: list[Row]) -> str | None:
    first = rows[0].contender
    for row in rows[1:]:
        other = row.contender
        if first.protocol != other.protocol:
            what = "; ".join(differences(first.protocol, other.protocol))
            return (
                f"{first.name} and {other.name} were not measured alike, so their accuracies do not compare: {what}"
            )
    missing = [row.contender.name for row in rows if row.others is None]
    if missing:
        return (
            f"{', '.join(missing)}: not measured from other seeds. What a network was chosen by ranks nothing, "
            "because the highest of many noisy numbers is too high"
        )
    return None


def _lead(first: Row, second: Row) -> tuple[Fraction, float | None]:
    assert first.others
    assert second.others
    pair = (first.others, second.others)
    variances = [one.deviation**2 / one.seeds for one in pair if one.deviation is not None]
    return _mean(first) - _mean(second), sum(variances) ** 0.5 if len(variances) == 2 else None


def _groups(rows: list[Row]) -> Iterator[Group]:
    for name in dict.fromkeys(row.contender.group for row in rows):
        members = [row for row in rows if row.contender.group == name]
        chosen = [row.contender.accuracy for row in members if row.contender.accuracy is not None]
        if len(members) > 1 and len(chosen) == len(members):
            means = [row.others.mean for row in members if row.others]
            yield Group(name, spread(chosen), spread(means) if len(means) == len(members) else None)


def differences(one: Protocol, other: Protocol) -> list[str]:
    """Where two protocols differ, such as `training.epochs: 4, 8`."""
    flat, flat_other = (dict(_flat(protocol.model_dump(mode="json"))) for protocol in (one, other))
    names = [name for name in {**flat, **flat_other} if flat.get(name) != flat_other.get(name)]
    return [f"{name}: {flat.get(name)}, {flat_other.get(name)}" for name in names]


def _flat(fields: dict[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for name, value in fields.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
