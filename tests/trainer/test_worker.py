"""The worker as the controller meets it: a process, lines in, lines out."""

import json
import os
import resource
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rcas.evaluation import Task
from rcas.messages import EXIT_INTERRUPTED, Event
from rcas_trainer.errors import OutOfMemory, translated_memory_errors
from rcas_trainer.evaluate import evaluate
from rcas_trainer.worker import failure

from .builders import a_space, a_task, an_assignment, measured, start, the_result

LONG = {"epochs": 500, "batch_size": 16}


class Worker:
    """A worker process and what it said."""

    def __init__(self, **options: Any) -> None:
        self.process = start("serve", stderr=subprocess.DEVNULL, **options)

    def assign(self, task: Task, folder: Path, name: str = "a") -> None:
        self.write(an_assignment(task, folder, name).model_dump_json())

    def write(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def events(self) -> Iterator[Event]:
        assert self.process.stdout
        for line in self.process.stdout:
            yield Event.model_validate_json(line)

    def next(self, wanted: str) -> Event:
        """The next event that is no epoch, or the next epoch."""
        for event in self.events():
            if event.event == wanted:
                return event
            assert event.event == "epoch", event
        raise AssertionError(f"the worker ended before it said {wanted}")

    def end(self) -> int:
        self.process.communicate(timeout=60)
        return self.process.returncode


@pytest.fixture
def worker() -> Iterator[Worker]:
    found = Worker()
    yield found
    found.process.kill()
    found.process.communicate(timeout=60)


def test_assignments_one_after_the_other_good_and_bad_until_the_input_ends(worker: Worker, tmp_path: Path) -> None:
    assert worker.next("ready").key is None
    good = a_task(epochs=1)
    worker.assign(good, tmp_path, "a")
    assert worker.next("finished").key == good.key
    here = evaluate(an_assignment(good, tmp_path, "here"), stop=lambda: False, report=lambda _: None, startup_s=0)
    assert measured(the_result(tmp_path, "a")) == measured(here)
    worker.write('{"task": 1}')
    bad = worker.next("failed")
    assert (bad.reason, bad.key) == ("invalid", None)
    other = a_task(protocol={"data_sha256": "0" * 64})
    worker.assign(other, tmp_path, "b")
    bad = worker.next("failed")
    assert (bad.reason, bad.key) == ("invalid", other.key)
    assert bad.message
    assert "protocol.data_sha256" in bad.message
    (tmp_path / "c.json").write_text("something else")
    worker.assign(good, tmp_path, "c")
    bad = worker.next("failed")
    assert (bad.reason, bad.key) == ("error", good.key)
    assert len((bad.message or "").splitlines()) == 1
    replicate = a_task(epochs=1, replicate=1)
    worker.assign(replicate, tmp_path, "d")
    assert worker.next("finished").key == replicate.key
    assert the_result(tmp_path, "a").seconds.startup > the_result(tmp_path, "d").seconds.startup == 0
    assert worker.end() == 0


@pytest.mark.parametrize("how", ["the input ends", "SIGTERM"])
def test_a_stop_in_training_leaves_a_checkpoint(worker: Worker, tmp_path: Path, how: str) -> None:
    worker.assign(a_task(**LONG), tmp_path)
    worker.next("ready")
    worker.next("epoch")
    worker.process.send_signal(signal.SIGINT)
    if how == "SIGTERM":
        worker.process.send_signal(signal.SIGTERM)
    assert worker.end() == EXIT_INTERRUPTED
    assert [path.name for path in tmp_path.iterdir()] == ["a.pt"]


def test_two_workers_with_the_same_evaluation_train_it_once_and_end_quietly(worker: Worker, tmp_path: Path) -> None:
    other = Worker()
    try:
        task = a_task(epochs=3)
        for one in (worker, other):
            one.next("ready")
        for one in (worker, other):
            one.assign(task, tmp_path)
        said = [list(until_finished(one)) for one in (worker, other)]
        worker.process.send_signal(signal.SIGTERM)
        assert [worker.end(), other.end()] == [0, 0]
    finally:
        other.process.kill()
        other.process.communicate(timeout=60)
    assert sorted(map(len, said)) == [1, 4]
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def until_finished(worker: Worker) -> Iterator[Event]:
    for event in worker.events():
        yield event
        if event.event == "finished":
            return


def test_after_running_out_of_memory_the_worker_goes_on(tmp_path: Path) -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (16 << 30, 16 << 30))

    small = Worker(preexec_fn=limit)
    try:
        small.next("ready")
        known = a_task().protocol
        fields = {"data_sha256": known.data_sha256, "versions": known.versions}
        huge = a_task(space=a_space((1, 4096, 4096)), protocol=fields)
        small.assign(huge, tmp_path)
        failed = small.next("failed")
        assert (failed.reason, failed.key) == ("out-of-memory", huge.key)
        small.assign(a_task(epochs=1), tmp_path, "b")
        small.next("finished")
    finally:
        small.process.kill()
        small.process.communicate(timeout=60)


def test_nothing_but_events_reaches_standard_output(tmp_path: Path) -> None:
    code = (
        "import os, numpy; real = numpy.loadtxt\n"
        "def noisy(*a, **k):\n    print('noise'); os.write(1, b'more noise'); return real(*a, **k)\n"
        "numpy.loadtxt = noisy\n"
        "from rcas_trainer.worker import serve; raise SystemExit(serve())"
    )
    line = an_assignment(a_task(epochs=1), tmp_path).model_dump_json() + "\n"
    process = subprocess.Popen(
        [os.sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin
    assert process.stdout
    process.stdin.write(line)
    process.stdin.flush()
    said = [json.loads(process.stdout.readline())["event"] for _ in range(3)]
    _, errors = process.communicate(timeout=60)
    assert said == ["ready", "epoch", "finished"]
    assert "noise" in errors


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] . DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    ],
)
def test_every_form_of_a_failed_allocation_is_out_of_memory(error: Exception) -> None:
    with pytest.raises(OutOfMemory) as caught, translated_memory_errors():
        raise error
    assert failure("a", caught.value).reason == "out-of-memory"


def test_other_errors_are_not_taken_for_memory() -> None:
    with pytest.raises(RuntimeError, match="shape"), translated_memory_errors():
        raise RuntimeError("shape mismatch")
