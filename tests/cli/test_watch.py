"""`rcasctl watch`: what it makes of what it sees. The cluster is a script here; tests/cluster has a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, cast

import pytest

from cli.conftest import Finished, rcasctl
from rcas.cli import watch as watching
from rcas.cli.cluster import Target
from rcas.errors import InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.resource import Resource
from rcas.search import Search
from rcas.state import Head, read_head
from rcas.stores.file import FileStore

UID = "b7a0"
Look = tuple[dict[str, Any] | BaseException, Head | Exception | None]


class Cluster:
    """A cluster that answers as written: the i-th look at the resource and its state."""

    namespace = "lab"

    def __init__(self, *looks: Look) -> None:
        self.looks = list(looks)
        self._head: Head | Exception | None = None

    def search(self, name: str) -> Resource:
        found, self._head = self.looks.pop(0)
        if isinstance(found, BaseException):
            raise found
        metadata = {"name": name, "namespace": "lab", "uid": UID, "generation": found.pop("generation", 1)}
        metadata |= {"resourceVersion": str(len(self.looks)), "creationTimestamp": "2026-01-01T00:00:00Z"}
        return Resource({"metadata": metadata, "spec": {}, "status": found})

    def head(self, resource: Resource) -> bytes | None:
        if isinstance(self._head, Exception):
            raise self._head
        if self._head is None:
            return None
        return self._head.model_copy(update={"name": resource.id}).model_dump_json().encode()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "POLL_S", 0.0)


@pytest.fixture
def state(finished: Finished) -> Callable[[int | None], Head]:
    """The state of the finished search after so many results, all by default."""
    head = read_head(FileStore(finished.folder / "rcas-store"), "tiny")
    assert head

    def after(count: int | None = None) -> Head:
        results = head.state.search.results
        search = head.state.spec.search(head.state.search.protocol)
        while not search.done and (count is None or len(search.known) < count):
            (evaluation,) = search.ask(1, speculate=False)
            correct, total = results[str(evaluation.network)]
            search.tell(evaluation.key, correct=correct, total=total)
        return head.model_copy(update={"state": head.state.model_copy(update={"search": search.snapshot()})})

    return after


def watch(*looks: Look, as_json: bool = False) -> int:
    return watching.watch_to_the_end(cast(Any, Cluster(*looks)), "tiny", Target("lab"), as_json=as_json)


def running(evaluations: int) -> dict[str, Any]:
    return {"phase": "Running", "evaluations": evaluations, "running": 2}


def ended(phase: str, kind: str = "Ready", message: str = "", seen: int = 1, generation: int = 1) -> dict[str, Any]:
    condition = {"type": kind, "status": "True", "reason": "Why", "message": message}
    condition |= {"lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": seen}
    return {"phase": phase, "conditions": [condition], "observedGeneration": seen, "generation": generation}


def test_every_evaluation_and_block_is_told_once_and_the_result_is_the_local_one(
    state: Callable[[int | None], Head], finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = state(None)
    looks: list[Look] = [({}, None), (running(2), state(2)), (running(3), state(3)), (ended("Complete"), whole)]
    assert watch(*looks) == 0
    lines = capsys.readouterr().out.splitlines()
    for network in whole.state.search.results:
        assert sum(line.endswith(f"%  {network}") for line in lines) == 1
    found = Search.from_snapshot(whole.state.search).result
    assert len(found.rules) == 2
    for rule, path in found.rules.items():
        assert sum(f"] {rule} + type" in line for line in lines) == len(path.path) - 1
    assert sum("Running" in line for line in lines) == 1
    result = rcasctl("result", "tiny", cwd=finished.folder).stdout.splitlines()
    assert lines[-len(result) :] == result


def test_what_was_known_when_the_watching_began_is_no_news(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    whole = state(None)
    assert watch((ended("Complete"), whole)) == 0
    out = capsys.readouterr().out
    assert "Search tiny: done" in out
    assert " + type" not in out


def test_as_json_every_line_is_json(
    state: Callable[[int | None], Head], finished: Finished, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = state(None)
    assert watch(({}, None), (running(2), state(2)), (ended("Complete"), whole), as_json=True) == 0
    *events, result = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    measured = [event["result"] for event in events if event["event"] == "evaluation"]
    told = {found["network"]: (found["correct"], found["total"]) for found in measured}
    assert told == whole.state.search.results
    assert len(measured) == len(told)
    assert [event["phase"] for event in events if event["event"] == "phase"] == ["Pending", "Running", "Complete"]
    progress = [event for event in events if event["event"] == "progress"]
    assert (progress[-1]["evaluations"], progress[-1]["left"]) == (len(told), 0)
    assert result["best"] == json.loads(rcasctl("result", "tiny", "--json", cwd=finished.folder).stdout)["best"]


@pytest.mark.parametrize(
    ("phase", "kind", "message", "result"),
    [
        ("Failed", "Failed", "the evaluation of 1 / 1 cannot be run: no such file", None),
        ("LimitReached", "BudgetExceeded", "limits.evaluations: 2 are trained", "a limit is reached"),
        ("Cancelled", "Ready", "cancelled by its user", "cancelled"),
    ],
)
def test_an_end_that_is_not_complete_fails_with_its_reason(
    state: Callable[[int | None], Head],
    capsys: pytest.CaptureFixture[str],
    phase: str,
    kind: str,
    message: str,
    result: str | None,
) -> None:
    with pytest.raises(SearchFailed, match=f"tiny is {phase}: {message}"):
        watch((running(2), state(2)), (ended(phase, kind, message), state(6)))
    out = capsys.readouterr().out
    assert f"Search tiny: {result}\n" in out if result else "Search tiny" not in out


@pytest.mark.parametrize("phase", ["Failed", "LimitReached"])
def test_an_end_that_the_controller_has_yet_to_reconsider_is_none(
    state: Callable[[int | None], Head], phase: str
) -> None:
    """After `resume` and `set` the status still says what was before."""
    before = ended(phase, "Failed", "of old", seen=1, generation=2)
    assert watch((before, state(2)), (running(3), state(3)), (ended("Complete", seen=2), state(None))) == 0


def test_an_api_server_that_is_away_is_waited_for(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    away = Unavailable("the API server does not answer: refused")
    looks: list[Look] = [(running(2), state(2)), (away, None), (away, None), (ended("Complete"), state(None))]
    assert watch(*looks) == 0
    assert capsys.readouterr().out.count("the API server does not answer: refused; trying again") == 1


def test_without_the_controller_the_resource_tells(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Unavailable("no controller runs in the namespace lab")
    best = {"best": "76.10%", "network": "1 / 1,5", "params": 10, "madds": 20}
    assert watch((running(2) | best, gone), (running(3) | best, gone), (ended("Complete"), state(None))) == 0
    out = capsys.readouterr().out
    assert out.count("no controller runs in the namespace lab") == 1
    assert "3 evaluations done, 2 running, best 76.10% with 1 / 1,5" in out


def test_a_search_that_is_deleted_meanwhile_is_gone_and_one_that_never_was_is_refused(
    state: Callable[[int | None], Head],
) -> None:
    unknown = InvalidSpec("search", got="tiny", allowed="a search in the namespace lab: none there yet")
    with pytest.raises(InvalidSpec):
        watch((unknown, None))
    with pytest.raises(RcasError, match="the search tiny is gone"):
        watch((running(2), state(2)), (unknown, None))


def test_ctrl_c_ends_the_watching_only(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    assert watch((running(2), state(2)), (KeyboardInterrupt(), None)) == 130
    err = capsys.readouterr().err
    assert "The search goes on. To watch it again: rcasctl watch tiny -n lab" in err
    assert "rcasctl pause tiny -n lab" in err
