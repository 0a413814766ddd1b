"""`rcasctl watch`: what it makes of what it sees. The cluster is a script here; tests/cluster has a real one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from cli.conftest import Finished, rcasctl, refused
from rcas.cli import views
from rcas.cli.cluster import Target
from rcas.cli.views import ClusterSource, StoreSource
from rcas.cli.watch import watch_to_the_end
from rcas.errors import InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.resource import Resource
from rcas.runtimes.kubernetes.api import ClusterUnavailable, Refused
from rcas.search import Search
from rcas.state import Attempts, Head, head_name, read_head
from rcas.stores.file import FileStore

UID = "b7a0"
Look = tuple[dict[str, Any] | BaseException, Head | Exception | None]


class Pods:
    """The API server as far as the logs of trainings go: what each running pod has printed, by its key."""

    def __init__(self, logs: dict[str, str | Exception]) -> None:
        self.logs = logs
        self.asked = list[dict[str, Any]]()

    def items(self, path: str, labelSelector: str) -> list[dict[str, Any]]:  # noqa: N803
        assert path == "/api/v1/namespaces/lab/pods"
        assert f"rcas.dev/search-uid={UID}" in labelSelector
        return [a_pod(key) for key in self.logs]

    def text(self, path: str, **query: Any) -> str:
        self.asked.append(query)
        found = self.logs[path.split("/")[-2]]
        if isinstance(found, Exception):
            raise found
        return found


def a_pod(key: str) -> dict[str, Any]:
    metadata = {"name": key, "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"rcas.dev/key": key}}
    return {"metadata": metadata, "status": {"containerStatuses": [{"name": "trainer", "state": {"running": {}}}]}}


class Cluster:
    """A cluster that answers as written: the i-th look at the resource and its state."""

    namespace = "lab"

    def __init__(self, *looks: Look, logs: dict[str, str | Exception] | None = None) -> None:
        self.looks = list(looks)
        self.api = Pods(logs or {})
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
    monkeypatch.setattr(views, "POLL_S", 0.0)


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


def watch(*looks: Look, as_json: bool = False, logs: dict[str, str | Exception] | None = None) -> int:
    source = ClusterSource(cast(Any, Cluster(*looks, logs=logs)), "tiny", Target("lab"))
    return watch_to_the_end(source, as_json=as_json)


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


def in_phase(head: Head, phase: str) -> Head:
    return head.model_copy(update={"state": head.state.model_copy(update={"phase": phase})})


def with_trainings(head: Head) -> Head:
    """The state with its next two evaluations under way."""
    search = Search.from_snapshot(head.state.search)
    attempts = {one.key: Attempts(network=str(one.network), started=1) for one in search.ask(2)}
    return head.model_copy(update={"state": head.state.model_copy(update={"attempts": attempts})})


def test_on_a_terminal_trainings_are_shown_with_their_epochs_and_accuracy_so_far(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "180")
    under_way = with_trainings(state(2))
    first, second = under_way.state.attempts
    hostile = "rcas-trainer: epoch 99999999999999999999 of 2\n" + "epoch 1 of 2, 9 of 0 wrong\n[red]\x1b[2J\n"
    log = "rcas-trainer: epoch 1 of 9, 5 of 200 right\nrcas-trainer: epoch 2 of 9, 106 of 200 right\nnoise\n"
    assert watch((running(2), under_way), (ended("Complete"), state(None)), logs={first: log, second: hostile}) == 0
    out = capsys.readouterr().out
    assert "epoch 2/9" in out
    assert "53.00% so far" in out
    assert "epoch 1/" not in out
    for network in under_way.state.attempts.values():
        assert network.network in out
    for word in ("last gains", "evaluations done", "a minute", "to go", "━"):
        assert word in out


def test_programs_are_told_each_epoch_once(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    under_way = with_trainings(state(2))
    first, second = under_way.state.attempts
    looks: list[Look] = [(running(2), under_way)] * 8 + [(ended("Complete"), state(None))]
    looks = [(dict(cast(dict[str, Any], resource)), head) for resource, head in looks]
    log = "rcas-trainer: epoch 1 of 2, 50 of 200 right"
    away = Unavailable("the log is away")
    assert watch(*looks, as_json=True, logs={first: log, second: ClusterUnavailable(str(away))}) == 0
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    epochs = [event for event in events if event.get("event") == "epoch"]
    network = under_way.state.attempts[first].network
    expected = {"network": network, "epoch": 1, "epochs": 2, "correct": 50, "total": 200}
    assert [{name: event[name] for name in expected} for event in epochs] == [expected]


def test_without_the_right_to_read_logs_the_rest_is_shown_and_said_once(
    state: Callable[[int | None], Head], capsys: pytest.CaptureFixture[str]
) -> None:
    under_way = with_trainings(state(2))
    looks: list[Look] = [(running(2), under_way)] * 8 + [(ended("Complete"), state(None))]
    looks = [(dict(cast(dict[str, Any], resource)), head) for resource, head in looks]
    refusal = Refused("the API server refuses: pods/log is forbidden")
    assert watch(*looks, as_json=True, logs={next(iter(under_way.state.attempts)): refusal}) == 0
    out = capsys.readouterr().out
    assert out.count("pods/log is forbidden") == 1
    assert '"done": true' in out


def test_a_search_in_a_store_is_watched_to_its_end(
    state: Callable[[int | None], Head], finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = FileStore(tmp_path)
    heads = [in_phase(state(2), "Running"), in_phase(state(3), "Running"), state(None)]

    class Growing(StoreSource):
        def look(self) -> Any:
            if heads:
                name, data = head_name("tiny"), heads.pop(0).model_dump_json().encode()
                before = store.get(name)
                store.put(name, data, expected=before.version if before else None)
            return super().look()

    assert watch_to_the_end(Growing(str(tmp_path), "tiny"), as_json=False) == 0
    lines = capsys.readouterr().out.splitlines()
    known = state(2).state.search.results
    for network in state(None).state.search.results:
        assert sum(line.endswith(f"%  {network}") for line in lines) == (network not in known)
    result = rcasctl("result", "tiny", cwd=finished.folder).stdout.splitlines()
    assert lines[-len(result) :] == result


def test_watch_of_a_store_through_the_command(finished: Finished) -> None:
    done = rcasctl("watch", "tiny", cwd=finished.folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Search tiny: done" in done.stdout
    line = refused("watch", "other", "--store", "rcas-store", cwd=finished.folder)
    assert line.startswith("search: got 'other'")
