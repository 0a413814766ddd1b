"""The real operator over a simulated API server, with trainers that end at once and may be malicious."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from typing import Any

from controller.harness import FixedClock, a_final_result, a_result, a_spec
from controller.memory_store import MemoryStore
from rcas.controller.config import Config
from rcas.controller.metrics import Metrics
from rcas.controller.operator import Operator, _watched
from rcas.controller.reconcile import World
from rcas.evaluation import Description
from rcas.final import FinalDraw
from rcas.location import S3Location
from rcas.messages import JOB_VARIABLE, Assignment, FinalAssignment, Inquiry
from rcas.pod import PodSpec
from rcas.runtimes.kubernetes.api import Api, RateLimit
from rcas.runtimes.kubernetes.namespace import Namespace, jobs_path, searches_path
from rcas.stores.base import Store
from simulation.apiserver import ApiServer, Handled
from simulation.connection import Connection
from simulation.timeline import timestamp

Object = dict[str, Any]
NAMESPACE = "lab"
URL = "s3://bucket/rcas"
LOCATION = S3Location.parse(URL)
BEGAN_S = 1_700_000_000.0
WEIGHTS = b"weights"

Order = Assignment | FinalAssignment | Inquiry
Trainer = Callable[[Order], bytes | None]
"""What a trainer writes for an order; None: nothing, and it ends all the same."""


def honest(order: Order) -> bytes:
    """What the real trainer would write."""
    if isinstance(order, Assignment):
        return a_result(order.task).model_dump_json().encode()
    if isinstance(order, FinalAssignment):
        return a_final_result(order.task, WEIGHTS).model_dump_json().encode()
    test = {"test_sha256": "e" * 64, "test_images": 50} if isinstance(order.draw, FinalDraw) else {}
    return a_description(**test).model_dump_json().encode()


def a_description(**changes: Any) -> Description:
    fields: Object = {"data_sha256": "d" * 64, "input": (1, 8, 8), "num_classes": 10, "train_images": 100, "gpus": 0}
    return Description.model_validate({**fields, "versions": {"rcas_trainer": "1"}, **changes})


def a_search_spec(**changes: Any) -> Object:
    """The `spec` of a Search that ends after a few passes."""
    spec = a_spec(rules=["UC"], max_blocks=1, **changes)
    return spec.model_dump(mode="json", exclude={"name"}, exclude_unset=True)


class Lab:
    """A namespace.

    Attributes:
        requests: (verb, path, body) of every request to the API server.
        manifests: of all Jobs that were ever created.
    """

    def __init__(self, trainer: Trainer = honest, store: Store | None = None, config: Config | None = None) -> None:
        self.clock, self.trainer = FixedClock(BEGAN_S), trainer
        self.store: Store = store or MemoryStore()
        self.server = ApiServer(self.clock.now)
        self.requests = list[tuple[str, str]]()
        self.manifests = list[Object]()
        self.metrics = Metrics()
        api = Api(Connection(self.server, self._send), RateLimit(per_s=1e9))  # type: ignore[arg-type]
        self.world = World(
            config=config or Config(store=URL, pod=PodSpec(image="trainer:1")),
            namespace=Namespace(api, NAMESPACE),
            store=self.store,
            location=LOCATION,
            clock=self.clock,
            writer="test",
            backoff_s=lambda _failures: 5.0,
            watch=lambda search, controller, step: _watched(self.metrics, self.clock, search, controller, step),
        )
        self.operator = Operator(self.world, self.metrics, deque[str]())

    def submit(self, name: str, spec: Any) -> None:
        """Create a Search, whatever its spec."""
        metadata: Object = {"name": name}
        self.server.add(searches_path(NAMESPACE), {"metadata": metadata, "spec": spec})
        self.operator.searches_changed.set()

    def turn(self, passes: int = 1) -> None:
        """So many passes; between two all Jobs end."""
        for _ in range(passes):
            self.operator.turn()
            self.clock.now_s += 20
            for job in self.jobs():
                self._carry_out(job)

    def run(self, *names: str, passes: int = 200) -> None:
        """Until these searches are complete."""
        for _ in range(passes):
            self.turn()
            if all(self.phase(name) == "Complete" for name in names):
                return
        raise AssertionError({name: self.status(name) for name in names})

    def jobs(self) -> list[Object]:
        return list(self.server.all(jobs_path(NAMESPACE)).values())

    def search(self, name: str) -> Object:
        return self.server.all(searches_path(NAMESPACE))[name]

    def status(self, name: str) -> Object:
        return self.search(name).get("status") or {}

    def phase(self, name: str) -> str:
        return self.status(name).get("phase", "")

    def condition(self, name: str, kind: str) -> Object:
        return next((one for one in self.status(name).get("conditions", []) if one["type"] == kind), {})

    def why(self, name: str) -> str:
        """Why a search is not ready: the reason and the message."""
        found = self.condition(name, "Ready")
        return f"{found.get('reason')}: {found.get('message')}"

    def _send(self, verb: str, path: str, act: Callable[[], Handled]) -> Handled:
        self.requests.append((verb, path))
        answer = act()
        if verb == "create" and path == jobs_path(NAMESPACE):
            self.manifests.append(json.loads(answer[1]))
        return answer

    def _carry_out(self, job: Object) -> None:
        if job.get("status"):
            return
        url, content = order_of(job), self.trainer(parsed(job))
        if isinstance(parsed(job), FinalAssignment) and content is not None:
            weights = url.replace(".json", ".safetensors")
            if self.store.get(weights) is None:
                self.store.put(weights, WEIGHTS, expected=None)
        if content is not None and self.store.get(url) is None:
            self.store.put(url, content, expected=None)
        job["status"] = {"conditions": [{"type": "Complete", "status": "True"}], "startTime": timestamp(BEGAN_S)}
        self.server.touch(jobs_path(NAMESPACE), job)


def order_text(job: Object) -> str:
    """What a Job tells its trainer."""
    (container,) = job["spec"]["template"]["spec"]["containers"]
    told = [variable["value"] for variable in container["env"] if variable.get("name") == JOB_VARIABLE]
    # The last of equal names wins.
    return told[-1].replace("$$", "$")


def parsed(job: Object) -> Order:
    text = order_text(job)
    names = json.loads(text)
    model = FinalAssignment if "weights" in names else Assignment if "task" in names else Inquiry
    return model.model_validate_json(text)


def order_of(job: Object) -> str:
    """Name of the object that a Job's trainer is to write."""
    order = parsed(job)
    return (order.answer if isinstance(order, Inquiry) else order.result).removeprefix(f"{URL}/")
