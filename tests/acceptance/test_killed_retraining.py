"""`rcasctl retrain` and its workers, killed by -9 in the middle of an epoch, against the undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcas.controller.step import new_state
from rcas.evaluation import Protocol
from rcas.spec import parse_spec
from rcas.state import Ledger, read_finals, read_head
from rcas.stores.file import FileStore

SEEDS, EPOCHS, KILLS = 2, 8, 3
DEADLINE_S = 240
SPEC = """
name: tiny
space:
  skeleton: custom
  classes: 10
  input: [1, 8, 8]
  stem: {channels: 8, block_channels: 4}
  stages:
    - {channels: 4, positions: 2, start: [1]}
    - {channels: 8, positions: 2, stride: 2, start: [1]}
  head: {channels: 16}
budget: {params: 10k}
data: {dataset: digits}
training: {epochs: 2, batch_size: 16, milestones: [1], pad: 1, flip: false}
"""


def a_store(folder: Path) -> Path:
    """A store with a search that has measured nothing."""
    spec = parse_spec(SPEC)
    protocol = Protocol(
        draw=spec.data.draw(), training=spec.training, data_sha256="0" * 64, device="cpu", threads=1, versions={}
    )
    Ledger(FileStore(folder), spec.name, "test").create(new_state(spec, protocol, 0))
    return folder


def start(store: Path) -> subprocess.Popen[bytes]:
    command = [Path(sys.executable).with_name("rcasctl"), "retrain", "tiny", "--store", store, "--network", "1,5 / 1"]
    options = ["--seeds", SEEDS, "--epochs", EPOCHS, "--parallelism", 2, "--device", "cpu"]
    return subprocess.Popen(
        [*command, *map(str, options)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    )


def finish(store: Path) -> None:
    process = start(store)
    _, words = process.communicate(timeout=DEADLINE_S)
    assert process.returncode == 0, words.decode()


def kill_at_work(store: Path) -> bool:
    """Start it, wait for news of a training, kill the workers, then their controller; whether they worked."""
    before = {path: path.stat().st_mtime_ns for path in (store / "finals").glob("*.pt")}
    process = start(store)
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None and time.monotonic() < deadline:
        now = {path: path.stat().st_mtime_ns for path in (store / "finals").glob("*.pt") if path.exists()}
        if any(before.get(path) != changed for path, changed in now.items()):
            break
        time.sleep(0.01)
    at_work = process.poll() is None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for pid in children.read_text().split() if at_work else ():
        os.kill(int(pid), signal.SIGKILL)
    process.kill()
    process.communicate()
    return at_work


def objects(store: Path, ending: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (store / "finals").glob(f"*{ending}")}


def counts(store: Path) -> dict[str, dict[str, object]]:
    """The results, without what depends on the machine's speed and on interruptions."""
    passing = {"seconds", "images_per_second", "resumed", "began", "ended"}
    found = {name: json.loads(content) for name, content in objects(store, ".json").items()}
    return {name: {k: v for k, v in one.items() if k not in passing} for name, one in found.items()}


def measurements(store: Path) -> int:
    """How often workers have said that they measured something on test images."""
    logs = (store / "searches/tiny/logs").glob("*.log")
    return sum(log.read_text().count("measured on 300 test images") for log in logs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> Path:
    store = a_store(tmp_path_factory.mktemp("undisturbed"))
    finish(store)
    return store


@pytest.mark.timeout(3 * DEADLINE_S)
def test_kills_change_no_bit_of_the_weights(undisturbed, tmp_path):
    killed = a_store(tmp_path)
    kills = sum(kill_at_work(killed) for _ in range(KILLS))
    assert kills, "the trainings were over before the first kill"
    finish(killed)

    assert len(objects(undisturbed, ".safetensors")) == SEEDS
    assert objects(killed, ".safetensors") == objects(undisturbed, ".safetensors")
    assert counts(killed) == counts(undisturbed)
    assert len(set(objects(undisturbed, ".safetensors").values())) == SEEDS, "the seeds made no difference"
    results = [json.loads(content) for content in objects(killed, ".json").values()]
    assert any(result["resumed"] for result in results), "no kill hit a training"
    assert not objects(killed, ".pt")
    finals = read_finals(FileStore(killed), "tiny")
    assert finals is not None
    assert len(finals.finals) == 1
    assert read_head(FileStore(killed), "tiny") is not None


def test_nothing_is_trained_or_measured_twice(undisturbed):
    assert measurements(undisturbed) == SEEDS
    before = objects(undisturbed, "")
    finish(undisturbed)
    assert measurements(undisturbed) == SEEDS
    assert objects(undisturbed, "") == before
