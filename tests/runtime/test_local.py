"""Local workers: real trainer processes where their end matters, a scripted one where only its words do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from rcas.clock import SystemClock
from rcas.controller.local import run_locally
from rcas.controller.step import Controller, Step, new_state
from rcas.errors import InvalidSpec, SearchFailed, Unavailable
from rcas.evaluation import DataSource, Draw, Task, evaluation_key
from rcas.runtimes import local
from rcas.runtimes.base import Attempt
from rcas.runtimes.local import LocalCluster, describe
from rcas.runtimes.trainer import worker_environment
from rcas.space import Space, Stage
from rcas.spec import SearchSpec, build_spec
from rcas.state import Ledger, checkpoint_name, read_head, read_result
from rcas.stores.file import FileStore
from runtime.processes import alive, until, workers_of

SPACE: dict[str, Any] = {
    "skeleton": "custom",
    "classes": 10,
    "input": [1, 8, 8],
    "stem": {"channels": 4, "block_channels": 4},
    "stages": [{"channels": 4, "positions": 2, "start": [1]}],
    "head": {"channels": 8},
    "block_types": [1],
}
PYTHON = sys.executable
LONG = 100_000
"""Epochs of a training that no test waits for."""


def a_spec(epochs: int = 1, **changes: Any) -> SearchSpec:
    training = {"epochs": epochs, "batch_size": 64, "milestones": [], "pad": 0, "flip": False}
    data = {"dataset": "digits", "validation_per_class": 20, "train_per_class": 20}
    fields: dict[str, Any] = {"name": "tiny", "space": SPACE, "budget": {"params": "10k"}, "data": data}
    return build_spec({**fields, "training": training, "threads": 1, "parallelism": 1, **changes})


@pytest.fixture(scope="module")
def described() -> Any:
    """What the real trainer says of this machine and of the digits."""
    spec = a_spec()
    return describe(spec.data.source(), spec.data.draw(), spec.space.build())


def a_task(described: Any, epochs: int = 1) -> Task:
    spec = a_spec(epochs)
    space, protocol = spec.space.build(), spec.protocol(described, threads=1)
    key = evaluation_key(space, space.start, protocol.sha256)
    return Task(key=key, space=space, network=str(space.start), protocol=protocol, source=spec.data.source())


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(tmp_path / "store")


@pytest.fixture
def cluster(store: FileStore, tmp_path: Path) -> Generator[LocalCluster]:
    with LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as opened:
        yield opened


def the_attempt(cluster: LocalCluster) -> Attempt:
    (attempt,) = cluster.observe()
    return attempt


def ended(cluster: LocalCluster) -> Attempt:
    """The one attempt, when it has ended."""
    until(lambda: cluster.wait(0.1) or the_attempt(cluster).outcome, "the end of the attempt")
    return the_attempt(cluster)


def in_training(cluster: LocalCluster) -> int:
    """The process that has trained an epoch of the one attempt."""
    until(lambda: cluster.wait(0.1) or the_attempt(cluster).epoch, "a first epoch")
    (worker,) = workers_of(os.getpid())
    return worker


def test_one_worker_trains_many_and_leaves_with_the_cluster(described: Any, store: FileStore, tmp_path: Path) -> None:
    with LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as cluster:
        task = a_task(described)
        for name in ("first", "second"):
            cluster.launch(name, task)
            cluster.launch(name, task)
        until(lambda: cluster.wait(0.1) or all(a.outcome for a in cluster.observe()), "both attempts")
        assert [(a.name, a.outcome) for a in cluster.observe()] == [("first", "finished"), ("second", "finished")]
        (worker,) = workers_of(os.getpid())
        environment = Path(f"/proc/{worker}/environ").read_bytes().split(b"\0")
        assert {b"OMP_NUM_THREADS=1", b"MKL_NUM_THREADS=1", b"OPENBLAS_NUM_THREADS=1"} <= set(environment)
        cluster.forget("first")
        assert the_attempt(cluster).name == "second"
        result = read_result(store, task.key)
        assert result
        assert result.total == 200
    assert not alive(worker)


def test_close_writes_a_checkpoint_from_which_the_next_goes_on(
    described: Any, store: FileStore, tmp_path: Path
) -> None:
    task = a_task(described, LONG)
    with LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as cluster:
        cluster.launch("first", task)
        worker = in_training(cluster)
        stopped_at = the_attempt(cluster).epoch
    assert not alive(worker)
    assert store.get(checkpoint_name(task.key))
    assert read_result(store, task.key) is None
    with LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as cluster:
        cluster.launch("second", task)
        in_training(cluster)
        assert the_attempt(cluster).epoch > stopped_at


def test_a_killed_worker_is_replaced_and_its_evaluation_tried_again(store: FileStore) -> None:
    killed, failed = list[int](), list[Attempt]()

    def kill_once(controller: Controller, step: Step) -> None:  # noqa: ARG001
        failed.extend(step.failed)
        if not killed and any(attempt.epoch for attempt in step.running):
            killed.extend(workers_of(os.getpid()))
            os.kill(killed[0], signal.SIGKILL)

    controller = run_locally(a_spec(epochs=40, max_blocks=0), store, SystemClock(), "test", kill_once)
    assert [attempt.outcome for attempt in failed] == ["error"]
    assert "SIGKILL" in failed[0].message
    assert controller.counters.failures == 1
    assert controller.search.done
    assert not workers_of(os.getpid())


HOLDER = """
import sys, time
from pathlib import Path
from rcas.evaluation import Task
from rcas.runtimes.local import LocalCluster
from rcas.stores.file import FileStore
root = Path(sys.argv[1])
with LocalCluster(FileStore(root), root / "logs", workers=1, threads=1) as cluster:
    cluster.launch("orphan", Task.model_validate_json(sys.stdin.readline()))
    while not cluster.observe()[0].epoch:
        cluster.wait(0.1)
    print("training", flush=True)
    time.sleep(600)
"""


def test_workers_end_when_the_controller_is_killed(described: Any, tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdin
    assert holder.stdout
    task = a_task(described, LONG)
    holder.stdin.write(task.model_dump_json().encode() + b"\n")
    holder.stdin.flush()
    assert holder.stdout.readline() == b"training\n"
    (worker,) = workers_of(holder.pid)
    holder.kill()
    holder.communicate()
    until(lambda: not alive(worker), "the end of the orphan")
    assert FileStore(tmp_path).get(checkpoint_name(task.key))


FAKE = """
import json, sys
assert sys.argv[1:] == ["-m", "rcas_trainer", "serve"], sys.argv
def say(**event): print(json.dumps(event), flush=True)
for line in sys.stdin:
    key = json.loads(line)["task"]["key"]
    {body}
"""


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], None]:
    """Puts a program in the trainer's place; `body` runs for every assignment."""

    def install(body: str) -> None:
        script = tmp_path / "fake-python"
        script.write_text(f"#!{PYTHON}\n" + FAKE.replace("{body}", body))
        script.chmod(0o755)
        monkeypatch.setattr(local.sys, "executable", str(script))

    return install


def a_fake_task() -> Task:
    return a_task(local.Description(data_sha256="0" * 64, input=(1, 8, 8), num_classes=10, **_MACHINE))


_MACHINE: dict[str, Any] = {"train_images": 1797, "gpus": 0, "versions": {"fake": "1"}}


@pytest.mark.parametrize(
    ("body", "outcome", "message"),
    [
        ("say(event='finished', key=key)", "finished", ""),
        ("say(event='failed', key=key, reason='invalid', message='no data')", "invalid", "no data"),
        ("say(event='failed', key=key, reason='out-of-memory', message='too big')", "out-of-memory", "too big"),
        ("say(event='failed', key=key, message='why')", "error", "why"),
        ("sys.exit('last words')", "error", "worker ended with exit code 1: last words"),
        ("sys.exit(75)", "interrupted", "worker ended with exit code 75"),
        ("print('bad data', file=sys.stderr); sys.exit(2)", "invalid", "worker ended with exit code 2: bad data"),
        ("import os; os.abort()", "error", "worker ended with SIGABRT"),
        ("print('noise'); print('{}'); say(event='finished', key=key)", "finished", ""),
        ("say(event='finished', key='of another'); say(event='finished', key=key)", "finished", ""),
    ],
)
def test_how_a_worker_ends_is_how_its_attempt_ends(
    scripted: Callable[[str], None], cluster: LocalCluster, body: str, outcome: str, message: str
) -> None:
    scripted(body)
    cluster.launch("one", a_fake_task())
    attempt = ended(cluster)
    assert (attempt.outcome, attempt.message) == (outcome, message)


def test_the_progress_of_an_attempt_is_seen(scripted: Callable[[str], None], cluster: LocalCluster) -> None:
    scripted("say(event='ready'); say(event='epoch', key=key, epoch=3, epochs=9, correct=7, total=8)")
    cluster.launch("one", a_fake_task())
    until(lambda: cluster.wait(0.1) or the_attempt(cluster).epoch, "the report of an epoch")
    attempt = the_attempt(cluster)
    assert (attempt.outcome, attempt.epoch, attempt.correct, attempt.total) == (None, 3, 7, 8)


def test_the_last_words_are_those_of_this_worker(scripted: Callable[[str], None], cluster: LocalCluster) -> None:
    scripted("sys.exit('old words')")
    cluster.launch("one", a_fake_task())
    assert "old words" in ended(cluster).message
    cluster.forget("one")
    scripted("sys.exit(9)")
    cluster.launch("two", a_fake_task())
    assert ended(cluster).message == "worker ended with exit code 9"


def test_what_waits_for_a_worker_is_an_attempt_that_runs(
    scripted: Callable[[str], None], cluster: LocalCluster
) -> None:
    scripted("pass")
    for name in ("one", "two", "three"):
        cluster.launch(name, a_fake_task())
    assert sorted(attempt.name for attempt in cluster.observe()) == ["one", "three", "two"]
    assert {attempt.outcome for attempt in cluster.observe()} == {None}
    assert len(workers_of(os.getpid())) == 1


def test_a_worker_that_finishes_although_it_was_asked_to_stop_is_given_nothing_more(
    scripted: Callable[[str], None], cluster: LocalCluster, tmp_path: Path
) -> None:
    may_end = tmp_path / "may-end"
    scripted(
        f"""import pathlib, time
    say(event='epoch', key=key, epoch=1)
    sys.stdin.read()
    say(event='finished', key=key)
    while not pathlib.Path({str(may_end)!r}).exists(): time.sleep(0.01)"""
    )

    def one_and_two() -> tuple[Attempt, Attempt]:
        cluster.wait(0.1)
        found = {attempt.name: attempt for attempt in cluster.observe()}
        return found["one"], found["two"]

    cluster.launch("one", a_fake_task())
    cluster.launch("two", a_fake_task())
    until(lambda: one_and_two()[0].epoch, "the first attempt")
    (first,) = workers_of(os.getpid())
    cluster.cancel("one")
    until(lambda: one_and_two()[0].outcome == "finished", "the end of the first attempt")
    assert alive(first)
    assert one_and_two()[1].epoch == 0
    may_end.touch()
    until(lambda: one_and_two()[1].epoch, "the second attempt")
    assert one_and_two()[1].outcome is None
    assert first not in workers_of(os.getpid())


def test_an_evaluation_that_always_fails_ends_the_search_with_its_last_words(
    scripted: Callable[[str], None], store: FileStore, tmp_path: Path
) -> None:
    scripted("sys.exit('the disk is on fire')")
    spec = a_spec(max_attempts=2)
    found = local.Description(data_sha256="0" * 64, input=(1, 8, 8), num_classes=10, **_MACHINE)
    state = new_state(spec, spec.protocol(found, 1), 0.0)
    ledger = Ledger(store, "tiny", "test")
    ledger.create(state)
    with LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as cluster:
        controller = Controller(ledger, store, cluster, SystemClock(), state, slots=1, spec=spec)
        with pytest.raises(SearchFailed, match=r"the evaluation of 1 failed 2 times: .*: the disk is on fire$"):
            until(lambda: cluster.wait(0.1) or controller.step().finished, "the end of the search")
    head = read_head(store, "tiny")
    assert head
    assert (head.state.phase, head.state.counters.failures) == ("Failed", 2)
    assert "the disk is on fire" in head.state.message


def test_a_log_folder_that_cannot_be_made_is_unavailable(store: FileStore, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where a folder belongs")
    with (
        LocalCluster(store, tmp_path / "logs", workers=1, threads=1) as cluster,
        pytest.raises(Unavailable, match="cannot start a worker"),
    ):
        cluster.launch("one", a_fake_task())


def test_describe_says_what_a_trainer_that_fails_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    script = tmp_path / "fake-python"
    monkeypatch.setattr(local.sys, "executable", str(script))
    draw = Draw(dataset="digits")
    space = Space((1, 8, 8), 10, (Stage(8, 2),))
    for body, error, message in (
        ("echo 'rcas-trainer: source.path: bad' >&2; exit 2", InvalidSpec, r"^data\.path: bad$"),
        ("echo 'rcas-trainer: draw.draw_seed: bad' >&2; exit 2", InvalidSpec, r"^data\.draw_seed: bad$"),
        ("echo 'rcas-trainer: space.num_classes: bad' >&2; exit 2", InvalidSpec, r"^space\.classes: bad$"),
        ("echo 'boom' >&2; exit 1", SearchFailed, "the trainer cannot describe the data: boom"),
        ("echo '{}'", SearchFailed, "the trainer cannot describe the data: exit code 0"),
    ):
        script.write_text(f"#!/bin/sh\ncat >/dev/null\n{body}\n")
        script.chmod(0o755)
        with pytest.raises(error, match=message):
            describe(DataSource(), draw, space)


def test_the_environment_of_a_worker_is_this_ones_with_thread_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "64")
    monkeypatch.setenv("MY_PROXY", "kept")
    found = worker_environment(3)
    assert [found[f"{library}_NUM_THREADS"] for library in ("OMP", "MKL", "OPENBLAS")] == ["3", "3", "3"]
    assert found["MY_PROXY"] == "kept"
    assert json.dumps(found)
