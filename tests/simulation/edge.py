"""The edge of a simulated process: every request that it sends passes here, and here its faults strike.

Between a request and its answer the time runs on and everybody else acts: the cluster, trainings, users, and other
controllers, whose whole passes may lie inside of one request of this one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol

from simulation import bucket, connection
from simulation.faults import OF_A_REQUEST, WAITS_FOR, Fault
from simulation.timeline import Timeline

LATEST_S = 90.0
"""A request that is carried out late is no later."""
THEN_S = 0.6
"""From a failure to what happens while its controller waits: it waits for 1 s at least."""
GIVEN_UP_S = 15.0
"""Time in which no try of a request succeeds that is carried out late; a store tries for about 8 s."""
_JOBS_AND_STATUS = {"create", "patch", "delete"}
MOST_IOS = 20_000
"""A history that needs more does not end."""


class Crash(BaseException):
    """The controller's process is gone; nothing may catch it."""


class Violation(BaseException):
    """What rcas promises does not hold."""

    def __init__(self, promise: str, how: str) -> None:
        super().__init__(f"{promise}: {how}")
        self.promise, self.how = promise, how


Way = tuple[str, Callable[[], Any]]


class Ways(NamedTuple):
    """How a request may fail: not carried out, or carried out all the same."""

    not_done: Callable[[], list[Way]]
    lost: Callable[[], list[Way]]


class Late:
    """A request that was given up and is not over: it is carried out when its target has been read so often."""

    def __init__(self, words: str, target: str, act: Callable[[], Any], reads: int) -> None:
        self.words, self.target, self.act, self.reads, self.done = words, target, act, reads, False


class Process(Protocol):
    """Who sends requests. `listed_at`: when the list of searches was made that it knows."""

    name: str
    random: Random
    listed_at: float

    def check(self) -> None:
        """Raise Crash if the process was killed in the meantime."""
        ...


class Edge:
    """Numbers the I/Os of a history and has its faults strike.

    Args:
        timeline: of the history.
        faults: those of the history.
        strike: what a fault of the world does.

    Attributes:
        ios: I/Os so far. requests, struck: how many of each kind.
        s3_down, api_down: an outage: (until when, which verbs, which error).
        late: whether an effect may come after its request was given up.
        acting: whose request is being carried out.
        way_s: seconds that a request takes at most to its server, and its answer back; now and then much longer.
    """

    def __init__(self, timeline: Timeline, faults: list[Fault], strike: Callable[[Fault], None]) -> None:
        self._timeline, self._strike = timeline, strike
        self._faults: dict[int, list[Fault]] = {}
        for fault in faults:
            self._faults.setdefault(fault.io, []).append(fault)
        self.last_io = max(self._faults, default=0)
        self.ios = 0
        self.requests, self.struck = Counter[str](), Counter[str]()
        self.s3_down: tuple[float, str, float] = (0.0, "", 0.0)
        self.api_down: tuple[float, str, float] = (0.0, "", 0.0)
        self.late = False
        self._lurking, self._waiting = list[Late](), list[Fault]()
        self._then: Callable[[], None] | None = None
        self._given_up: dict[tuple[str, str, str], float] = {}
        self.acting: Process | None = None
        self.log: list[str] = []
        self.way_s = 0.04

    def end_faults(self) -> None:
        """Nothing strikes any more."""
        self._faults.clear()
        self._waiting.clear()
        self._then = None
        self.s3_down = self.api_down = (0.0, "", 0.0)

    def after_a_failure(self, act: Callable[[], None]) -> None:
        """Have the next write to the API server fail, and `act` called just after, while its controller waits."""
        self._then = act

    def say(self, text: str) -> None:
        """Add a line to the history's log."""
        self.log.append(f"{self._timeline.now - 1_767_225_600:.3f} {text}")

    def s3(self, process: Process, verb: str, key: str, act: Callable[[], Any]) -> Any:
        """A controller's request to the S3 service."""
        ways = Ways(lambda: bucket.not_done(verb), lambda: bucket.answer_lost(verb))
        return self._send(process, "s3", verb, key, act, ways)

    def api(self, process: Process, verb: str, path: str, act: Callable[[], Any]) -> Any:
        """A controller's request to the API server."""
        ways = Ways(lambda: connection.not_done(verb, path), connection.answer_lost)
        return self._send(process, "api", verb, path, act, ways)

    def trainer(self, name: str, verb: str, key: str, act: Callable[[], Any], no_answer: type[Exception]) -> Any:
        """A trainer's request to the S3 service. It takes no time; faults that need a controller become errors."""
        number, faults = self._begin(f"trainer {verb}")
        words = f"#{number} {name} {verb} {key[-24:]}"
        until, which, _ = self.s3_down
        for fault in faults:
            self._struck(fault)
            if fault.kind in {"lost", "lost-write", "crash-after", "pause-after"}:
                act()
            elif fault.kind == "late":
                self.late = True
                self._timeline.after(min(fault.seconds, LATEST_S), act)
            self.say(f"{words}: {fault.kind}")
            raise no_answer
        if self._timeline.now < until and verb in which:
            self.say(f"{words}: outage")
            raise no_answer
        answer = act()
        self.say(words)
        return answer

    def _begin(self, request: str) -> tuple[int, list[Fault]]:
        self.ios += 1
        if self.ios > MOST_IOS:
            raise Violation("it ends", f"{MOST_IOS} I/Os and no end")
        self.requests[request] += 1
        number, own = self.ios, list[Fault]()
        for fault in self._faults.pop(number, ()):
            if fault.kind in WAITS_FOR:
                self._waiting.append(fault)
            else:
                self._meet(fault, own)
        for fault in self._waiting:
            if request in WAITS_FOR[fault.kind]:
                self._waiting.remove(fault)
                self._meet(fault, own)
                break
        return number, own

    def _meet(self, fault: Fault, own: list[Fault]) -> None:
        if fault.kind == "overtaken":
            stands = "pause-after" if fault.pick > 0.5 else "pause-before"
            own.append(fault._replace(kind=stands))
        if fault.kind in OF_A_REQUEST:
            own.append(fault)
        else:
            self._strike(fault)

    def _struck(self, fault: Fault) -> None:
        self.struck[fault.kind] += 1

    def _send(self, process: Process, edge: str, verb: str, target: str, act: Callable[[], Any], ways: Ways) -> Any:
        number, faults = self._begin(f"{edge} {verb}")
        words = f"#{number} {process.name} {edge} {verb} {target[-44:]}"
        kinds = {fault.kind: fault for fault in faults}
        for fault in faults:
            self._struck(fault)
        random = process.random.random()
        way_s = random * self.way_s
        self._travel(process, way_s if random < 0.93 else 20 * way_s, kinds, "before")
        if fault := kinds.get("error"):
            return self._fail(words, "not done", ways.not_done(), fault.pick)
        if self._then and edge == "api" and verb in _JOBS_AND_STATUS:
            self._timeline.after(THEN_S, self._then)
            self._then = None
            return self._fail(words, "not done", ways.not_done(), 0.0)
        down = self.s3_down if edge == "s3" else self.api_down
        if self._timeline.now < down[0] and verb in down[1]:
            return self._fail(words, "outage", ways.not_done(), down[2])
        if self._timeline.now < self._given_up.get((process.name, verb, target), 0.0):
            return self._fail(words, "given up", ways.not_done(), 0.0)
        if fault := kinds.get("late"):
            self._delay(process, Late(words, target, act, 2 if fault.pick > 0.75 else 1), fault)
            return self._fail(words, "late", ways.lost()[:2], fault.pick)
        self.acting, acted_at = process, self._timeline.now
        try:
            answer = act()
        except Exception as error:
            self.acting = None
            self.say(f"{words} -> {getattr(error, 'response', {}).get('Error', {}).get('Code') or type(error)}")
            if verb == "get":
                self._overtake(target)
            self._travel(process, way_s, kinds, "after")
            raise
        self.acting = None
        self.say(f"{words} -> {answer[0] if isinstance(answer, tuple) else 'ok'}")
        if verb in {"get", "list"}:
            self._overtake(target)
        self._travel(process, way_s, kinds, "after")
        if fault := kinds.get("lost") or kinds.get("lost-write"):
            return self._fail(words, "answer lost", ways.lost(), fault.pick)
        if verb == "list" and target.endswith("/searches"):
            process.listed_at = acted_at
        return answer

    def _travel(self, process: Process, seconds: float, kinds: dict[str, Fault], where: str) -> None:
        if fault := kinds.get(f"pause-{where}"):
            self.say(f"{process.name} stands still for {fault.seconds} s")
            seconds += fault.seconds
        if where == "before" and (fault := kinds.get("slow")):
            seconds += min(fault.seconds, 20.0)
        self._timeline.run_until(self._timeline.now + seconds)
        process.check()
        if f"crash-{where}" in kinds or (where == "after" and "crash-after-commit" in kinds):
            self.say(f"{process.name} crashes {where} its request")
            raise Crash

    def _fail(self, words: str, why: str, kinds: list[Way], pick: float) -> Any:
        name, answer = kinds[int(pick * len(kinds))]
        self.say(f"{words}: {why} ({name})")
        found = answer()
        if isinstance(found, Exception):
            raise found
        return found

    def _delay(self, process: Process, late: Late, fault: Fault) -> None:
        """Carry a request out later: after a while, or just when somebody has read what it changes.

        A store tries again what fails; here that fails too, so that its caller gives up before the request is done.
        """
        self.late = True
        if fault.pick > 0.5:
            self._lurking.append(late)
            self._given_up[process.name, "put", late.target] = self._timeline.now + GIVEN_UP_S
        self._timeline.after(min(fault.seconds, LATEST_S), lambda: self._act_late(late))

    def _overtake(self, read: str) -> None:
        for late in [late for late in self._lurking if late.target.startswith(read)]:
            late.reads -= 1
            if late.reads <= 0:
                self._act_late(late)

    def _act_late(self, late: Late) -> None:
        if late.done:
            return
        late.done = True
        if late in self._lurking:
            self._lurking.remove(late)
        self.say(f"{late.words}: carried out late")
        try:
            late.act()
        except Exception as error:
            self.say(f"{late.words}: in vain: {error}")
