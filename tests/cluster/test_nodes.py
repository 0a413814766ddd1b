"""Nodes that are drained, lost, and come back."""

from __future__ import annotations

import time

from cluster import machine
from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation
from cluster.machine import lost_node
from cluster.resuming import assert_resumes
from cluster.waiting import until

NAME = "nodes"
NOTICED_S = 150
"""A node counts as lost after 20 s, its pods leave 30 s later, their grace is 10 s, the controller waits 30 s."""


def test_drained_lost_and_back(install: Install, reference: Outcome):
    installation = install()
    installation.submit(NAME)
    installation.wait_for_evaluations(NAME, 2)
    drain(installation, 2)
    lose(installation, reference)
    installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
    outcome = outcome_of(installation, NAME)
    assert_same_decisions(outcome, reference)
    assert_counted_once(outcome)
    assert_nothing_left(installation)


def drain(installation: Installation, node: int) -> None:
    """`kubectl drain` while a training runs there, and the node given back."""
    name = f"rcas-node-{node}"
    until(f"a training on {name}", lambda: trainers_on(installation, name), within_s=60)
    installation.kubectl("drain", name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=60s")
    assert not trainers_on(installation, name)
    installation.wait_for_evaluations(NAME, evaluations(installation) + 2)
    installation.kubectl("uncordon", name)


def lose(installation: Installation, reference: Outcome) -> None:
    """The node of the controller and of a training is lost; the search goes on elsewhere; the node comes back."""
    node = installation.controller()["spec"]["nodeName"]
    until(f"a training on {node}", lambda: trainers_on(installation, node), within_s=60)
    before, known = installation.head(NAME), evaluations(installation)
    assert before
    lost_at = time.time()
    with lost_node(int(node.rpartition("-")[2])):
        until(f"{node} to be missed", lambda: machine.ready_nodes() == 1, within_s=60)
        assert_resumes(installation, NAME, before, lost_at, absent_s=NOTICED_S)
        # Also those whose pods stand still on the lost node.
        asked = set(before.state.search.asked.values()) & reference.read
        until("the lost trainings", lambda: asked <= known_networks(installation), within_s=NOTICED_S)
        assert evaluations(installation) > known
    until("all nodes", lambda: machine.ready_nodes() == machine.NODES, within_s=60)


def trainers_on(installation: Installation, node: str) -> list[str]:
    return [pod["metadata"]["name"] for pod in installation.trainers() if pod["spec"].get("nodeName") == node]


def known_networks(installation: Installation) -> set[str]:
    head = installation.head(NAME)
    return set(head.state.search.results) if head else set()


def evaluations(installation: Installation) -> int:
    return len(known_networks(installation))
