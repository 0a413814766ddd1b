"""A search on Fashion-MNIST with two workers, killed by -9 at random moments, against the undisturbed one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rcas.state import Head, read_head
from rcas.stores.file import FileStore

FASHION = Path("/usr/share/datasets/fashion-mnist")
KILLS = 5
OF_THE_MACHINE = {"seconds", "images_per_second", "resumed", "began", "ended"}
DEADLINE_S = 600
SPEC = f"""
name: fashion
space:
  skeleton: custom
  classes: 10
  input: [1, 14, 14]
  stem: {{channels: 8, block_channels: 4}}
  stages:
    - {{channels: 8, positions: 3, stride: 2, start: [1]}}
    - {{channels: 16, positions: 3, stride: 2, start: [1]}}
  head: {{channels: 32}}
  block_types: [1, 2, 5, 6]
budget: {{params: 12k, madds: 400k}}
data: {{dataset: fashion-mnist, path: {FASHION}, validation_per_class: 50, train_per_class: 100}}
training: {{epochs: 6, batch_size: 32, milestones: [4], pad: 1}}
parallelism: 2
threads: 1
"""


@pytest.fixture(scope="module")
def spec(tmp_path_factory) -> Path:
    if not FASHION.is_dir():
        missing = "needs Debian's package dataset-fashion-mnist"
        pytest.fail(missing) if os.environ.get("RCAS_NO_SKIPS") else pytest.skip(missing)
    path = tmp_path_factory.mktemp("spec") / "fashion.yaml"
    path.write_text(SPEC)
    return path


def start(spec: Path, store: Path) -> subprocess.Popen[bytes]:
    command = [Path(sys.executable).with_name("rcasctl"), "run", spec, "--store", store]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def workers_of(controller: subprocess.Popen[bytes]) -> list[int]:
    children = Path(f"/proc/{controller.pid}/task/{controller.pid}/children")
    return [int(pid) for pid in children.read_text().split()] if children.exists() else []


def at_work(controller: subprocess.Popen[bytes], store: Path) -> bool:
    """Whether its children are workers: before there is a state the only child looks at the data."""
    return (store / "searches/fashion/state.json").exists() and bool(workers_of(controller))


def finish(spec: Path, store: Path) -> Head:
    controller = start(spec, store)
    _, words = controller.communicate(timeout=DEADLINE_S)
    assert controller.returncode == 0, words.decode()
    head = read_head(FileStore(store), "fashion")
    assert head is not None
    assert head.state.phase == "Complete"
    return head


def measured(store: Path, names: set[str]) -> dict[str, dict[str, object]]:
    """The results by key, without what depends on the machine's speed and the interruptions."""
    found = {}
    for name in names:
        result = json.loads((store / "results" / f"{name}.json").read_text())
        found[name] = {k: v for k, v in result.items() if k not in OF_THE_MACHINE}
    return found


@pytest.mark.timeout(2 * DEADLINE_S)
def test_kills_at_random_moments_change_nothing_that_was_decided(spec, tmp_path):
    undisturbed = finish(spec, tmp_path / "undisturbed")

    seed = int(os.environ.get("RCAS_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"replay with RCAS_KILL_SEED={seed}")
    draw = random.Random(seed)
    kills = list[str]()
    while len(kills) < KILLS:
        controller = start(spec, tmp_path / "killed")
        # The first kill may hit the start; later ones let it come to trainings, or nothing would be at stake.
        while kills and not at_work(controller, tmp_path / "killed") and controller.poll() is None:
            time.sleep(0.05)
        time.sleep(draw.uniform(0.2, 8))
        victim = draw.choice(["controller", "worker"]) if at_work(controller, tmp_path / "killed") else "controller"
        if victim == "worker":
            os.kill(draw.choice(workers_of(controller)), signal.SIGKILL)
            time.sleep(draw.uniform(0, 2))
        if controller.poll() is None:
            controller.kill()
            kills.append(victim)
        _, words = controller.communicate()
        assert controller.returncode in {0, -signal.SIGKILL}, words.decode()
        head = read_head(FileStore(tmp_path / "killed"), "fashion")
        if head is not None and head.state.phase == "Complete":
            break
    print(f"killed: {', '.join(kills)}")
    assert kills, "the search was over before the first kill"
    killed = finish(spec, tmp_path / "killed")

    assert killed.state.search.rules == undisturbed.state.search.rules
    decided = {key for key in names(tmp_path / "undisturbed") if key in names(tmp_path / "killed")}
    read = {name for rule in undisturbed.state.search.rules for name in rule.measured}
    assert read <= {r["network"] for r in measured(tmp_path / "killed", decided).values()}
    assert measured(tmp_path / "killed", decided) == measured(tmp_path / "undisturbed", decided)
    assert killed.epoch >= len(kills), "a kill after the first did not hit a controller at work"


def names(store: Path) -> set[str]:
    return {path.stem for path in (store / "results").glob("*.json")}
