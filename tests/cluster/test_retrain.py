"""`rcasctl retrain` on a real cluster: Jobs after the search, weights in S3, a controller killed on the way."""

from __future__ import annotations

import hashlib
import json

from cluster.conftest import Install
from cluster.installation import Installation
from cluster.waiting import until
from rcas.final import FinalResult, Finals
from rcas.state import final_name, finals_name, weights_name

SEEDS = 2
OPTIONS = ("--seeds", SEEDS, "--epochs", 3)


def identity(installation: Installation, name: str) -> str:
    return f"{installation.namespace}/{name}/{installation.uid(name)}"


def results(installation: Installation, name: str) -> list[FinalResult]:
    index = installation.object(finals_name(identity(installation, name)))
    assert index is not None
    (final,) = Finals.model_validate_json(index).finals
    found = [installation.object(final_name(key)) for key in final.keys]
    return [FinalResult.model_validate_json(content or b"") for content in found]


def test_the_found_network_is_trained_and_tested_and_a_killed_controller_changes_nothing(install: Install):
    installation = install()
    installation.submit("final")
    installation.wait_for_phase("final", "Complete", within_s=400)
    ask = ("patch", "searches.rcas.dev", "final", "--type=merge", "-p")
    wish = {"seeds": SEEDS, "training": {"epochs": 3}}
    installation.kubectl(*ask, json.dumps({"spec": {"retrain": wish}}))
    until("a final training runs", lambda: installation.trainers(), within_s=120)
    installation.kill_controller()
    told = json.loads(installation.rcasctl("retrain", "final", *OPTIONS, "--json", within_s=400).splitlines()[-1])

    measured = results(installation, "final")
    assert [one["key"] for one in told["results"]] == [one.key for one in measured]
    assert told["phase"] == installation.status("final")["finals"]["phase"] == "Complete"
    assert installation.status("final")["phase"] == "Complete"
    for one in measured:
        weights = installation.object(weights_name(one.key))
        assert weights is not None
        assert hashlib.sha256(weights).hexdigest() == one.weights_sha256
        assert one.total == 300, "the test images of digits"
    until("its Jobs are gone", lambda: not installation.left_over(), within_s=60)
