"""What the controller tells Prometheus. Every metric is described in docs/operations.md."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info

from rcas.controller.step import Controller, Step
from rcas.resource import Phase, Resource
from rcas.runtimes.base import Attempt
from rcas.search import Search

_SHORT_S = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800)
_LONG_S = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400)
_PHASES: tuple[Phase, ...] = ("Pending", "Running", "Paused", "LimitReached", "Complete", "Failed", "Cancelled")
_SEARCH = ("search",)
_CAUSES = (
    "interrupted",
    "lost",
    "PreemptionByScheduler",
    "DeletionByTaintManager",
    "EvictionByEvictionAPI",
    "DeletionByPodGC",
    "TerminationByKubelet",
)
"""Ours, and the reasons of Kubernetes' condition DisruptionTarget that there are today."""


class Tally(NamedTuple):
    """Counts of a search: what they have grown beyond their highest so far goes to the counters."""

    lazy: float
    shared: float
    violations: float
    gpu_seconds: float

    @classmethod
    def of(cls, controller: Controller) -> Tally:
        """The counts as they are now. `lazy` falls while a decision measures, and rises when it is taken."""
        found, states = controller.search.result, controller.search.states
        read = sum(len(state.measured) for state in states)
        return cls(
            lazy=sum(state.offered for state in states) - read,
            shared=read - found.demanded,
            violations=sum(rule.submodularity.broken for rule in found.rules.values()),
            gpu_seconds=controller.counters.gpu_seconds,
        )


class Metrics:
    """The controller's registry, and the one place that writes to it."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self._known: dict[str, tuple[str, Tally]] = {}
        self.controller = Info("rcas_controller", "Version of the controller.", registry=registry)
        self._info = Gauge(
            "rcas_search_info",
            "1 for every search; its labels describe it.",
            ("search", "phase", "dataset", "rules"),
            registry=registry,
        )
        self._searches = Gauge("rcas_searches", "Searches by phase.", ("phase",), registry=registry)
        self._evaluations = Counter(
            "rcas_evaluations",
            "Evaluations by result: trained, reused (known from elsewhere), failed (an attempt).",
            ("result",),
            registry=registry,
        )
        self._avoided = Counter(
            "rcas_evaluations_avoided",
            "Trainings that plain greedy would have run: lazy (a stale gain sufficed, or it is the same network), "
            "shared (another rule had measured it), reused (another search had).",
            ("reason",),
            registry=registry,
        )
        self._queue_s = Histogram(
            "rcas_evaluation_queue_seconds",
            "From the creation of a Job until its pod has a node.",
            buckets=_SHORT_S,
            registry=registry,
        )
        self._startup_s = Histogram(
            "rcas_evaluation_startup_seconds",
            "From then until its container runs.",
            buckets=_SHORT_S,
            registry=registry,
        )
        self._execution_s = Histogram(
            "rcas_evaluation_execution_seconds", "From then until it ends.", buckets=_LONG_S, registry=registry
        )
        self._running = Gauge("rcas_running_evaluations", "Trainings under way.", _SEARCH, registry=registry)
        self._accepted = Gauge(
            "rcas_accepted_blocks", "Blocks that a rule has accepted.", ("search", "rule"), registry=registry
        )
        self._budget = Gauge(
            "rcas_budget_used_ratio", "What the best network uses of a budget.", ("search", "kind"), registry=registry
        )
        self._best = Gauge(
            "rcas_best_accuracy",
            "Of the best network, from 0 to 1, on the validation images.",
            _SEARCH,
            registry=registry,
        )
        self._queue = Gauge(
            "rcas_priority_queue_size",
            "Elements that may still be added, over all rules.",
            _SEARCH,
            registry=registry,
        )
        self._violations = Counter(
            "rcas_submodularity_violations", "Gains that had grown when they were measured again.", registry=registry
        )
        self._preemptions = Counter(
            "rcas_evaluation_preemptions",
            "Trainings that were taken away, by Kubernetes' reason or `lost` or `interrupted`.",
            ("cause",),
            registry=registry,
        )
        self._gpu_s = Counter(
            "rcas_gpu_seconds", "GPUs times the seconds that trainings held them.", registry=registry
        )
        self._store = Counter(
            "rcas_store_requests", "Requests to the store.", ("operation", "outcome"), registry=registry
        )
        self._api = Counter(
            "rcas_api_requests", "Requests to the API server.", ("verb", "outcome"), registry=registry
        )
        self.reconcile_s = Histogram(
            "rcas_reconcile_seconds",
            "Time of one pass over all searches.",
            buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=registry,
        )
        self.store_up = Gauge("rcas_store_up", "1 if the store answered the last pass, else 0.", registry=registry)
        # A rate sees no first event where nothing was before it.
        for counter, values in (
            (self._evaluations, ("trained", "reused", "failed")),
            (self._avoided, ("lazy", "shared", "reused")),
            (self._preemptions, _CAUSES),
        ):
            for value in values:
                counter.labels(value)
        self._progress_at = Gauge(
            "rcas_last_progress_timestamp_seconds", "When a result last became known.", _SEARCH, registry=registry
        )

    def store_request(self, operation: str, outcome: str) -> None:
        """Count a request to the store."""
        self._store.labels(operation, outcome).inc()

    def api_request(self, verb: str, outcome: str) -> None:
        """Count a request to the API server."""
        self._api.labels(verb, outcome).inc()

    def preemption(self, cause: str) -> None:
        """Count a training that was taken away."""
        self._preemptions.labels(cause).inc()

    def step(self, search: Resource, controller: Controller, step: Step, now_s: float) -> None:
        """Take in what a step of a search found."""
        for item in step.collected:
            self._evaluations.labels("reused" if item.reused else "trained").inc()
            if item.reused:
                self._avoided.labels("reused").inc()
        for attempt in step.ended:
            self._attempt(attempt)
        for attempt in step.failed:
            if attempt.outcome in {"interrupted", "lost"}:
                self.preemption(attempt.outcome)
            else:
                self._evaluations.labels("failed").inc()
        if step.collected or search.uid not in self._known:
            self._progress_at.labels(search.name).set(now_s)
        self._grown(search, controller)
        self._gauges(search, controller.search, len(step.running))

    def _attempt(self, attempt: Attempt) -> None:
        timing = attempt.timing
        pairs = (
            (self._queue_s, timing.queued_s),
            (self._startup_s, timing.startup_s),
            (self._execution_s, timing.run_s),
        )
        for histogram, seconds in pairs:
            if seconds is not None:
                histogram.observe(seconds)

    def _grown(self, search: Resource, controller: Controller) -> None:
        now = Tally.of(controller)
        _, before = self._known.get(search.uid, ("", now))
        highest = Tally(*map(max, before, now))
        self._known[search.uid] = search.name, highest
        counters = (self._avoided.labels("lazy"), self._avoided.labels("shared"), self._violations, self._gpu_s)
        for counter, old, new in zip(counters, before, highest, strict=True):
            counter.inc(new - old)

    def _gauges(self, resource: Resource, search: Search, running: int) -> None:
        name, found, budget = resource.name, search.result, search.problem.budget
        self._running.labels(name).set(running)
        self._queue.labels(name).set(sum(len(state.queue) for state in search.states))
        for rule in found.rules.values():
            self._accepted.labels(name, rule.rule).set(max(0, len(rule.path) - 1))
        if found.best:
            self._best.labels(name).set(float(found.best.accuracy))
            for kind, used, limit in budget.uses(found.best.cost):
                if limit:
                    self._budget.labels(name, kind).set(used / limit)

    def searches(self, resources: Iterable[Resource]) -> None:
        """Count the searches by phase, and forget those that are gone."""
        resources = list(resources)
        counts = dict.fromkeys(_PHASES, 0)
        self._info.clear()
        for resource in resources:
            phase = resource.status().phase
            counts[phase] += 1
            self._info.labels(resource.name, phase, *_described(resource)).set(1)
        for phase, count in counts.items():
            self._searches.labels(phase).set(count)
        living = {resource.uid for resource in resources}
        for uid in self._known.keys() - living:
            name, _ = self._known.pop(uid)
            for gauge in (self._running, self._best, self._queue, self._progress_at):
                gauge.remove_by_labels({"search": name})
            for gauge in (self._accepted, self._budget):
                gauge.remove_by_labels({"search": name})


def _described(resource: Resource) -> tuple[str, str]:
    """(data set, rules) of a search, as far as its spec can be read: it is not checked here."""
    data, rules = resource.fields.get("data"), resource.fields.get("rules")
    dataset = str(data.get("dataset", "")) if isinstance(data, dict) else ""
    named = ",".join(map(str, rules)) if isinstance(rules, list) and rules else "UC,APR,AMR"
    return dataset[:64], named[:64]
