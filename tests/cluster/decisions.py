"""What a search decided, and whether another decided the same."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cluster.installation import Installation
from cluster.waiting import until
from rcas.search import Search
from rcas.state import Head

OF_THE_MACHINE = ("seconds", "images_per_second", "resumed", "began", "ended")
"""Fields of a result that depend on the machine's speed and on interruptions."""


@dataclass(frozen=True)
class Outcome:
    """A finished search.

    Attributes:
        rules: paths, accuracies and queues of every rule, as stored.
        read: networks whose results decisions rest on.
        results: those of its protocol in its store by key, without what depends on the machine.
    """

    head: Head
    rules: list[Any]
    read: set[str]
    results: dict[str, dict[str, Any]]

    @property
    def name(self) -> str:
        """Of the resource."""
        return self.head.name.split("/")[1]


def outcome_of(installation: Installation, name: str) -> Outcome:
    """What the search has decided."""
    head = installation.head(name)
    assert head
    rules = head.state.search.rules
    results = dict[str, dict[str, Any]]()
    for found in installation.names("results/"):
        result = json.loads(installation.object(found) or b"")
        if result["protocol_sha256"] == head.state.protocol.sha256:
            results[result["key"]] = {field: result[field] for field in result if field not in OF_THE_MACHINE}
    return Outcome(
        head, [rule.model_dump(mode="json") for rule in rules], {n for rule in rules for n in rule.measured}, results
    )


def assert_same_decisions(disturbed: Outcome, reference: Outcome) -> None:
    """The same paths with the same accuracies, from the same results."""
    assert disturbed.rules == reference.rules
    both = disturbed.results.keys() & reference.results.keys()
    assert reference.read <= {disturbed.results[key]["network"] for key in both}
    assert {key: disturbed.results[key] for key in both} == {key: reference.results[key] for key in both}
    assert str(best(disturbed)) == str(best(reference))


def assert_counted_once(outcome: Outcome) -> None:
    """Every evaluation that the search knows was trained once, and is one object in the store."""
    counters, known = outcome.head.state.counters, outcome.head.state.search.results
    assert counters.trained + counters.reused == len(known)
    assert len({result["network"] for result in outcome.results.values()}) == len(outcome.results)


def assert_nothing_left(installation: Installation, within_s: float = 60) -> None:
    """No Job and no pod is left of a search that ended, and no checkpoint of an evaluation that has a result."""
    until(
        "no Jobs, pods and checkpoints",
        lambda: not (left := installation.left_over()) or print(left),
        within_s=within_s,
    )


def best(outcome: Outcome) -> Any:
    """The network that the search answers with."""
    point = Search.from_snapshot(outcome.head.state.search).result.best
    assert point
    return point.network, point.accuracy
