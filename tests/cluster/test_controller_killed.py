"""kill -9 of the controller at random moments, 20 times."""

from __future__ import annotations

import os
import random
import time

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation
from cluster.resuming import assert_resumes

KILLS = 20
NAME = "killed"


def test_twenty_kills_change_no_decision(install: Install, reference: Outcome):
    seed = int(os.environ.get("RCAS_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"replay with RCAS_KILL_SEED={seed}")
    draw = random.Random(seed)
    kills = list[int]()
    while sum(kills) < KILLS:
        installation = install()
        installation.submit(NAME)
        due = KILLS - sum(kills)
        kills.append(kill_until_it_ends(installation, draw, due))
        installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
        outcome = outcome_of(installation, NAME)
        assert_same_decisions(outcome, reference)
        assert_counted_once(outcome)
        assert outcome.head.state.counters.reused == 0
        assert_nothing_left(installation)
        assert kills[-1] >= min(3, due), "the search was over before it was disturbed"
    print(f"kills in each search: {kills}")


def kill_until_it_ends(installation: Installation, draw: random.Random, most: int) -> int:
    """Kill at most so often; how often it was."""
    kills = 0
    while kills < most and installation.status(NAME).get("phase") != "Complete":
        # Some kills hit the next start.
        time.sleep(draw.choice([draw.uniform(0.2, 2), draw.uniform(2, 10)]))
        before = installation.head(NAME)
        killed_at = time.time()
        if not installation.kill_controller():
            continue
        kills += 1
        if before and before.state.phase == "Running" and draw.random() < 0.5:
            assert_resumes(installation, NAME, before, killed_at)
    return kills
