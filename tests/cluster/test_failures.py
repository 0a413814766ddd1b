"""Searches that cannot succeed stop, say why in the pod's own words, and start nothing more."""

from __future__ import annotations

import time

import pytest

from cluster.conftest import Install
from cluster.installation import RELEASE, Installation
from cluster.machine import Object, audited
from cluster.waiting import until

HOPELESS: dict[str, tuple[Object, str]] = {
    "image": ({"pod": {"image": "localhost/nothing:1"}}, "ErrImageNeverPull"),
    "data": (
        {
            "data": {"dataset": "fashion-mnist", "path": "/nowhere"},
            "space": {"input": [1, 28, 28]},
            "budget": {"madds": "9M"},
        },
        "/nowhere",
    ),
    "memory": ({"pod": {"resources": {"limits": {"memory": "60Mi"}}}}, "memory"),
    "classes": ({"space": {"classes": 7}}, "got '7'"),
}
"""By name: what makes it so, and a word of the condition's message."""


@pytest.fixture(scope="module")
def failed(install_for_all: Install) -> Installation:
    installation = install_for_all()
    for name, (spec, _) in HOPELESS.items():
        installation.submit(name, spec)
    return installation


@pytest.mark.parametrize("name", HOPELESS)
def test_it_stops_with_the_pods_last_words(failed: Installation, name: str):
    until("it to fail", lambda: failed.status(name).get("phase") == "Failed", within_s=120, every_s=1)
    condition = failed.condition(name, "Failed")
    assert condition["status"] == "True"
    assert HOPELESS[name][1] in condition["message"]
    assert HOPELESS[name][1] in failed.rcasctl("status", name)


def test_nothing_loops(failed: Installation):
    for name in HOPELESS:
        until(
            f"{name} to fail", lambda name=name: failed.status(name).get("phase") == "Failed", within_s=120, every_s=1
        )
    until("no Jobs and pods", lambda: not failed.left_over())
    time.sleep(5)
    assert not failed.left_over()
    created = [event for event in audited(account(failed)) if event["verb"] == "create"]
    assert len(created) <= 3 * len(HOPELESS)


def account(installation: Installation) -> str:
    return f"system:serviceaccount:{installation.namespace}:{RELEASE}"
