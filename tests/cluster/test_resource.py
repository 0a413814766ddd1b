"""The Search resource as the API server and kubectl show it, and what they refuse."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from charts.bad_searches import BAD, BAD_NAMES, BASE, CHANGES, GOOD, Bad, Change, resource
from cluster.decisions import Outcome
from cluster.installation import Installation
from cluster.machine import Kubectl, Object, ask

NAMESPACE = "t-resource"
PATH = f"/apis/rcas.dev/v1alpha1/namespaces/{NAMESPACE}/searches"
STRICT = "?fieldValidation=Strict"
DRY = f"{STRICT}&dryRun=All"


@pytest.fixture(scope="module", autouse=True)
def no_controller(first: Installation) -> Iterator[None]:  # noqa: ARG001
    """A namespace in which nobody works on searches."""
    kubectl = Kubectl(NAMESPACE)
    labels = {"rcas.dev/test": "true"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    yield
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@pytest.mark.parametrize("name", GOOD)
def test_a_good_spec_is_taken(name: str):
    assert ask("POST", PATH + DRY, resource(name, GOOD[name])).status == 201


@pytest.mark.parametrize("name", BAD)
def test_a_bad_spec_is_refused_by_its_fields_name(name: str):
    bad: Bad = BAD[name]
    answer = ask("POST", PATH + DRY, resource(name, bad.spec))
    assert answer.status in {400, 422}, answer
    assert bad.field in answer.body["message"]
    assert bad.says in answer.body["message"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_name_that_is_no_label_is_refused(name: str):
    answer = ask("POST", PATH + DRY, resource(name, BASE))
    assert answer.status == 422
    assert "metadata.name" in answer.body["message"]


@pytest.mark.parametrize("name", CHANGES)
def test_only_what_may_change_changes(name: str):
    change: Change = CHANGES[name]
    named = f"c-{name.replace('_', '-').lower()}"
    created = ask("POST", PATH + STRICT, resource(named, change.before))
    assert created.status == 201, created.body
    changed: Object = {**created.body, "spec": change.after}
    answer = ask("PUT", f"{PATH}/{named}{DRY}", changed)
    assert answer.status == (422 if change.field else 200), answer.body
    if change.field:
        assert change.field in answer.body["message"]
        assert change.says in answer.body["message"]


def test_kubectl_get_is_readable(first: Installation, reference: Outcome):
    header, line = first.kubectl("get", "rcas", reference.name).splitlines()
    assert header.split() == ["NAME", "PHASE", "ACCEPTED", "EVALUATIONS", "BEST", "PARAMS", "MADDS", "AGE"]
    name, phase, accepted, evaluations, best, params, madds, _ = line.split()
    assert (name, phase) == (reference.name, "Complete")
    assert int(evaluations) == len(reference.head.state.search.results)
    assert int(accepted) >= 1
    assert best.endswith("%")
    assert 0 < int(params) < int(madds) <= 110_000


def test_kubectl_explain_is_readable(first: Installation):
    assert "over which" not in first.kubectl("explain", "search")
    explained = first.kubectl("explain", "search.spec")
    for field in ("budget", "space", "data", "training", "parallelism", "limits", "pause", "cancel", "pod"):
        assert f"  {field}\t<" in explained
    assert "Parameters, such as 3.4M" in first.kubectl("explain", "search.spec.budget")
