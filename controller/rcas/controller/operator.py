"""`rcas-controller`: the process that brings all Search resources of a namespace forward."""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from wsgiref.simple_server import WSGIServer

import click

from rcas import serving
from rcas.clock import Clock, SystemClock
from rcas.controller.config import Config, read_config
from rcas.controller.logs import start_logs
from rcas.controller.metrics import Metrics
from rcas.controller.page import page_of
from rcas.controller.reconcile import Reconciler, World
from rcas.controller.step import Controller, Step
from rcas.controller.web import Answers, serve
from rcas.errors import InvalidSpec, RcasError, Unavailable
from rcas.location import S3Location
from rcas.report import Gatherer
from rcas.resource import Resource
from rcas.runtimes.kubernetes.api import (
    LONGEST_BACKOFF_S,
    Api,
    ClusterUnavailable,
    Object,
    RateLimit,
    Refused,
    backoff_s,
    connect,
    listen,
)
from rcas.runtimes.kubernetes.jobs import SELECTOR
from rcas.runtimes.kubernetes.namespace import Namespace, jobs_path, pods_path, searches_path
from rcas.runtimes.kubernetes.observing import disruption_of
from rcas.state import head_name, read_head
from rcas.stores.base import Store
from rcas.stores.doctor import examine_briefly
from rcas.stores.opening import open_store

log = logging.getLogger("rcas")

PASS_GAP_S = 1.0
"""Least time between two passes: events come in bursts, and every pass lists."""
ALIVE_S = 300.0
"""A loop that has not turned for so long hangs; a store that does not answer is waited for much shorter."""


class Operator:
    """Reconciles every search of the namespace, one after the other, in passes.

    Args:
        world: what the reconcilers share.
        metrics: told of everything.
        disruptions: reasons for which pods were taken away, as a watch heard them.

    Attributes:
        searches_changed: set when the next pass shall list the searches.
        turned_at: when the last pass ended, in seconds since 1970.
    """

    def __init__(self, world: World, metrics: Metrics, disruptions: deque[str]) -> None:
        self._world, self._metrics, self._disruptions = world, metrics, disruptions
        self._reconcilers: dict[str, Reconciler] = {}
        self._listed_at = 0.0
        self._failures = 0
        self.searches_changed = threading.Event()
        self.turned_at: float | None = None

    @property
    def searches(self) -> list[Resource]:
        """Those of the last list."""
        return list(self._world.namespace.searches.values())

    def turn(self) -> float:
        """One pass. Returns after how many seconds the next is due if nothing wakes it.

        Raises:
            Fenced: another controller has taken over.
        """
        now_s, resync_s = self._world.clock.now(), self._world.config.resync_s
        while self._disruptions:
            self._metrics.preemption(self._disruptions.popleft())
        with self._metrics.reconcile_s.time():
            try:
                self._refresh(now_s)
                wait_s = self._reconcile_all(now_s)
                self._failures = 0
            except ClusterUnavailable as error:
                self._failures += 1
                wait_s = self._world.backoff_s(self._failures)
                log.warning("waiting", extra={"reason": str(error), "failures": self._failures})
        self._metrics.searches(self._world.namespace.searches.values())
        self.turned_at = self._world.clock.now()
        return min(wait_s, resync_s)

    def _refresh(self, now_s: float) -> None:
        # A clock that was put back must not keep it from listing until it has caught up.
        due = not 0 <= now_s - self._listed_at < self._world.config.resync_s
        changed = self.searches_changed.is_set()
        self.searches_changed.clear()
        try:
            self._world.namespace.refresh(searches=due or changed, pods=due)
        except ClusterUnavailable:
            self.searches_changed.set()
            raise
        self._listed_at = now_s if due else self._listed_at

    def _reconcile_all(self, now_s: float) -> float:
        searches = self._world.namespace.searches
        self._reconcilers = {uid: self._reconcilers.get(uid) or Reconciler(self._world) for uid in searches}
        wait_s = self._world.config.resync_s
        for uid, reconciler in self._reconcilers.items():
            # More is left than any wait takes if the clock was put back.
            if 0 < reconciler.retry_at - now_s <= LONGEST_BACKOFF_S:
                wait_s = min(wait_s, reconciler.retry_at - now_s)
                continue
            try:
                reconciler.reconcile(searches[uid])
            except Refused:
                wait_s = min(wait_s, max(0.0, reconciler.retry_at - now_s))
            except ClusterUnavailable:
                raise
            except Unavailable:
                # They share the store: no use in waiting for it once more for each of them.
                self._metrics.store_up.set(0)
                return min(wait_s, max(0.0, reconciler.retry_at - now_s))
        self._metrics.store_up.set(1)
        return wait_s


@click.command()
@click.option(
    "--config", "path", required=True, type=click.Path(path_type=Path), help="The configuration, a YAML file."
)
def main(path: Path) -> None:
    """Run the searches of a namespace as Kubernetes Jobs. Started by the chart."""
    try:
        config = read_config(path)
        start_logs(config.log_format)
        run(config)
    except InvalidSpec as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2)
    except RcasError as error:
        log.error("controller ends", extra={"reason": str(error), "error": type(error).__name__})
        sys.exit(1)


def run(config: Config) -> None:
    """Work until SIGTERM.

    Raises:
        Fenced: another controller has taken over.
        Unavailable: the store does not keep its promises.
    """
    stop, wake = threading.Event(), threading.Event()

    def end(_signal: int, _frame: object) -> None:
        stop.set()
        wake.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    clock, metrics = SystemClock(), Metrics()
    metrics.controller.info({"version": version("rcas")})
    limit = RateLimit()
    api, own_namespace = connect(limit, metrics.api_request)
    namespace = Namespace(api, os.environ.get("POD_NAMESPACE") or own_namespace)
    store, location = open_store(config.store, observe=metrics.store_request), S3Location.parse(config.store)
    disruptions = deque[str](maxlen=10_000)
    world = World(
        config=config,
        namespace=namespace,
        store=store,
        location=location,
        clock=clock,
        writer=f"{os.environ.get('POD_NAME') or socket.gethostname()}-{os.urandom(4).hex()}",
        backoff_s=backoff_s,
        watch=lambda search, controller, step: _watched(metrics, clock, search, controller, step),
    )
    operator = Operator(world, metrics, disruptions)
    servers = list(_serve(config, operator, metrics, store, clock))
    _trust(store, metrics, stop)
    _listen(api, namespace.name, operator, wake, stop, disruptions)
    log.info("controller starts", extra={"namespace": namespace.name, "store": config.store, "writer": world.writer})
    while not stop.is_set():
        wait_s = operator.turn()
        wake.wait(wait_s)
        stop.wait(PASS_GAP_S)
        wake.clear()
    for server in servers:
        server.shutdown()
    log.info("controller stops")


def _serve(config: Config, operator: Operator, metrics: Metrics, store: Store, clock: Clock) -> Iterator[WSGIServer]:
    field, port = "config.port", config.port
    try:
        yield serve(port, _answers(operator, metrics, store, clock))
        if config.page:
            field, port = "config.page.port", config.page.port
            page = page_of(config.page.hosts, lambda: operator.searches, store, clock)
            yield serving.serve("", port, page, "page")
    except OSError as error:
        raise InvalidSpec(field, got=port, allowed=f"a free port ({error.strerror})") from None


def _trust(store: Store, metrics: Metrics, stop: threading.Event) -> None:
    """Prove the store before anything is written to it; wait for one that does not answer."""
    failures = 0
    while not stop.is_set():
        broken = [finding for finding in examine_briefly(store) if not finding.held]
        metrics.store_up.set(0 if broken else 1)
        if not broken:
            return
        words = "; ".join(f"{finding.promise}: {finding.detail}" for finding in broken)
        if not _may_pass(store):
            raise Unavailable(f"the store cannot be trusted with a search: {words} (see rcasctl doctor)")
        failures += 1
        log.warning("waiting", extra={"reason": words, "failures": failures})
        stop.wait(backoff_s(failures))


def _may_pass(store: Store) -> bool:
    """Whether the store does not answer at all, rather than answering wrongly."""
    try:
        store.get("doctor/nothing")
    except Unavailable:
        return True
    return False


def _watched(metrics: Metrics, clock: Clock, search: Resource, controller: Controller, step: Step) -> None:
    metrics.step(search, controller, step, clock.now())
    for item in step.collected:
        fields = {"network": item.result.network, "correct": item.result.correct, "total": item.result.total}
        log.info("evaluation", extra={"search": search.name, "reused": item.reused, **fields})
    for attempt in step.failed:
        fields = {"attempt": attempt.name, "outcome": attempt.outcome, "reason": attempt.message}
        log.warning("attempt ended without a result", extra={"search": search.name, **fields})


def _answers(operator: Operator, metrics: Metrics, store: Store, clock: Clock) -> Answers:
    began = clock.now()

    gatherer, one_at_a_time = Gatherer(store), threading.Lock()

    def named(namespace: str, name: str) -> Resource | None:
        return next((s for s in operator.searches if (s.namespace, s.name) == (namespace, name)), None)

    def state(namespace: str, name: str) -> bytes | None:
        search = named(namespace, name)
        stored = store.get(head_name(search.id)) if search else None
        return stored.data if stored else None

    def report(namespace: str, name: str) -> bytes | None:
        search = named(namespace, name)
        # Making one takes a moment of a processor that the loop needs too.
        with one_at_a_time:
            head = read_head(store, search.id) if search else None
            return gatherer.report(head, clock.now()).model_dump_json().encode() if head else None

    return Answers(
        registry=metrics.registry,
        alive=lambda: clock.now() - (operator.turned_at or began) < ALIVE_S,
        ready=lambda: operator.turned_at is not None,
        state=state,
        report=report,
    )


def _listen(
    api: Api,
    namespace: str,
    operator: Operator,
    wake: threading.Event,
    stop: threading.Event,
    disruptions: deque[str],
) -> None:
    """Watch in the background. Events only wake the loop: the lists are what it believes."""
    known = deque[str](maxlen=1000)

    def heard_of_pod(event: Object) -> None:
        pod = event.get("object") or {}
        reason = disruption_of(pod)
        uid = (pod.get("metadata") or {}).get("uid", "")
        if reason and uid not in known:
            known.append(uid)
            disruptions.append(reason)

    def heard_of_search(_event: Object) -> None:
        operator.searches_changed.set()
        wake.set()

    def heard_of_job(_event: Object) -> None:
        wake.set()

    watches: list[tuple[str, Callable[[Object], None], dict[str, str]]] = [
        (searches_path(namespace), heard_of_search, {}),
        (jobs_path(namespace), heard_of_job, {"labelSelector": SELECTOR}),
        (pods_path(namespace), heard_of_pod, {"labelSelector": SELECTOR}),
    ]
    for path, heard, query in watches:
        name = f"watch {path.rpartition('/')[2]}"
        arguments = (api, path, heard, stop)
        threading.Thread(target=listen, args=arguments, kwargs=query, daemon=True, name=name).start()


if __name__ == "__main__":
    main()
