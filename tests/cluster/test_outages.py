"""A minute without S3, and a minute without an API server, in one search."""

from __future__ import annotations

import time

from cluster.conftest import SEARCH_S, Install
from cluster.decisions import Outcome, assert_counted_once, assert_nothing_left, assert_same_decisions, outcome_of
from cluster.installation import Installation
from cluster.machine import killed, kubelets_heard_since, paused
from cluster.resuming import RESUME_S
from cluster.waiting import until

NAME = "outages"
OUTAGE_S = 60
BACK_S = 120
SAID_S = 90
"""A store that hangs is asked three times, for 20 s each: twice to write, and once whether that has succeeded."""


def test_a_minute_without_s3_and_one_without_an_api_server(install: Install, reference: Outcome):
    installation = install()
    installation.submit(NAME)

    known = len(installation.wait_for_evaluations(NAME, 3).state.search.results)
    with paused("s3"):
        began = time.monotonic()
        # Something to commit: a controller that only waits for trainings has no need of the store.
        pod = installation.a_trainer()
        installation.kubectl("delete", "job", pod["metadata"]["labels"]["batch.kubernetes.io/job-name"])
        until("the status to say so", lambda: store_unavailable(installation), within_s=SAID_S)
        time.sleep(max(0.0, began + OUTAGE_S - time.monotonic()))
    known = len(installation.wait_for_evaluations(NAME, known + 1, within_s=RESUME_S).state.search.results)
    until("the status to say that it is over", lambda: not store_unavailable(installation), within_s=RESUME_S)

    with killed("apiserver"):
        time.sleep(OUTAGE_S)
    # Kubelets take their time to find it again, and no pod starts before.
    back_at = time.time()
    until("the API server and the nodes", lambda: kubelets_heard_since(back_at), within_s=BACK_S)
    installation.wait_for_evaluations(NAME, known + 1, within_s=RESUME_S)

    installation.wait_for_phase(NAME, "Complete", within_s=SEARCH_S)
    outcome = outcome_of(installation, NAME)
    assert_same_decisions(outcome, reference)
    assert_counted_once(outcome)
    assert outcome.head.state.counters.failures == 0, "trainings were repeated"
    assert_nothing_left(installation)


def store_unavailable(installation: Installation) -> bool:
    return installation.condition(NAME, "StoreUnavailable").get("status") == "True"
