"""One history: a scenario, its faults, a while without faults, and the end. One seed, one history, one hash."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, NamedTuple

from rcas.errors import Fenced
from rcas.runtimes.kubernetes import api as adapter
from simulation import faults as faulty
from simulation import scenario as scenarios
from simulation.accuracy import trainings_in
from simulation.apiserver import ApiServer, Object
from simulation.auditor import Auditor
from simulation.bucket import Bucket
from simulation.controllers import NAMESPACE, PREFIX, Controller
from simulation.edge import Edge, Violation
from simulation.faults import Fault
from simulation.machines import Machines, Node, Pod
from simulation.strikes import strike
from simulation.timeline import Timeline
from simulation.trainer import NoAnswer, Saved, Trainer
from simulation.users import SEARCHES, Users

FAULTS_S = 6 * 3600.0
"""Longest time in which faults strike: a search that is paused does few I/Os."""
BOUND_S = 3600.0
"""Time from the last trouble until every search has ended."""
SETTLES_S = 150.0
"""Time after that in which nothing may change any more: longer than any late request."""
SUPERVISED_S = (2.0, 20.0)
"""Kubernetes starts a controller again after so long."""


class Outcome(NamedTuple):
    """What came of a history.

    Attributes:
        hash: of its log.
        broken: the promise that did not hold, None if all did; how: in which way.
        requests, struck: I/Os and faults by kind.
        evaluations: that its searches took.
        took_s: simulated time; ended_after_s: from the last trouble to the end.
        log: all that happened, line by line.
    """

    seed: int
    hash: str
    broken: str | None
    how: str
    requests: Counter[str]
    struck: Counter[str]
    evaluations: int
    took_s: float
    ended_after_s: float
    log: list[str]


def run(seed: int, faults: Sequence[Fault] | None = None) -> Outcome:
    """Run the history of a seed; `faults` replaces those that the seed draws."""
    page, log_level = adapter.PAGE, logging.getLogger("rcas").level
    logging.getLogger("rcas").setLevel(logging.CRITICAL + 1)
    history = History(seed, faulty.draw(Random(f"{seed}/faults")) if faults is None else list(faults))
    adapter.PAGE = history.scenario.page
    broken, how = None, ""
    try:
        history.play()
    except Violation as violation:
        broken, how = violation.promise, violation.how
        history.edge.say(f"VIOLATION {violation}")
    finally:
        adapter.PAGE = page
        logging.getLogger("rcas").setLevel(log_level)
    edge, log = history.edge, history.edge.log
    return Outcome(
        seed=seed,
        hash=hashlib.sha256("\n".join(log).encode()).hexdigest(),
        broken=broken,
        how=how,
        requests=edge.requests,
        struck=edge.struck,
        evaluations=history.evaluations(),
        took_s=history.timeline.now - history.began,
        ended_after_s=history.ended_after_s,
        log=log,
    )


class History:
    """The world of one seed and what happens in it."""

    def __init__(self, seed: int, faults: list[Fault]) -> None:
        self._seed = seed
        self.timeline = Timeline()
        self.began = self.timeline.now
        self.scenario = scenarios.draw(self.random("scenario"))
        self.edge = Edge(self.timeline, faults, lambda fault: strike(self, fault))
        self.edge.way_s = self.scenario.way_s
        self.bucket = Bucket()
        nodes = [Node(f"node-{number}", room) for number, room in enumerate(self.scenario.nodes)]
        self.machines = Machines(
            self.timeline, self.random("machines"), NAMESPACE, nodes, self._trainer, self.edge.say
        )
        self.server = self.machines.api = ApiServer(lambda: self.timeline.now, self._changed)
        self.controllers: dict[str, Controller] = {}
        now = lambda: self.timeline.now  # noqa: E731
        self.auditor = Auditor(self.scenario.searches, self.controllers, now, exact=not faults)
        self.bucket.wrote = self.auditor.wrote
        self.server.refused = self._refused
        self.users = Users(self.timeline, self.random("users"), self.server, self.auditor.foreign, self.machines.jobs)
        self.saved: dict[str, Saved] = {}
        self.auditor.switched_at, self.auditor.widened = self.users.switched_at, self.users.widened
        self.offset_s, self.troubled = 0.0, 0
        self.ended_after_s = 0.0
        self._wanted_controllers = 0
        self._trainers = self.random("trainers")

    def random(self, name: str) -> Random:
        """A generator of its own for every actor."""
        return Random(f"{self._seed}/{name}")

    # The course of a history.

    def play(self) -> None:
        """Run it to its end.

        Raises:
            Violation: a promise does not hold.
        """
        for number, wanted in enumerate(self.scenario.searches):
            self.timeline.after(number * self.scenario.apart_s, lambda wanted=wanted: self.users.create(wanted))
        self.timeline.after(10, self.users.look)
        for _ in range(self.scenario.controllers):
            self.add_controller(None)
        self.timeline.run_for(1)
        deadline = self.timeline.now + FAULTS_S
        while self.edge.ios < self.edge.last_io and not self.over() and self.timeline.now < deadline:
            self.timeline.run_for(2)
        self.heal()
        healed_at = self.timeline.now
        while not self.over():
            if self.timeline.now > healed_at + BOUND_S:
                raise Violation("it ends", self._why_not())
            self.timeline.run_for(2)
        self.ended_after_s = self.timeline.now - healed_at
        self.timeline.run_for(SETTLES_S)
        self.check()

    def heal(self) -> None:
        """The end of all troubles."""
        self.edge.say("no more faults")
        self.edge.end_faults()
        # Clocks are set right, which is a jump too. No store lets in who is wrong by many minutes for long.
        self.offset_s = 0.0
        for controller in self.controllers.values():
            controller.offset_s = 0.0
        self.machines.down_until = self.machines.full_until = 0.0
        self.machines.slow_jobs_until = self.machines.slow_gc_until = 0.0
        self._wanted_controllers = 1
        alive = [one for one in self.controllers.values() if not one.dead]
        for controller in alive[1:]:
            controller.kill()
        for controller in alive[:1]:
            controller.deaf_until = 0.0
        if not alive:
            self._start_controller(1.0)
        for node in self.machines.nodes:
            if node.silent and not node.gone:
                self.machines.bring_back(node)
        self.users.lift()
        self.auditor.quiet_since = self.timeline.now

    def over(self) -> bool:
        """Whether every search has ended and is cleared away."""
        # A pod whose node never comes back stays on its way out for ever, in Kubernetes too.
        if any(not (pod.node and pod.node.gone) for pod in self.machines.pods.values()):
            return False
        if self.server.all(self.machines.jobs).keys() - self.auditor.foreign:
            return False
        living = self.server.all(SEARCHES)
        for wanted in self.scenario.searches:
            if wanted.name in self.users.deleted:
                continue
            if wanted.name not in living:
                return False
            if (living[wanted.name].get("status") or {}).get("phase") not in {"Complete", "Cancelled"}:
                return False
        return True

    def check(self) -> None:
        """Check what must hold at the end."""
        if not self.over():
            raise Violation("what has ended stays ended", self._why_not())
        for name, found in self.server.all(SEARCHES).items():
            head = self.bucket.objects.get(self._head_name(found))
            self.auditor.final(name, found, head, cancelled=name in self.users.cancelled)
        if not self.users.cancelled and not self.users.deleted:
            for key in self.bucket.objects:
                if key.startswith(f"{PREFIX}checkpoints/"):
                    self._check_left(key)
        failures = sum(
            ledger.state["counters"]["failures"] for ledger in self.auditor.ledgers.values() if ledger.head
        )
        if failures > self.machines.failed_pods + self.troubled:
            raise Violation("every attempt is counted once", f"{failures} of {self.machines.failed_pods} failures")
        if self.users.failures and not (
            self.machines.failed_pods or self.troubled or self.edge.struck["foreign-job"]
        ):
            raise Violation("what passes fails no search", "a search failed, and none of its attempts had")

    def _check_left(self, checkpoint: str) -> None:
        """A checkpoint may stay of an evaluation that nobody needed, or if its writer had no chance to remove it."""
        result = f"{PREFIX}results/{checkpoint.rpartition('/')[2].removesuffix('.pt')}.json"
        saved = self.saved[checkpoint]
        helpless = saved.late or saved.by.killed or saved.by.unanswered
        if result in self.bucket.objects and not helpless:
            raise Violation("nothing is left", f"{checkpoint}, of a finished evaluation, by {saved.by.name}")

    def evaluations(self) -> int:
        """Results that the searches know at the end."""
        heads = (ledger.head for ledger in self.auditor.ledgers.values())
        return sum(len(trainings_in(head["state"]["search"])) for head in heads if head)

    def _why_not(self) -> str:
        phases = {n: (s.get("status") or {}).get("phase") for n, s in self.server.all(SEARCHES).items()}
        return f"{phases}, Jobs {sorted(self.server.all(self.machines.jobs))}, pods {sorted(self.machines.pods)}"

    @staticmethod
    def _head_name(found: Object) -> str:
        metadata = found["metadata"]
        return f"{PREFIX}searches/{metadata['namespace']}/{metadata['name']}/{metadata['uid']}/state.json"

    # Controllers.

    def add_controller(self, seconds: float | None) -> None:
        """Have one controller more, for so many seconds or until the troubles end."""
        if self._wanted_controllers >= 3:
            return
        self._wanted_controllers += 1
        started = self._start_controller(0.5)
        if seconds is not None:
            self.timeline.after(max(5.0, seconds), lambda: self._one_less(started))

    def _one_less(self, controller: Controller) -> None:
        if self._wanted_controllers > 1:
            self._wanted_controllers -= 1
            if not controller.dead:
                self.edge.say(f"{controller.name} is taken away")
                controller.kill()

    def _start_controller(self, seconds: float) -> Controller:
        name = f"controller-{len(self.controllers)}"
        controller = Controller(
            name,
            self.timeline,
            self.edge,
            self.server,
            self.bucket,
            self.random(name),
            queued=self.scenario.queued,
            metrics=self.scenario.metrics,
            ended=self._ended,
            turned=lambda turned: self.auditor.turned(
                turned, self.server.all(self.machines.jobs), self.server.all(SEARCHES)
            ),
            offset_s=self.offset_s,
        )
        self.controllers[name] = controller
        self.auditor.overlapping |= self._alive() > 1
        controller.start(seconds)
        self.edge.say(f"{name} starts")
        return controller

    def _ended(self, controller: Controller, error: BaseException) -> None:
        self.edge.say(f"{controller.name} ends: {type(error).__name__}")
        if isinstance(error, Fenced):
            heads = {key: data for key, data in self.bucket.objects.items() if key.endswith("/state.json")}
            self.auditor.fenced(controller, heads)
        if self._alive() < self._wanted_controllers:
            self.timeline.after(self._trainers.uniform(*SUPERVISED_S), self._supervise)

    def _supervise(self) -> None:
        if self._alive() < self._wanted_controllers:
            self._start_controller(0.1)

    def _alive(self) -> int:
        # One that was killed while it stood still may have a request under way.
        return sum(not controller.dead or controller.busy for controller in self.controllers.values())

    # The cluster.

    def _trainer(self, pod: Pod, ended: Callable[[int, str], None]) -> Trainer:
        return Trainer(self, pod.name, pod.order, self._trainers, self.scenario.epoch_s, ended)

    def trainer_io(self, trainer: Trainer, verb: str, key: str, act: Callable[[], Any]) -> Any:
        """See `trainer.Machine`."""
        pod = self.machines.pods.get(trainer.name)
        if pod is not None and pod.node is not None and pod.node.cut_off:
            raise NoAnswer
        return self.edge.trainer(trainer.name, verb, key, act, NoAnswer)

    def _changed(self, event: str, collection: str, body: Object) -> None:
        kind = collection.rpartition("/")[2]
        if kind == "jobs":
            self._job_changed(event, body)
        elif kind == "searches":
            self.auditor.status_written(body.get("status") or {})
        self.machines.changed(event, collection, body)
        if kind in {"jobs", "searches"}:
            for controller in list(self.controllers.values()):
                controller.hear(of_search=kind == "searches")

    def _job_changed(self, event: str, job: Object) -> None:
        self.auditor.late |= self.edge.late
        self.edge.say(f"{event} {job['metadata']['name']}")
        if event == "ADDED":
            others = [one for one in self.server.all(self.machines.jobs).values() if one is not job]
            self.auditor.job_created(job, others, list(self.machines.pods.values()))
            self.auditor.knew(self._acting(), job, self.server.all(SEARCHES))
            if job["spec"].get("suspend") and job["metadata"]["name"] not in self.auditor.foreign:
                self.timeline.after(self._trainers.uniform(0.5, 20), lambda: self._admit(job))
        elif event == "DELETED" and self.edge.acting is not None:
            self.auditor.job_deleted(job, list(self.machines.pods.values()), self.server.all(SEARCHES))

    def _admit(self, job: Object) -> None:
        """The queue lets a Job run."""
        if self.server.all(self.machines.jobs).get(job["metadata"]["name"]) is job:
            job["spec"]["suspend"] = False
            self.server.touch(self.machines.jobs, job)

    def _refused(self, collection: str, found: Object, body: Object) -> None:
        if collection == self.machines.jobs:
            self.auditor.job_refused(self._acting(), found, body)

    def _acting(self) -> Controller | None:
        return self.controllers.get(self.edge.acting.name) if self.edge.acting else None
