"""What Prometheus is told of a search, through the text that it would scrape."""

from __future__ import annotations

import urllib.error
import urllib.request

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from controller.harness import ScriptedCluster, a_spec, open_controller
from controller.memory_store import MemoryStore
from rcas.controller.metrics import Metrics
from rcas.controller.web import Answers, serve
from rcas.errors import Unavailable
from rcas.resource import Resource
from rcas.runtimes.base import Attempt, Timing


def a_resource(phase: str = "Running") -> Resource:
    metadata = {"name": "tiny", "namespace": "ns", "uid": "u-1"}
    return Resource({"metadata": metadata, "spec": {"data": {"dataset": "digits"}}, "status": {"phase": phase}})


def scraped(registry: CollectorRegistry) -> dict[str, float]:
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(generate_latest(registry).decode()):
        for sample in family.samples:
            labels = ",".join(f"{name}={value}" for name, value in sorted(sample.labels.items()))
            samples[f"{sample.name}{{{labels}}}"] = sample.value
    return samples


class TimedCluster(ScriptedCluster):
    def observe(self) -> list[Attempt]:
        timing = Timing(queued_s=3.0, startup_s=4.0, run_s=50.0)
        return [attempt._replace(timing=timing, gpu_seconds=10.0) for attempt in super().observe()]


def test_a_search_from_begin_to_end_in_numbers():
    store, metrics, resource = MemoryStore(), Metrics(), a_resource()
    controller = open_controller(store, TimedCluster(store), a_spec(), slots=3)
    for _ in range(1000):
        step = controller.step()
        metrics.step(resource, controller, step, 123.0)
        if step.finished:
            break
    metrics.searches([resource])
    found, result = scraped(metrics.registry), controller.search.result
    best = result.best
    assert best
    assert found["rcas_evaluations_total{result=trained}"] == controller.counters.trained == result.evaluations
    assert found["rcas_evaluation_execution_seconds_count{}"] == controller.counters.trained
    assert found["rcas_evaluation_queue_seconds_sum{}"] == 3 * controller.counters.trained
    assert found["rcas_best_accuracy{search=tiny}"] == pytest.approx(float(best.accuracy))
    assert found["rcas_budget_used_ratio{kind=params,search=tiny}"] == pytest.approx(best.cost.params / 9000)
    assert "rcas_budget_used_ratio{kind=madds,search=tiny}" not in found
    assert found["rcas_running_evaluations{search=tiny}"] == len(step.running)
    for rule in result.rules.values():
        assert found[f"rcas_accepted_blocks{{rule={rule.rule},search=tiny}}"] == len(rule.path) - 1
    avoided = (
        found["rcas_evaluations_avoided_total{reason=lazy}"] + found["rcas_evaluations_avoided_total{reason=shared}"]
    )
    # One training of the start network is in `demanded`, but is offered to no rule.
    assert avoided > 0
    assert avoided <= result.offered - result.demanded + len(result.rules)
    assert found["rcas_gpu_seconds_total{}"] == controller.counters.gpu_seconds
    assert found["rcas_searches{phase=Running}"] == 1
    assert found["rcas_search_info{dataset=digits,phase=Running,rules=UC,APR,AMR,search=tiny}"] == 1


def test_a_controller_that_goes_on_does_not_count_again_what_the_one_before_counted():
    store, resource = MemoryStore(), a_resource()
    first = open_controller(store, ScriptedCluster(store), a_spec())
    for _ in range(15):
        first.step()
    metrics = Metrics()
    second = open_controller(store, ScriptedCluster(store), a_spec(), writer="second")
    metrics.step(resource, second, second.step(), 0.0)
    found = scraped(metrics.registry)
    assert found["rcas_evaluations_avoided_total{reason=lazy}"] == 0
    assert found.get("rcas_evaluations_total{result=trained}", 0) <= 1


def test_a_search_that_is_gone_leaves_no_numbers():
    store, metrics, resource = MemoryStore(), Metrics(), a_resource()
    controller = open_controller(store, ScriptedCluster(store), a_spec())
    for _ in range(5):
        metrics.step(resource, controller, controller.step(), 0.0)
    metrics.searches([resource])
    assert any("search=tiny" in name for name in scraped(metrics.registry))
    metrics.searches([])
    assert not any("search=tiny" in name for name in scraped(metrics.registry))


def test_failures_and_interruptions_are_told_apart():
    def script(number: int, task: object) -> Attempt | None:
        outcome = {1: "interrupted", 2: "error"}.get(number)
        return Attempt("", task.key, outcome, "words") if outcome else None  # type: ignore[attr-defined, arg-type]

    store, metrics, resource = MemoryStore(), Metrics(), a_resource()
    controller = open_controller(store, ScriptedCluster(store, script=script), a_spec(), slots=1)
    for _ in range(8):
        metrics.step(resource, controller, controller.step(), 0.0)
    found = scraped(metrics.registry)
    assert found["rcas_evaluations_total{result=failed}"] == 1
    assert found["rcas_evaluation_preemptions_total{cause=interrupted}"] == 1


NOTHING = "/metrics, /healthz, /readyz, /state/<namespace>/<search>, /report/<namespace>/<search>\n"


def a_state(namespace: str, name: str) -> bytes | None:
    if name == "broken":
        raise Unavailable("the store does not answer")
    return b'{"name": "x"}' if (namespace, name) == ("ns", "tiny") else None


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/healthz", 200, "ok\n"),
        ("/readyz", 503, "not ok\n"),
        ("/state/ns/tiny", 200, '{"name": "x"}'),
        ("/state/ns/other", 404, "no such search, or nothing is known of it yet\n"),
        ("/state/ns/broken", 503, "the store does not answer\n"),
        ("/report/ns/tiny", 200, '{"name": "x"}'),
        ("/report/ns/broken", 503, "the store does not answer\n"),
        ("/state/ns", 404, NOTHING),
        ("/report/ns", 404, NOTHING),
        ("/", 404, NOTHING),
    ],
)
def test_the_web_answers(path: str, status: int, body: str):
    answers = Answers(CollectorRegistry(), alive=lambda: True, ready=lambda: False, state=a_state, report=a_state)
    server = serve(0, answers)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}{path}", timeout=10) as answer:
            found = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        found = error.code, error.read().decode()
    finally:
        server.shutdown()
        server.server_close()
    assert found == (status, body)
