"""One seed, one history, one hash: in any process, with no thread, no network and no time but the simulated."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import pytest

from simulation import faults as faulty
from simulation.faults import KINDS, Fault
from simulation.history import run
from simulation.replay import parsed, written

SEEDS = range(40)
HASHES = "from simulation.history import run; print(*(run(seed).hash for seed in range(40)))"


def test_a_seed_gives_the_same_history_in_every_process() -> None:
    here = [run(seed).hash for seed in SEEDS]
    assert len(set(here)) == len(here)
    for hash_seed in ("1", "2"):
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", HASHES], env=environment, capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == here


def test_nothing_waits_and_nothing_leaves_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: Any, **_named: Any) -> Any:
        raise AssertionError("a history is left")

    for owner, name in ((time, "sleep"), (socket, "socket"), (threading.Thread, "start"), (os, "urandom")):
        monkeypatch.setattr(owner, name, refuse)
    for seed in SEEDS:
        assert run(seed).broken is None


def test_a_schedule_is_what_its_line_says() -> None:
    schedule = faulty.draw(Random(5))
    assert schedule
    assert parsed(written(schedule)) == schedule
    assert run(5, schedule).hash == run(5, parsed(written(schedule))).hash


def test_every_kind_of_fault_strikes_and_is_survived() -> None:
    """Each on its own, many times: none is a kind that never happens."""
    for kind in KINDS:
        struck = 0
        for seed in range(30):
            number = Random(f"{seed}/{kind}")
            schedule = [
                Fault(number.randint(5, 150), kind, number.randrange(10_000) / 10_000, 20.0) for _ in range(5)
            ]
            outcome = run(seed, schedule)
            assert outcome.broken is None, f"{kind}, seed {seed}: {outcome.broken}: {outcome.how}"
            struck += outcome.struck[kind]
        assert struck > 3, kind
