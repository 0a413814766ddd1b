"""Credentials are in no log, state, status, metric, answer or manifest of a run, whatever goes wrong in it."""

from __future__ import annotations

import json
import logging
import urllib.error
import urllib.request
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from prometheus_client import generate_latest

from contracts import seaweed
from contracts.faults import DROP, Fault, Proxy, error
from rcas import serving
from rcas.controller.config import Config
from rcas.controller.logs import JsonLines, TextLines
from rcas.controller.operator import _answers
from rcas.controller.page import page_of
from rcas.controller.web import serve
from rcas.location import S3Location
from rcas.messages import Assignment, Inquiry
from rcas.pod import PodSpec
from rcas.runtimes.kubernetes.namespace import searches_path
from rcas.stores.s3 import S3Store
from security.lab import NAMESPACE, Lab, a_search_spec, honest
from trainer.builders import DIGITS, a_task, an_assignment, start_job

PLANTED = "planted-by-the-test"


PATHS = ("/metrics", "/healthz", "/nothing", f"/state/{NAMESPACE}/good", f"/state/{NAMESPACE}/bad")
PAGES = ("/", "/searches/good", "/searches/bad", "/searches/corrupt")


@pytest.fixture
def secrets(monkeypatch: pytest.MonkeyPatch, bucket_url: str) -> list[str]:  # noqa: ARG001
    """The credentials in this process's environment, and some that nobody uses."""
    monkeypatch.setenv("AWS_SESSION_TOKEN_OF_SOMEBODY", PLANTED)
    monkeypatch.setenv("KUBERNETES_TOKEN", PLANTED)
    return [PLANTED, seaweed.SECRET]


@pytest.fixture
def logged() -> Iterator[StringIO]:
    """The log in both of its forms."""
    text, handlers = StringIO(), list[logging.Handler]()
    for formatter in (JsonLines(), TextLines()):
        handlers.append(logging.StreamHandler(text))
        handlers[-1].setFormatter(formatter)
        logging.getLogger().addHandler(handlers[-1])
    logging.getLogger("rcas").setLevel(logging.DEBUG)
    yield text
    for handler in handlers:
        logging.getLogger().removeHandler(handler)


def answer(port: int, path: str) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as found:
            return found.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.read().decode()


def test_a_whole_run_with_its_failures_tells_none(
    secrets: list[str], logged: StringIO, bucket_url: str, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = iter(range(1000))

    def trainer(order: Assignment | Inquiry) -> bytes | None:
        if isinstance(order, Assignment) and "fails" in order.result:
            return None
        return b"{}" if isinstance(order, Inquiry) and "/corrupt/" in order.answer else honest(order)

    config = Config(
        store=bucket_url,
        pod=PodSpec(image="trainer:1", envFrom=({"secretRef": {"name": "rcas-store"}},)),
    )
    with Proxy(s3_endpoint) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", proxy.endpoint)
        store = S3Store(S3Location.parse(bucket_url), sleep=lambda _seconds: None)
        lab = Lab(trainer, store=store, config=config)
        for name in ("good", "corrupt"):
            lab.submit(name, a_search_spec(parallelism=1, speculate=False))
        lab.submit("bad", a_search_spec() | {"pod": {"env": [{"name": "RCAS_JOB"}]}})
        server = serve(0, _answers(lab.operator, lab.metrics, store, lab.clock))
        lab_page = page_of((), lambda: lab.operator.searches, store, lab.clock)
        page = serving.serve("127.0.0.1", 0, lab_page, "page")
        answers = list[str]()
        try:
            for number in range(200):
                if number % 4 == 3:
                    refused = [error(403, "SignatureDoesNotMatch"), error(403, "ExpiredToken"), DROP, error(500, "X")]
                    proxy.expect(*[Fault(False, refused[next(failures) % 4])] * 8)
                lab.turn()
                answers += [answer(server.server_port, path) for path in PATHS]
                answers += [answer(page.server_port, path) for path in PAGES]
                if lab.phase("good") == "Complete":
                    break
        finally:
            for one in (server, page):
                one.shutdown()
                one.server_close()
        proxy.expect()
        objects = [(name, store.get(name)) for name in store.names("")]
    assert lab.phase("good") == "Complete"
    assert lab.phase("corrupt") == "Failed"
    seen = {
        "log": logged.getvalue(),
        "statuses": json.dumps([one.get("status") for one in lab.server.all(searches_path(NAMESPACE)).values()]),
        "manifests": json.dumps(lab.manifests),
        "metrics": generate_latest(lab.metrics.registry).decode(),
        "answers": "\n".join(answers),
        "objects": "\n".join(f"{name} {found.data!r}" for name, found in objects if found),
        "requests": json.dumps(lab.requests),
    }
    for where, text in seen.items():
        assert len(text) > 50, where
        for secret in secrets:
            assert secret not in text, where
    assert "waiting" in seen["log"]
    assert "search failed" in seen["log"]
    assert "SignatureDoesNotMatch" in seen["log"]
    assert "rcas_evaluations_total" in seen["answers"]
    assert "<h1>good</h1>" in seen["answers"]


def test_a_manifest_names_the_secret_and_holds_none_of_it() -> None:
    lab = Lab(
        config=Config(store="s3://bucket/rcas", pod=PodSpec(image="x", envFrom=({"secretRef": {"name": "s3"}},)))
    )
    lab.submit("search", a_search_spec())
    lab.run("search")
    for job in lab.manifests:
        (container,) = job["spec"]["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "s3"}}]
        assert {variable["name"] for variable in container["env"]} == {
            "OMP_NUM_THREADS",
            "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "RCAS_JOB",
        }


ORDERS: dict[str, Any] = {
    "an order that is none": "{",
    "an order of another form": '{"task": {}}',
    "a store that is not there": lambda: an_assignment(a_task(), "s3://no-such-bucket/x"),
    "data that are not there": lambda: Inquiry(
        source={"path": "s3://no-such-bucket/data"}, draw=DIGITS.model_copy(update={"dataset": "mnist"}), answer="/x"
    ),
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("key", ["right", "wrong"])
def test_a_trainer_that_fails_tells_none(order: Any, key: str, secrets: list[str]) -> None:
    """Its last words go into the status of the search."""
    made = order() if callable(order) else order
    variables = {"AWS_SECRET_ACCESS_KEY": f"{PLANTED}-wrong"} if key == "wrong" else {}
    if isinstance(made, str):
        process = start_job(Inquiry(draw=DIGITS, answer="/nowhere"), RCAS_JOB=made, **variables)
    else:
        process = start_job(made, **variables)
    output, errors = process.communicate(timeout=120)
    assert process.returncode in {1, 2}
    assert "Traceback" not in errors
    for secret in secrets:
        assert secret not in output + errors
