"""Stopping a search and going on with it: Ctrl-C, SIGTERM, and a second controller."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.conftest import BEGINS, RCASCTL, Finished, environment, rcasctl, refused
from runtime.processes import alive, until, workers_of


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [str(RCASCTL), "run", "tiny.yaml"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@contextmanager
def running(folder: Path) -> Generator[subprocess.Popen[str]]:
    """A search in the middle: one more evaluation is done since its start, and its worker lives.

    Its controller is held there (SIGSTOP), or a fast machine would end the search before the test looks at it.
    """
    process = start(folder)
    try:
        assert process.stdout
        until(lambda: "evaluations done" in process.stdout.readline(), "a first evaluation")
        os.kill(process.pid, signal.SIGSTOP)
        yield process
    finally:
        process.kill()
        process.communicate()


def stopped_by(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str]:
    """Exit code and standard error after a signal to the whole process group; no worker outlives it."""
    workers = workers_of(process.pid)
    assert workers
    os.killpg(process.pid, number)
    os.kill(process.pid, signal.SIGCONT)
    _, errors = process.communicate(timeout=60)
    until(lambda: not any(map(alive, workers)), "the end of the workers")
    return process.returncode, errors


def decisions(folder: Path) -> tuple[object, ...]:
    """All that a search decided, with every candidate of every decision."""
    result = json.loads(rcasctl("result", "tiny", "--json", cwd=folder).stdout)
    explained = json.loads(rcasctl("explain", "tiny", "--json", cwd=folder).stdout)
    return result["done"], result["best"], result["highest"], result["rules"], explained


def test_a_search_stopped_twice_ends_as_the_undisturbed_one(finished: Finished, folder: Path) -> None:
    with running(folder) as first:
        line = refused("run", "tiny.yaml", cwd=folder, code=1)
        assert line.startswith("another process works on ")
        assert line.endswith("searches/tiny/controller; stop it first, or wait for it")
        assert rcasctl("status", "tiny", cwd=folder).stdout.startswith("tiny: Running")
        code, errors = stopped_by(first, signal.SIGINT)
    assert code == 130
    assert list(filter(None, errors.splitlines())) == [
        BEGINS,
        "Everything so far is kept. To go on: rcasctl run tiny.yaml --store rcas-store",
        "Stopped.",
    ]
    with running(folder) as second:
        code, errors = stopped_by(second, signal.SIGTERM)
    assert (code, "To go on: rcasctl run" in errors, "Traceback" in errors) == (130, True, False)
    done = rcasctl("run", "tiny.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert decisions(folder) == decisions(finished.folder)
    counters = json.loads(rcasctl("status", "tiny", "--json", cwd=folder).stdout)["counters"]
    assert counters["trained"] == len(list((folder / "rcas-store/results").iterdir()))
    assert counters["failures"] == 0
    assert not list((folder / "rcas-store/checkpoints").glob("*"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_before_the_first_training_is_clean_too(folder: Path, number: signal.Signals) -> None:
    process = start(folder)
    until(lambda: (folder / "rcas-store/searches/tiny/controller.lock").exists(), "the start of the search")
    os.killpg(process.pid, number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert "To go on: " in errors
