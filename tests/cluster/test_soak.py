"""Everything is killed at random for five minutes, or $RCAS_SOAK_MINUTES. An hour's figures: benchmarks/cluster."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, outcome_of
from cluster.resuming import RESUME_S
from cluster.soak import ENDS_S, Lane, Soak, quantile

MINUTES = float(os.environ.get("RCAS_SOAK_MINUTES", "5"))
SEEDS = (1, 2) if MINUTES > 15 else ()
"""Of searches beside that of the reference, when there is time for their own references."""


@pytest.mark.timeout(60 * MINUTES + ENDS_S + 2 * SEARCH_S + 300, method="thread")
def test_whatever_is_killed_the_searches_are_the_same(install: Install, reference: Outcome):
    seed = int(os.environ.get("RCAS_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 10**6)
    print(f"replay with RCAS_KILL_SEED={seed}")
    lanes = [Lane({}, reference), *(lane_of(install, number) for number in SEEDS)]
    figures = Soak(install(), lanes, random.Random(seed)).run(60 * MINUTES)
    print(figures)
    if out := os.environ.get("RCAS_SOAK_FIGURES"):
        Path(out).write_text(str(figures), encoding="utf-8")
    assert not figures.differences
    assert not figures.left
    assert figures.strikes.total() >= 4 * MINUTES
    assert figures.searches >= len(lanes)
    assert quantile(figures.resumed_s, 0.99) <= RESUME_S


def lane_of(install: Install, seed: int) -> Lane:
    """The search with another seed, once undisturbed."""
    spec, installation = {"training": {"seed": seed}}, install()
    installation.submit("reference", spec)
    installation.wait_for_phase("reference", "Complete", within_s=SEARCH_S)
    return Lane(spec, outcome_of(installation, "reference"))
