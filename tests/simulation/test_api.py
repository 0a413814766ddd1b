"""The simulated API server answers as a real one: the same cases run there, in tests/cluster/test_fidelity.py."""

from __future__ import annotations

import json
from collections.abc import Callable
from random import Random
from typing import Any, TypeVar

import pytest

from rcas.runtimes.kubernetes.api import Api
from simulation.api_contract import ApiContract
from simulation.apiserver import ApiServer
from simulation.connection import Connection
from simulation.machines import Machines, Node, Pod
from simulation.timeline import Appointment, Timeline, cancel

T = TypeVar("T")


class ScriptedContainer:
    """Does what `api_contract.SCRIPT` does."""

    def __init__(self, timeline: Timeline, order: dict[str, Any], ended: Callable[[int, str], None]) -> None:
        self._timeline, self._order, self._ended = timeline, order, ended
        self._next: Appointment | None = None
        self._alive = True

    def start(self) -> None:
        self._next = self._timeline.after(self._order.get("after_s", 0), lambda: self._end(self._order["exit"]))

    def terminate(self) -> None:
        self._end(self._order.get("on_term", 75))

    def kill(self) -> None:
        self._end(137)

    def _end(self, code: int) -> None:
        if self._alive:
            self._alive = False
            cancel(self._next)
            self._ended(code, "")


class SimulatedBed:
    image, namespace = "trainer", "contract"

    def __init__(self, seed: int) -> None:
        self._timeline = Timeline()
        nodes = [Node("node-0", 20)]
        self._machines = Machines(self._timeline, Random(seed), self.namespace, nodes, self._container)
        self._machines.api = ApiServer(lambda: self._timeline.now, self._machines.changed)
        connection: Any = Connection(self._machines.api, lambda _verb, _path, act: act())
        self.api = Api(connection)

    def _container(self, pod: Pod, ended: Callable[[int, str], None]) -> Any:
        return ScriptedContainer(self._timeline, json.loads(pod.order), ended)

    def until(self, what: str, seen: Callable[[], T]) -> T:
        for _ in range(1200):
            if found := seen():
                return found
            self._timeline.run_for(0.1)
        raise AssertionError(f"waited for {what}")

    def rest(self) -> None:
        self._timeline.run_for(5)

    def evict(self, pod: str) -> None:
        self._machines.disrupt(self._machines.pods[pod], "EvictionByEvictionAPI")


class TestSimulatedApi(ApiContract):
    @pytest.fixture(params=range(5))
    def bed(self, request: pytest.FixtureRequest) -> SimulatedBed:
        return SimulatedBed(request.param)
