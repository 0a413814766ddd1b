"""The chart before the real API server: every toggle is accepted, and `helm test` proves the store."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cluster.images import ROOT
from cluster.installation import RELEASE, Installation
from cluster.machine import Kubectl, Object, call

CHART = ROOT / "charts/rcas"
NAMESPACE = "t-chart"


def _crd(kind: str, plural: str) -> Object:
    """A kind of the Prometheus operator, as far as a server must know it; what is in the rules promtool reads."""
    open_schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": open_schema}}
    names = {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"}
    spec = {"group": "monitoring.coreos.com", "names": names, "scope": "Namespaced", "versions": [version]}
    metadata = {"name": f"{plural}.monitoring.coreos.com"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": metadata,
        "spec": spec,
    }


@pytest.fixture(scope="module")
def kubectl(first: Installation) -> Iterator[Kubectl]:  # noqa: ARG001
    kubectl = Kubectl(NAMESPACE)
    labels = {"rcas.dev/test": "true"}
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    monitoring = [_crd("ServiceMonitor", "servicemonitors"), _crd("PrometheusRule", "prometheusrules")]
    kubectl.apply(*monitoring)
    for made in monitoring:
        kubectl("wait", "--for=condition=Established", f"crd/{made['metadata']['name']}", "--timeout=30s")
    yield kubectl
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")
    for made in monitoring:
        kubectl("delete", "crd", made["metadata"]["name"], "--wait=false")


@pytest.mark.parametrize("values", sorted(CHART.glob("ci/*.yaml")), ids=lambda path: path.stem)
def test_every_toggle_is_accepted_by_the_server(values: Path, kubectl: Kubectl):
    call("helm", "lint", "--strict", CHART, "-f", values)
    rendered = call("helm", "template", RELEASE, CHART, "-n", NAMESPACE, "--kube-version", "1.34.0", "-f", values)
    objects = [made for made in yaml.safe_load_all(rendered) if made]
    # A pod is refused while its account does not exist, even in a dry run.
    kubectl.apply(*(made for made in objects if made["kind"] == "ServiceAccount"))
    accepted = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=rendered)
    assert accepted.count("(server dry run)") == len(objects)


def test_the_manifests_without_helm_are_accepted(kubectl: Kubectl):
    for folder in (ROOT / "k8s/base", *sorted((ROOT / "k8s/overlays").iterdir())):
        made = kubectl("kustomize", folder)
        if "namespace: rcas" in made:
            made = made.replace("namespace: rcas", f"namespace: {NAMESPACE}")
        assert "(server dry run)" in kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", given=made)


def test_helm_test_proves_the_store(first: Installation):
    said = call("helm", "test", RELEASE, "-n", first.namespace, "--logs", "--timeout", "170s", within_s=180)
    assert "Phase:          Succeeded" in said
