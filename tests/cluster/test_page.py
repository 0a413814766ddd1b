"""The live page of a namespace as its user sees it: in Chromium, through a port-forward, and who else reaches it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator

import pytest

from cluster.conftest import Install
from cluster.installation import RELEASE, Installation
from cluster.machine import environment
from cluster.visitors import GUARDED_NODE, visited
from page.chromium import Browser, chromium

NAME = "shown"
PORT = 8081
INGRESS = {"app": "ingress"}
"""Label of the pods that the chart is told to let in."""


@pytest.fixture(scope="module")
def shown(install_for_all: Install) -> Installation:
    return install_for_all(
        {
            "controller": {"nodeSelector": GUARDED_NODE},
            "page": {"enabled": True},
            "networkPolicy": {"pageFrom": [{"podSelector": {"matchLabels": INGRESS}}]},
        }
    )


@pytest.fixture(scope="module")
def address(shown: Installation) -> Iterator[str]:
    """Where `kubectl port-forward` brings the page, by the command of the notes."""
    command = ["kubectl", "port-forward", "-n", shown.namespace, f"service/{RELEASE}", f":{PORT}"]
    forward = subprocess.Popen(
        command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert forward.stdout
        said = forward.stdout.readline()
        found = re.search(r"127\.0\.0\.1:(\d+) -> ", said)
        assert found, said + forward.stdout.read()
        yield f"http://localhost:{found[1]}"
    finally:
        forward.terminate()
        forward.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


def test_a_search_from_its_submission_to_its_end_on_one_page(shown: Installation, address: str, browser: Browser):
    tab = browser.tab()
    tab.go(f"{address}/")
    assert "There is none yet" in tab.text()
    shown.submit(NAME, {"rules": ["UC"], "max_blocks": 1})
    tab.wait(f"document.querySelector('a[href$={NAME}]')", within_s=60)
    tab.run(f"document.querySelector('a[href$={NAME}]').focus()")
    tab.press("Enter")
    tab.wait(f"location.pathname === '/searches/{NAME}' && document.readyState === 'complete'")
    tab.run("window.same = true; 0")
    tab.wait("document.documentElement.dataset.over === 'yes'", within_s=240)
    assert tab.run("window.same"), "it was loaded once"
    assert shown.status(NAME)["best"] in tab.text()
    assert tab.settled_errors() == []
    assert tab.outside(address) == []


def test_only_who_is_named_reaches_it_and_not_by_that_the_metrics(shown: Installation, address: str):  # noqa: ARG001
    assert shown.controller()["spec"]["nodeName"] == GUARDED_NODE["kubernetes.io/hostname"]
    visitors = {"ingress": INGRESS, "foreign": {"app": "other"}}
    assert visited(shown, PORT, "/", visitors) == {"ingress": "200", "foreign": "URLError"}
    other = {"ingress-too": INGRESS}
    assert visited(shown, 8080, "/healthz", other) == {"ingress-too": "URLError"}
