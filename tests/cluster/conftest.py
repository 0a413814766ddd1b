"""Tests on a real Kubernetes with a real S3: run by `RCAS_CLUSTER=1 pytest tests/cluster`, deselected otherwise.

The cluster is started if it does not run, and then stopped at the end; one that runs is left as it was.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import IO, Any

import pytest

from cluster import images, machine, readme
from cluster.buckets import client, emptied
from cluster.decisions import Outcome, outcome_of
from cluster.images import Images
from cluster.installation import Installation

SWITCH = "RCAS_CLUSTER"
FIRST = "rcas"
"""Namespace of the installation that brings the CustomResourceDefinition, and of the undisturbed search."""
SEARCH_S = 400
"""Longest time of an undisturbed search on two slow cores."""

Install = Callable[..., Installation]
_REPORTS = pytest.StashKey[list[Installation]]()
_LOCK = pytest.StashKey[IO[str]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    ours = [item for item in items if item.path.is_relative_to(machine.BED.parent)]
    for item in ours:
        item.add_marker(pytest.mark.timeout(900, method="thread"))
    if not os.environ.get(SWITCH) and ours:
        config.hook.pytest_deselected(items=ours)
        items[:] = [item for item in items if item not in ours]


def pytest_collection_finish(session: pytest.Session) -> None:
    """One session at a time: each takes parts of the cluster away."""
    if any(item.path.is_relative_to(machine.BED.parent) for item in session.items):
        session.stash[_LOCK] = machine.alone()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure brings what its installations look like."""
    result: Any = yield
    report = result.get_result()
    if report.failed and report.when == "call":
        for installation in item.stash.get(_REPORTS, []):
            report.sections.append((f"namespace {installation.namespace}", installation.report()))


@pytest.fixture(scope="session")
def cluster() -> Iterator[None]:
    started = machine.up()
    machine.call("kubectl", "delete", "namespace", "-l", "rcas.dev/test=true", "--wait=true", within_s=180)
    yield
    if started:
        machine.down()


@pytest.fixture(scope="session")
def built(cluster: None) -> Images:  # noqa: ARG001
    """The images, on every node."""
    made = images.build()
    images.load(made)
    return made


@pytest.fixture(scope="session")
def s3(cluster: None) -> Any:  # noqa: ARG001
    """A client of the cluster's S3, with an empty bucket."""
    return emptied(client())


@pytest.fixture(scope="session")
def first(built: Images, s3: Any) -> Installation:
    """The installation that brings the CustomResourceDefinition: by the README's first line."""
    installation = Installation(FIRST, built, s3, crds=True)
    installation.prepare()
    installation.adopt_crd()
    readme.run(readme.INSTALL, installation)
    installation.controller()
    return installation


@pytest.fixture(scope="session")
def reference(first: Installation) -> Outcome:
    """An undisturbed search, with what every disturbed one is compared: by the README's second and third line."""
    name = readme.submitted(readme.run(readme.SUBMIT, first))
    readme.run(readme.WATCH, first, name=name, within_s=SEARCH_S)
    return outcome_of(first, name)


@pytest.fixture
def install(first: Installation, request: pytest.FixtureRequest) -> Iterator[Install]:
    """Install the chart in a namespace of this test's own. Values of the chart can be changed."""
    made = request.node.stash.setdefault(_REPORTS, list[Installation]())
    yield _installer(first, request.node.name.removeprefix("test_"), made)
    for installation in made:
        installation.remove()


@pytest.fixture(scope="module")
def install_for_all(first: Installation, request: pytest.FixtureRequest) -> Iterator[Install]:
    """Install the chart in a namespace that the tests of a module share."""
    made = list[Installation]()
    for item in request.session.items:
        if item.path == request.path:
            item.stash[_REPORTS] = made
    yield _installer(first, request.path.stem.removeprefix("test_"), made)
    for installation in made:
        installation.remove()


def _installer(first: Installation, name: str, made: list[Installation]) -> Install:
    namespace = re.sub(r"[^a-z0-9]+", "-", f"t-{name}".lower())[:40].strip("-")

    def install(changes: dict[str, Any] | None = None) -> Installation:
        installation = Installation(f"{namespace}-{len(made)}", first.images, first.s3)
        made.append(installation)
        installation.prepare()
        installation.install(changes)
        return installation

    return install
