"""The dashboard's queries, asked of a real Prometheus that has scraped the controller's metrics of a search."""

from __future__ import annotations

import itertools
import json
import re
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from charts.tools import CHART
from controller.harness import ScriptedCluster, a_spec, open_controller
from controller.memory_store import MemoryStore
from rcas.controller.metrics import Metrics
from rcas.controller.web import Answers, serve
from rcas.evaluation import Task
from rcas.resource import Resource
from rcas.runtimes.base import Attempt, Outcome, Timing

NAMESPACE = "lab"
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text(encoding="utf-8"))
TARGETS = [
    pytest.param(panel["title"], target, id=f"{panel['title']}-{target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
Series = list[dict[str, Any]]


class Cluster(ScriptedCluster):
    """Its attempts take time and GPUs."""

    def observe(self) -> list[Attempt]:
        timing = Timing(queued_s=3.0, startup_s=4.0, run_s=50.0)
        return [attempt._replace(timing=timing, gpu_seconds=10.0) for attempt in super().observe()]


def endings() -> Callable[[int, Task], Attempt | None]:
    """One interruption and one failure, in the middle of the search."""
    count = itertools.count()

    def script(_launched: int, task: Task) -> Attempt | None:
        outcomes: dict[int, Outcome] = {5: "interrupted", 6: "error"}
        outcome = outcomes.get(next(count))
        return Attempt("", task.key, outcome, "words") if outcome else None

    return script


class Prometheus:
    """A server that scrapes one port, and its HTTP API."""

    def __init__(self, folder: Path, scraped: int) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        labels = {"namespace": NAMESPACE}
        job = {"job_name": "rcas", "static_configs": [{"targets": [f"127.0.0.1:{scraped}"], "labels": labels}]}
        file = folder / "prometheus.yml"
        file.write_text(json.dumps({"global": {"scrape_interval": "500ms"}, "scrape_configs": [job]}))
        command = ["prometheus", f"--config.file={file}", f"--storage.tsdb.path={folder}/data"]
        with (folder / "log").open("w") as log:
            self.process = subprocess.Popen(
                [*command, f"--web.listen-address={self.address}"], stdout=log, stderr=log
            )

    def ask(self, path: str, **query: str) -> Any:
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return json.loads(answer.read())["data"]

    def wait_for_scrapes(self, more: int) -> None:
        """Return when so many further scrapes are in."""
        query = f'count_over_time(up{{namespace="{NAMESPACE}"}}[1h])'
        wanted, deadline = more, time.monotonic() + 60
        first: int | None = None
        while time.monotonic() < deadline:
            try:
                found = self.ask("query", query=query)["result"]
            except OSError:
                found = []
            count = int(found[0]["value"][1]) if found else 0
            first = count if first is None else first
            if count >= first + wanted:
                return
            time.sleep(0.1)
        raise AssertionError("Prometheus scrapes nothing")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """It has seen a search begin, go on and end."""
    folder = tmp_path_factory.mktemp("prometheus")
    metrics = Metrics()
    answers = Answers(metrics.registry, alive=lambda: True, ready=lambda: True, state=lambda _namespace, _name: None)
    web = serve(0, answers)
    server = Prometheus(folder, web.server_port)
    try:
        for _ in a_search(metrics):
            server.wait_for_scrapes(3)
        yield server
    finally:
        web.shutdown()
        web.server_close()
        server.process.terminate()
        server.process.wait(20)
        print((folder / "log").read_text()[-3000:])


def a_search(metrics: Metrics) -> Iterator[int]:
    """Steps of a search told to `metrics`; yields when they are worth a scrape: early, later, and at the end."""
    metadata = {"name": "tiny", "namespace": NAMESPACE, "uid": "u-1"}
    resource = Resource({"metadata": metadata, "spec": {}, "status": {"phase": "Running"}})
    store = MemoryStore()
    spec = a_spec(budget={"params": "9k", "madds": "900k"})
    controller = open_controller(store, Cluster(store, script=endings()), spec, slots=3)
    for number in range(1000):
        with metrics.reconcile_s.time():
            step = controller.step()
        metrics.step(resource, controller, step, 123.0)
        metrics.searches([resource])
        metrics.store_up.set(1)
        metrics.store_request("get", "ok")
        if number in {1, 15} or step.finished:
            yield number
        if step.finished:
            return


def asked(prometheus: Prometheus, expression: str, namespace: str = ".*") -> Series:
    """The series of a panel from before the search to now."""
    now, query = time.time(), expression.replace("$namespace", namespace)
    found = prometheus.ask("query_range", query=query, start=f"{now - 120}", end=f"{now}", step="0.5")
    return found["result"]


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_each_query_finds_data(prometheus: Prometheus, title: str, target: dict[str, str]) -> None:
    found = asked(prometheus, target["expr"])
    values = [float(value) for series in found for _, value in series["values"]]
    assert any(value > 0 for value in values), f"{title}: {target['expr']} shows nothing but {sorted(set(values))}"
    for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", target.get("legendFormat", "")):
        assert all(label in series["metric"] for series in found), f"{title}: no label {label}"


@pytest.mark.parametrize(("title", "target"), TARGETS)
def test_each_query_is_of_the_chosen_namespaces(prometheus: Prometheus, title: str, target: dict[str, str]) -> None:
    assert '$namespace"' in target["expr"], title
    assert asked(prometheus, target["expr"], "other") == []


def test_the_namespaces_to_choose_from_are_found(prometheus: Prometheus) -> None:
    (variable,) = [one for one in DASHBOARD["templating"]["list"] if one["type"] == "query"]
    found = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["query"]["query"])
    assert found
    assert prometheus.ask(f"label/{found[2]}/values", **{"match[]": found[1]}) == [NAMESPACE]


def test_a_query_of_something_that_is_not_measured_finds_nothing(prometheus: Prometheus) -> None:
    """What `test_each_query_finds_data` rests on."""
    assert asked(prometheus, 'rate(rcas_nothing_total{namespace=~"$namespace"}[1h])') == []
