"""Everything that can happen to trainings and their results, in one search."""

from __future__ import annotations

import time

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation, key_of
from cluster.machine import kill_container
from cluster.waiting import until

NAME = "trainers"


def test_evicted_killed_deleted_and_tampered(install: Install, reference: Outcome):
    installation = install()
    installation.submit(NAME)

    evicted = installation.a_trainer(within_s=120)
    installation.kubectl.evict(evicted["metadata"]["name"])
    killed = installation.a_trainer(besides=frozenset({key_of(evicted)}))
    assert kill_container(killed)
    deleted = installation.a_trainer(besides=frozenset({key_of(evicted), key_of(killed)}))
    installation.kubectl("delete", "job", deleted["metadata"]["labels"]["batch.kubernetes.io/job-name"])
    for pod in (evicted, killed, deleted):
        wait_for_result(installation, key_of(pod))

    told, original = tamper_with_a_told_result(installation)
    broken = tamper_with_a_result_to_come(installation, reference)
    failed = until("the search to stop", lambda: _failed(installation), within_s=SEARCH_S)
    assert broken in failed["message"]
    assert_nothing_loops(installation)

    installation.delete(broken)
    installation.rcasctl("resume", NAME)
    until("the search to go on", lambda: not _failed(installation), within_s=30)
    installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
    installation.put(told, original)
    outcome = outcome_of(installation, NAME)
    assert_same_decisions(outcome, reference)
    assert_counted_once(outcome)
    counters = outcome.head.state.counters
    assert counters.failures >= 1, "the kill was not noticed"
    assert_nothing_left(installation)


def wait_for_result(installation: Installation, key: str) -> None:
    until(f"the result of {key}", lambda: installation.names(f"results/{key}"), within_s=120)


def tamper_with_a_told_result(installation: Installation) -> tuple[str, bytes]:
    """Overwrite a result that the search knows: it must not read it again. Returns its name and what it was."""
    head = installation.wait_for_evaluations(NAME, 1)
    for name in installation.names("results/"):
        data = installation.object(name)
        if data and any(f'"{network}"'.encode() in data for network in head.state.search.results):
            installation.put(name, b"tampered with")
            return name, data
    raise AssertionError("no result is known yet")


def tamper_with_a_result_to_come(installation: Installation, reference: Outcome) -> str:
    """Put something else where a result will be looked for. Returns its name."""
    head = installation.head(NAME)
    assert head
    known = {*head.state.search.results, *head.state.search.asked.values()}
    to_come = [key for key, result in reference.results.items() if result["network"] in reference.read - known]
    assert to_come, "the search is over already"
    name = f"results/{to_come[-1]}.json"
    installation.put(name, b'{"format": 1, "key": "nonsense"}')
    return name


def assert_nothing_loops(installation: Installation) -> None:
    """A search that has stopped stays as it is: no Jobs, no writes."""
    assert_nothing_left_of_jobs(installation)
    before = installation.head(NAME)
    time.sleep(5)
    assert installation.head(NAME) == before
    assert_nothing_left_of_jobs(installation)


def assert_nothing_left_of_jobs(installation: Installation) -> None:
    until("no Jobs", lambda: not [left for left in installation.left_over() if left.startswith("Job")])


def _failed(installation: Installation) -> dict[str, str] | None:
    condition = installation.condition(NAME, "Failed")
    return condition if condition.get("status") == "True" else None
