"""The simulated API server drifts from no reality: tests/simulation/test_api.py runs the same cases on it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import TypeVar

import pytest

from cluster import machine, waiting
from cluster.images import Images
from cluster.machine import Kubectl
from rcas.crd import crd
from rcas.runtimes.kubernetes.api import Api, from_kubeconfig
from simulation.api_contract import ApiContract

NAMESPACE = "t-fidelity"
T = TypeVar("T")


class RealBed:
    namespace = NAMESPACE

    def __init__(self, api: Api, image: str) -> None:
        self.api, self.image = api, image

    def until(self, what: str, seen: Callable[[], T]) -> T:
        return waiting.until(what, seen, within_s=90)

    def rest(self) -> None:
        time.sleep(3)

    def evict(self, pod: str) -> None:
        Kubectl(NAMESPACE).evict(pod)


@pytest.fixture(scope="module")
def real(built: Images) -> Iterator[RealBed]:
    kubectl = Kubectl(NAMESPACE)
    labels = {"pod-security.kubernetes.io/enforce": "restricted", "rcas.dev/test": "true"}
    kubectl.apply(crd(), {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}})
    kubectl("wait", "--for=condition=Established", "crd/searches.rcas.dev")
    yield RealBed(from_kubeconfig(str(machine.KUBECONFIG), None)[0], built.trainer)
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


class TestRealApi(ApiContract):
    @pytest.fixture
    def bed(self, real: RealBed) -> RealBed:
        return real
