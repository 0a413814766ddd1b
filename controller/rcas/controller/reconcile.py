"""One Search resource, brought forward: from its spec to its state in the store, and back to its status."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from rcas.clock import Clock
from rcas.controller.cluster_finals import ClusterFinals, is_due
from rcas.controller.config import Config
from rcas.controller.deputy import check_pod
from rcas.controller.limits import CANCELLED, PAUSED
from rcas.controller.status import Report, status_of
from rcas.controller.step import Controller, Step, new_state
from rcas.errors import CorruptState, Fenced, InvalidSpec, SearchFailed, Unavailable, one_line
from rcas.evaluation import Description
from rcas.location import S3Location
from rcas.messages import Inquiry
from rcas.pod import PodSpec
from rcas.resource import Resource, StateRef, Status
from rcas.runtimes.kubernetes.api import ClusterUnavailable
from rcas.runtimes.kubernetes.jobs import cpu_threads, describe_job
from rcas.runtimes.kubernetes.namespace import JobCluster, Namespace
from rcas.runtimes.kubernetes.observing import attempt_of
from rcas.search import Search
from rcas.spec import SearchSpec
from rcas.state import Ledger, SearchState, description_name, read_description
from rcas.stores.base import Store

log = logging.getLogger("rcas")

STATUS_INTERVAL_S = 5.0
"""Between two writes of a status in which only the numbers changed."""


@dataclass(frozen=True, slots=True)
class World:
    """What the reconcilers of a namespace share. `backoff_s`: how long to wait after so many failures in a row."""

    config: Config
    namespace: Namespace
    store: Store
    location: S3Location
    clock: Clock
    writer: str
    backoff_s: Callable[[int], float]
    watch: Callable[[Resource, Controller, Step], None]


class Reconciler:
    """Brings one search forward whenever it is asked to.

    Attributes:
        controller: of the search while it works on it.
        retry_at: not to be asked before, in seconds since 1970; after an error.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self.controller: Controller | None = None
        self._finals: ClusterFinals | None = None
        self.retry_at = 0.0
        self._failures = 0
        self._written_at = 0.0

    def reconcile(self, search: Resource) -> None:
        """Do what the search needs now, and write its status if it changed.

        Any other error is a bug: the log has its traceback, the status names it, and this search alone is tried
        again later.

        Raises:
            Fenced: another controller has taken the search over.
            Unavailable: the store or the API server does not answer; the status says so if it can be written.
        """
        try:
            self._reconcile(search)
        except (Fenced, Unavailable):
            raise
        except Exception as error:
            log.exception("internal error", extra={"search": search.name})
            self._back_off()
            words = f"{type(error).__name__}: {one_line(error)} (a bug of rcas; the controller's log has more)"
            self._tell_of_bug(search, words)

    def _tell_of_bug(self, search: Resource, words: str) -> None:
        before = search.status()
        report = Report(None, "InternalError", words, running=before.running)
        try:
            self._write(search, self._status(search, report, before), before)
        except Unavailable:
            raise
        except Exception:
            log.exception("the status cannot be written", extra={"search": search.name})

    def _back_off(self) -> None:
        """Begin again from what is written, a while later: after an error memory may be ahead of the store."""
        self.controller = self._finals = None
        self._failures += 1
        self.retry_at = self._world.clock.now() + self._world.backoff_s(self._failures)

    def _reconcile(self, search: Resource) -> None:
        before = search.status()
        if _is_settled(search, before):
            self.controller = None
            if is_due(search, before):
                self._retrain(search, before)
            else:
                self._finals = None
                self._clear(search)
            return
        failure: Unavailable | None = None
        try:
            report = self._advance(search)
            self._failures = 0
        except (InvalidSpec, SearchFailed, CorruptState) as error:
            log.error("search failed", extra={"search": search.name, "reason": str(error)})
            report = Report("Failed", type(error).__name__, str(error), self._decided())
        except Unavailable as error:
            failure = error
            self._back_off()
            log.warning("waiting", extra={"search": search.name, "reason": str(error), "failures": self._failures})
            of_store = not isinstance(error, ClusterUnavailable)
            reason = "StoreUnavailable" if of_store else "ClusterUnavailable"
            report = Report(None, reason, str(error), store_unavailable=of_store, running=before.running)
        if report.phase == "Failed":
            self.controller = None
        self._write(search, self._status(search, report, before), before)
        if report.phase in {"Failed", "Complete", "Cancelled"}:
            self._clear(search)
        if failure:
            raise failure

    def _retrain(self, search: Resource, before: Status) -> None:
        """Bring the final trainings of a completed search forward."""
        world = self._world
        if self._finals is None:
            self._finals = ClusterFinals(
                world.config, world.namespace, world.store, world.location, world.clock, world.writer
            )
        try:
            told = self._finals.advance(search, before)
        except Unavailable:
            self._back_off()
            raise
        self._failures = 0
        changes = {"finals": told, "running": told.running, "observedGeneration": search.generation}
        self._write(search, before.model_copy(update=changes), before)
        if told.phase in {"Complete", "Failed"}:
            self._clear(search)

    def _advance(self, search: Resource) -> Report:
        if self.controller is None:
            self.controller = self._open(search)
        controller = self.controller
        if controller is None:
            if search.cancel:
                return Report("Cancelled", "Cancelled", CANCELLED.message)
            if search.pause:
                return Report("Paused", "Paused", PAUSED.message)
            return Report("Pending", "Describing", "a Job looks at the data")
        spec = search.spec()
        controller.spec = controller.spec.model_copy(
            update={"limits": spec.limits, "parallelism": self._world.config.parallelism_of(spec.parallelism)}
        )
        controller.slots = controller.spec.parallelism or 1
        controller.paused, controller.cancelled = search.pause, search.cancel
        step = controller.step()
        self._world.watch(search, controller, step)
        waits = next((attempt.message for attempt in step.running if attempt.message), "")
        return Report(step.phase, step.phase, step.message or waits, controller.search, len(step.running))

    def _open(self, search: Resource) -> Controller | None:
        """The controller of the search; None while the data are not described yet."""
        world = self._world
        ledger = Ledger(world.store, search.id, world.writer)
        state = ledger.take_over()
        if state is None:
            state = self._begun(search, ledger)
        if state is None:
            return None
        # Whoever can write to the store can write a pod into a state.
        check_pod(state.spec.pod, world.config)
        cluster = JobCluster(
            world.namespace, search, state.spec.pod, world.location, world.clock, world.config.stall_s
        )
        log.info("search taken over", extra={"search": search.name, "evaluations": len(state.search.results)})
        return Controller(ledger, world.store, cluster, world.clock, state, slots=1, spec=state.spec)

    def _begun(self, search: Resource, ledger: Ledger) -> SearchState | None:
        if search.pause or search.cancel:
            return None
        spec = self._settled_spec(search)
        description = self._description(search, spec)
        if description is None:
            return None
        threads = cpu_threads(spec.pod) if spec.threads == "auto" else spec.threads
        state = new_state(spec, spec.protocol(description, threads), self._world.clock.now())
        ledger.create(state)
        return state

    def _settled_spec(self, search: Resource) -> SearchSpec:
        """The spec with the controller's defaults, which later changes of them do not reach any more."""
        spec, config = search.spec(), self._world.config
        pod: PodSpec = spec.pod.over(config.pod)
        if pod.image is None:
            raise InvalidSpec(
                "pod.image", got="nothing", allowed="an image here or in the controller's configuration"
            )
        check_pod(pod, config)
        return spec.model_copy(update={"pod": pod, "parallelism": config.parallelism_of(spec.parallelism)})

    def _description(self, search: Resource, spec: SearchSpec) -> Description | None:
        """What a trainer found in the data; None while its Job is under way."""
        world = self._world
        found = read_description(world.store, search.id)
        if found:
            self._clear(search)
            return found
        inquiry = Inquiry(
            source=spec.data.source(),
            draw=spec.data.draw(),
            space=spec.space.build(),
            answer=world.location.url(description_name(search.id)),
        )
        jobs = world.namespace.jobs_of(search)
        if not jobs:
            world.namespace.create_job(describe_job(search, spec.pod, inquiry))
            return None
        pods = world.namespace.pods_of(jobs[0])
        attempt = attempt_of(jobs[0], pods, world.clock.now(), world.config.stall_s, gpus=0)
        if attempt.outcome in {"interrupted", "lost"}:
            self._clear(search)
        elif attempt.outcome == "finished":
            raise SearchFailed("the trainer said that it described the data, but there is no description")
        elif attempt.outcome:
            raise SearchFailed(f"the trainer cannot describe the data: {attempt.message}")
        return None

    def _clear(self, search: Resource) -> None:
        """Delete whatever Jobs the search still has."""
        for job in self._world.namespace.jobs_of(search):
            self._world.namespace.delete_job(job["metadata"]["name"])

    def _status(self, search: Resource, report: Report, before: Status) -> Status:
        # A change of the spec that an error kept from having its effect is not observed yet.
        generation = search.generation if report.phase else before.observedGeneration
        state = StateRef(url=self._world.config.store, name=search.id)
        return status_of(report, before, state, generation, self._world.clock.now())

    def _decided(self) -> Search | None:
        return self.controller.search if self.controller else None

    def _write(self, search: Resource, status: Status, before: Status) -> None:
        """Write a status that changed; mere progress not more often than every few seconds."""
        if status == before:
            return
        now_s = self._world.clock.now()
        phases = [(one.phase, one.finals and one.finals.phase) for one in (status, before)]
        unchanged = phases[0] == phases[1] and _conditions_of(status) == _conditions_of(before)
        # A clock that was put back must not keep it from writing until it has caught up.
        if unchanged and 0 <= now_s - self._written_at < STATUS_INTERVAL_S:
            return
        self._written_at = now_s
        self._world.namespace.write_status(search, status)


def _is_settled(search: Resource, status: Status) -> bool:
    """Whether the search has ended, or failed and nobody asked to try again since by changing its spec."""
    if status.phase in {"Complete", "Cancelled"}:
        return True
    return status.phase == "Failed" and status.observedGeneration == search.generation


def _conditions_of(status: Status) -> list[tuple[str, ...]]:
    return [(c.type, c.status, c.reason, c.message) for c in status.conditions]
