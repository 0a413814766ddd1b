"""Searches, one after the other, while everything that they rest on is killed again and again."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPException
from typing import Any, NamedTuple
from urllib.parse import quote

from botocore.exceptions import BotoCoreError, ClientError

from cluster import machine
from cluster.buckets import BUCKET, client
from cluster.decisions import Outcome, assert_counted_once, assert_same_decisions, outcome_of
from cluster.installation import CONTROLLER, Installation
from cluster.machine import ask
from cluster.resuming import started_at
from cluster.strikes import Missed, Strikes, Undo, asked
from cluster.waiting import until
from rcas.runtimes.kubernetes.jobs import UID_LABEL
from rcas.runtimes.kubernetes.namespace import jobs_path, pods_path, searches_path
from rcas.state import Head

BETWEEN_S = (1.0, 10.0)
"""From one strike to the next."""
CLEARED_S = 180.0
"""How long Jobs and pods of a search that has ended may stay, while things go on being killed."""
ENDS_S = 900.0
"""How long the last searches may take when nothing is killed any more."""
_LOOK_S = 0.5
_NO_ANSWER = (OSError, HTTPException, BotoCoreError, ClientError, Missed)


class Lane(NamedTuple):
    """A search to run again and again, and what it decides when nobody disturbs it."""

    spec: Mapping[str, Any]
    reference: Outcome


@dataclass
class Run:
    """One search under way.

    Attributes:
        completed_at: when that was seen.
        head: its state, when last seen.
        outcome: what it has decided, once it has ended. left: what is still there then.
    """

    lane: int
    name: str
    uid: str = ""
    completed_at: float | None = None
    head: Head | None = None
    outcome: Outcome | None = None
    left: list[str] = field(default_factory=list[str])


@dataclass
class Return:
    """A controller that was ended.

    Attributes:
        epochs: of the searches that its successor has not taken over yet.
        hindered: whether something else was away then or was struck since.
    """

    gone_at: float
    epochs: dict[str, int]
    back_at: float | None = None
    hindered: bool = False


@dataclass
class Figures:
    """What came of it.

    Attributes:
        strikes: by kind. missed: that found nothing to strike.
        repeats: trainings that ended without a result and began again.
        resumed_s: from the start of a controller to its taking over of each search that was running; gone_s: the same
            from the end of the one before, so with what Kubernetes takes to start a container.
        hindered_s: as gone_s, where something else was away or struck meanwhile; the other two leave these out.
        cut_short: how often the next kill came before that.
        differences: decisions other than the reference's, counts that do not fit, searches that failed.
        left: Jobs, pods, and checkpoints of evaluations that have a result.
    """

    took_s: float = 0.0
    strikes: Counter[str] = field(default_factory=Counter[str])
    missed: int = 0
    searches: int = 0
    evaluations: int = 0
    repeats: int = 0
    resumed_s: list[float] = field(default_factory=list[float])
    gone_s: list[float] = field(default_factory=list[float])
    hindered_s: list[float] = field(default_factory=list[float])
    cut_short: int = 0
    differences: list[str] = field(default_factory=list[str])
    left: list[str] = field(default_factory=list[str])

    def __str__(self) -> str:
        strikes = "\n".join(f"| {kind} | {count} |" for kind, count in self.strikes.most_common())
        return (
            f"| struck | times |\n|---|---:|\n{strikes}\n| **together** | **{self.strikes.total()}** |\n\n"
            f"{self.took_s:.0f} s; {self.searches} searches of {self.evaluations} evaluations; {self.repeats} "
            f"trainings were cut off and repeated; {self.missed} strikes found nothing to strike.\n"
            f"A search is taken over {_spread(self.resumed_s)} after the controller's start, {_spread(self.gone_s)} "
            f"after its predecessor's end ({len(self.resumed_s)} times; {self.cut_short} times killed before).\n"
            f"While something else was away or struck: {_spread(self.hindered_s)} ({len(self.hindered_s)} times).\n"
            f"{len(self.differences)} differences, {len(self.left)} things left.\n"
            + "".join(f"- {line}\n" for line in [*self.differences, *self.left])
        )


class Soak:
    """Disturbs an installation and watches what becomes of its searches."""

    def __init__(self, installation: Installation, lanes: Sequence[Lane], draw: random.Random) -> None:
        self._installation, self._lanes, self._draw = installation, lanes, draw
        self._kinds = Strikes(installation, machine.RUN / "s3").kinds
        self._undos = list[tuple[float, Undo]]()
        self._return: Return | None = None
        self._runs = list[Run]()
        self._numbers = 0
        self._trouble = ""
        self._s3 = client(connect_s=1, read_s=2, attempts=1)
        self.figures = Figures()

    def run(self, seconds: float) -> Figures:
        """Strike for so long, then let the searches end."""
        began = time.monotonic()
        strike_at = began + 20
        for lane in range(len(self._lanes)):
            self._submit(lane)
        try:
            while time.monotonic() < began + seconds:
                self._undo()
                self._look(again=True)
                if time.monotonic() >= strike_at:
                    self._strike()
                    strike_at = time.monotonic() + self._draw.uniform(*BETWEEN_S)
                time.sleep(_LOOK_S)
            self.figures.took_s = time.monotonic() - began
        finally:
            self._undo(all_of_them=True)
        try:
            until("the searches to end", self._ended, within_s=ENDS_S, every_s=_LOOK_S)
        except AssertionError as error:
            raise AssertionError(f"{error}; {self._trouble}\n{self._installation.standing()}") from error
        return self.figures

    # Strikes.

    def _strike(self) -> None:
        away = {undo.name for _, undo in self._undos}
        kind = self._draw.choices(list(self._kinds), [weight for weight, _ in self._kinds.values()])[0]
        part = kind.lower().split()[0]
        if any(name.startswith(part) for name in away):
            self.figures.missed += 1
            return
        epochs = {run.uid: run.head.epoch for run in self._runs if run.head and not run.completed_at}
        try:
            undo = self._kinds[kind][1](self._draw)
        except _NO_ANSWER:
            self.figures.missed += 1
            return
        now = time.time()
        print(f"{datetime.fromtimestamp(now):%H:%M:%S} {kind}", flush=True)
        self.figures.strikes[kind] += 1
        if undo:
            self._undos.append((time.monotonic() + undo.after_s, undo))
        if kind in {"controller kill -9", "controller pod deleted"}:
            # The one before has come to nothing.
            self.figures.cut_short += len(self._return.epochs.keys() & epochs.keys()) if self._return else 0
            self._return = Return(now, epochs, hindered=bool(self._undos))
        elif self._return:
            self._return.hindered = True

    def _undo(self, *, all_of_them: bool = False) -> None:
        now = time.monotonic()
        due = [pair for pair in self._undos if all_of_them or pair[0] <= now]
        for pair in due:
            pair[1].act()
            self._undos.remove(pair)

    # Searches.

    def _submit(self, lane: int) -> None:
        self._numbers += 1
        self._runs.append(Run(lane, f"soak-{lane}-{self._numbers}"))

    def _ended(self) -> bool:
        self._look(again=False)
        return not self._runs

    def _look(self, *, again: bool) -> None:
        if {undo.name for _, undo in self._undos} & {"s3", "apiserver", "etcd"}:
            return
        self._trouble = ""
        try:
            for run in list(self._runs):
                self._look_at(run, again=again)
            self._look_for_return()
        except (*_NO_ANSWER, AssertionError) as error:
            # What does not answer is looked at again later.
            self._trouble = f"{type(error).__name__}: {error}"

    def _look_at(self, run: Run, *, again: bool) -> None:
        if not run.uid:
            self._create(run)
            return
        run.head = self._head(run) or run.head
        if run.completed_at is None:
            status = asked("GET", self._path(run)).get("status", {})
            if status.get("phase") == "Failed":
                self._end(run, f"{run.name} failed: {status}", again=again)
            elif status.get("phase") == "Complete":
                run.completed_at = time.monotonic()
            return
        if run.outcome is None:
            left = self._left(run)
            if left and time.monotonic() < run.completed_at + CLEARED_S:
                return
            run.left = left
            run.outcome = outcome_of(self._installation, run.name)
        self._clear_away(run, run.outcome)
        self._end(run, self._judged(run, run.outcome), again=again)

    def _clear_away(self, run: Run, outcome: Outcome) -> None:
        """Delete its results, so that the next search must train anew, and checkpoints that should not be there."""
        for name in self._installation.names("checkpoints/"):
            if name.removeprefix("checkpoints/")[:64] in outcome.results:
                run.left.append(f"{run.name}: {name}")
                self._installation.delete(name)
        for key in outcome.results:
            self._installation.delete(f"results/{key}.json")

    def _create(self, run: Run) -> None:
        if ask("GET", self._path(run), within_s=3).status == 404:
            try:
                self._installation.submit(run.name, {**self._lanes[run.lane].spec, "max_attempts": 1000})
            except AssertionError as error:
                print(f"not submitted: {str(error)[:150]}", flush=True)
                return
        run.uid = asked("GET", self._path(run))["metadata"]["uid"]

    def _path(self, run: Run) -> str:
        return f"{searches_path(self._installation.namespace)}/{run.name}"

    def _head(self, run: Run) -> Head | None:
        namespace = self._installation.namespace
        key = f"{namespace}/searches/{namespace}/{run.name}/{run.uid}/state.json"
        try:
            return Head.model_validate_json(self._s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
        except self._s3.exceptions.NoSuchKey:
            return None

    def _left(self, run: Run) -> list[str]:
        """Jobs and pods of the search that are still there."""
        selector = quote(f"{UID_LABEL}={run.uid}")
        paths = (path(self._installation.namespace) for path in (jobs_path, pods_path))
        found = [body for path in paths for body in asked("GET", f"{path}?labelSelector={selector}")["items"]]
        return [f"{run.name}: {body['metadata']['name']}" for body in found]

    def _judged(self, run: Run, outcome: Outcome) -> str | None:
        """What differs from the reference."""
        counters = outcome.head.state.counters
        self.figures.evaluations += counters.trained
        self.figures.repeats += counters.interruptions + counters.failures
        self.figures.left += run.left
        try:
            assert_same_decisions(outcome, self._lanes[run.lane].reference)
            assert_counted_once(outcome)
            assert counters.reused == 0, f"{counters.reused} evaluations were there before the search"
        except AssertionError as error:
            return f"{run.name}: {error}"
        return None

    def _end(self, run: Run, difference: str | None, *, again: bool) -> None:
        print(f"{datetime.now():%H:%M:%S} {run.name} ends{': ' + difference if difference else ''}", flush=True)
        self.figures.searches += 1
        self.figures.differences += [difference] if difference else []
        self._runs.remove(run)
        if again:
            self._submit(run.lane)

    # Controllers that come back.

    def _look_for_return(self) -> None:
        waiting = self._return
        if waiting is None or not waiting.epochs:
            return
        waiting.back_at = waiting.back_at or self._controller_started_at(waiting.gone_at)
        for run in self._runs:
            before = waiting.epochs.get(run.uid)
            if run.head and before is not None and run.head.epoch > before:
                del waiting.epochs[run.uid]
                now = time.time()
                if waiting.hindered:
                    self.figures.hindered_s.append(now - waiting.gone_at)
                else:
                    self.figures.resumed_s.append(now - (waiting.back_at or waiting.gone_at))
                    self.figures.gone_s.append(now - waiting.gone_at)

    def _controller_started_at(self, after: float) -> float | None:
        pods = asked("GET", f"{pods_path(self._installation.namespace)}?labelSelector={quote(CONTROLLER)}")["items"]
        at = started_at(pods, after)
        return at and max(at, after)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0


def _spread(values: Sequence[float]) -> str:
    return f"p50 {quantile(values, 0.5):.1f} s, p99 {quantile(values, 0.99):.1f} s"
