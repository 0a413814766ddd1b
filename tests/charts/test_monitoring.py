"""Alerts and dashboard: they name metrics that the controller has, and the alerts fire when they should."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from charts.tools import CHART, render, run
from rcas.controller.metrics import Metrics

RULES = yaml.safe_load((CHART / "files" / "rules.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))


def known() -> dict[str, set[str]]:
    """Every name that the controller's metrics have for Prometheus, with the labels."""
    names = dict[str, set[str]]()
    for collector in Metrics().registry._collector_to_names.items():
        metric, own = collector
        for name in own:
            names[name] = set(getattr(metric, "_labelnames", ())) | ({"le"} if name.endswith("_bucket") else set())
    return names


def expressions() -> list[str]:
    found = [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]
    return found + [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]


def test_promtool_takes_the_rules() -> None:
    done = run("promtool", "check", "rules", CHART / "files" / "rules.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_fires_when_it_should_and_only_then() -> None:
    done = run("promtool", "test", "rules", Path(__file__).with_name("rules_test.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_and_dashboard_name_metrics_and_labels_that_exist() -> None:
    names = known()
    for expression in expressions():
        for name, matchers in re.findall(r"\b(rcas_\w+)(?:\{([^}]*)\})?", expression):
            assert name in names, f"{name} in {expression}"
            labels = set(re.findall(r"(\w+)\s*=", matchers)) - {"namespace"}
            assert labels <= names[name], expression


def test_every_metric_that_was_promised_is_on_the_dashboard() -> None:
    shown = " ".join(expressions())
    hidden = {"rcas_search_info", "rcas_controller_info", "rcas_api_requests_total"}
    for name in known().keys() - hidden:
        if name.endswith("_total") or not re.search("_(created|sum|count|bucket|info)$", name):
            stem = name if name in shown else f"{name}_bucket"
            assert stem in shown or f"{name}_total" in known(), name


def test_the_rules_and_the_dashboard_reach_the_cluster_as_they_are() -> None:
    made = render(
        {
            "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
            "serviceMonitor": {"enabled": True, "interval": "10s", "labels": {"release": "prometheus"}},
            "dashboard": {"enabled": True, "labels": {"grafana": "yes"}},
        }
    )
    assert made["PrometheusRule/rcas"]["spec"] == RULES
    assert json.loads(made["ConfigMap/rcas-dashboard"]["data"]["rcas.json"]) == DASHBOARD
    assert made["ConfigMap/rcas-dashboard"]["metadata"]["labels"]["grafana"] == "yes"
    monitor, service = made["ServiceMonitor/rcas"], made["Service/rcas"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"] == [{"port": "http", "path": "/metrics", "interval": "10s"}]
    for name in ("PrometheusRule/rcas", "ServiceMonitor/rcas"):
        assert made[name]["metadata"]["labels"]["release"] == "prometheus"
