"""The controller as Prometheus and other pods see it, on the node where NetworkPolicies are enforced."""

from __future__ import annotations

import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from cluster.conftest import Install
from cluster.images import ROOT
from cluster.installation import RELEASE, Installation
from cluster.machine import Object, call, environment
from cluster.visitors import GUARDED_NODE, visited
from cluster.waiting import until

NAME = "observed"
PROMETHEUS = "127.0.0.1:19090"
RULES = ROOT / "charts/rcas/files/rules.yaml"
DASHBOARD = ROOT / "charts/rcas/files/dashboard.json"
MONITORING = {"app": "prometheus"}
"""Label of the pods that the chart is told to let in."""

Ask = Callable[[str], Any]


@pytest.fixture(scope="module")
def observed(install_for_all: Install) -> Installation:
    """An installation with a search of a few evaluations behind it."""
    installation = install_for_all(
        {
            "controller": {"nodeSelector": GUARDED_NODE},
            "networkPolicy": {"ingressFrom": [{"podSelector": {"matchLabels": MONITORING}}]},
        }
    )
    installation.submit(NAME, {"rules": ["UC"], "max_blocks": 1})
    installation.wait_for_phase(NAME, "Complete", within_s=180)
    return installation


@pytest.fixture(scope="module")
def prometheus(observed: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ask]:
    """A Prometheus that scrapes the controller through its Service and has the chart's alerts; asks its HTTP API."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "prometheus.yml").write_text(json.dumps(_configuration(observed)))
    command = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [*command, f"--web.listen-address={PROMETHEUS}"], env=environment(), stdout=log, stderr=log
        )
    try:
        until("Prometheus", lambda: _get("/-/ready"), within_s=30)
        yield lambda path: json.loads(_get(path))["data"]
    finally:
        process.terminate()
        process.wait(20)
        print((folder / "log").read_text()[-3000:])


def _configuration(observed: Installation) -> Object:
    # Debian's Prometheus is built without the discovery of Kubernetes.
    service = observed.kubectl.get("service", RELEASE)
    assert service
    target = f"{service['spec']['clusterIP']}:{service['spec']['ports'][0]['port']}"
    job = {
        "job_name": "rcas",
        "static_configs": [{"targets": [target], "labels": {"namespace": observed.namespace}}],
    }
    intervals = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    return {"global": intervals, "rule_files": [str(RULES)], "scrape_configs": [job]}


def _get(path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://{PROMETHEUS}{path}", timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""


def test_prometheus_scrapes_it_and_answers(observed: Installation, prometheus: Ask):
    def value(query: str) -> float | None:
        found = prometheus(f"/api/v1/query?query={urllib.request.quote(query)}")["result"]
        return float(found[0]["value"][1]) if found else None

    until("a scrape", lambda: value('up{job="rcas"}') == 1, within_s=30)
    targets = prometheus("/api/v1/targets")["activeTargets"]
    assert [target["lastError"] for target in targets] == [""]
    head, status = observed.head(NAME), observed.status(NAME)
    assert head
    assert value('rcas_evaluations_total{result="trained"}') == head.state.counters.trained == status["evaluations"]
    assert value('rcas_searches{phase="Complete"}') == 1
    assert value("rcas_store_up") == 1
    assert value(f'rcas_best_accuracy{{search="{NAME}"}}') == pytest.approx(
        float(status["best"][:-1]) / 100, abs=1e-4
    )
    assert (value("rcas_evaluation_execution_seconds_count") or 0) >= head.state.counters.trained
    assert (value('sum(rcas_store_requests_total{outcome="ok"})') or 0) > 0


def test_each_query_of_the_dashboard_finds_something(prometheus: Ask):
    """tests/charts/test_dashboard.py looks at the numbers; here they come from a controller that is installed."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    for expression in (target["expr"] for panel in panels for target in panel["targets"]):
        query = urllib.request.quote(expression.replace("$namespace", ".*"))
        until(expression, lambda query=query: prometheus(f"/api/v1/query?query={query}")["result"], within_s=30)


def test_its_alerts_are_loaded_and_quiet(prometheus: Ask):
    def alerts() -> list[tuple[str, str]]:
        groups = prometheus("/api/v1/rules")["groups"]
        return [(rule["health"], rule["state"]) for group in groups for rule in group["rules"]]

    # Before the first scrape a controller that is not there is an alert that waits.
    quiet = [("ok", "inactive")] * RULES.read_text().count("alert: ")
    until("the alerts", lambda: alerts() == quiet or print(alerts()), within_s=30)


def test_promtool_finds_nothing_to_mend(observed: Installation):
    address = observed.controller()["status"]["podIP"]
    with urllib.request.urlopen(f"http://{address}:8080/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert call("promtool", "check", "metrics", given=metrics) == ""


def test_the_network_policy_lets_in_who_is_named_and_nobody_else(observed: Installation):
    assert observed.controller()["spec"]["nodeName"] == GUARDED_NODE["kubernetes.io/hostname"]
    visitors = {"allowed": MONITORING, "foreign": {"app": "other"}}
    assert visited(observed, 8080, "/healthz", visitors) == {"allowed": "200", "foreign": "URLError"}
