"""A simulated controller process: the real Operator with all below it, over simulated connections."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any

from rcas.controller.config import Config
from rcas.controller.metrics import Metrics
from rcas.controller.operator import PASS_GAP_S, Operator
from rcas.controller.reconcile import World
from rcas.errors import Fenced
from rcas.location import S3Location, S3Settings
from rcas.pod import PodSpec
from rcas.runtimes.kubernetes.api import BURST, REQUESTS_PER_S, Api, RateLimit, backoff_s
from rcas.runtimes.kubernetes.namespace import Namespace
from rcas.stores.s3 import S3Store
from simulation.apiserver import ApiServer, Handled, Object
from simulation.bucket import NAME, Bucket, Client
from simulation.connection import Connection
from simulation.edge import Crash, Edge, Violation
from simulation.timeline import Appointment, Timeline, cancel

NAMESPACE = "ns"
PREFIX = "rcas/"
URL = f"s3://{NAME}/rcas"
LOCATION = S3Location.parse(URL)
CONFIGS = {
    queued: Config(store=URL, pod=PodSpec(image="trainer", queueName="queue" if queued else None), parallelism=2)
    for queued in (False, True)
}


class _Quiet:
    """Stands for metrics where a history has none."""

    def __getattr__(self, _name: str) -> Any:
        return self

    def __call__(self, *_arguments: Any, **_named: Any) -> Any:
        return self

    def __enter__(self) -> None: ...

    def __exit__(self, *_error: object) -> None: ...


_QUIET: Any = _Quiet()


class Controller:
    """One process, from its start to its end. Its clock may be wrong; its waits are not.

    Attributes:
        offset_s: how far its clock is ahead.
        dead: killed; its next move is its last.
        busy: whether a pass is under way.
        deaf_until: it hears of no change before.
        listed_at: see `edge.Process`.
        refused: (search uid, key, number) of attempts whose Job's name was taken by a foreign one, as far as it
            knows. refusing: of the request under way.
    """

    def __init__(
        self,
        name: str,
        timeline: Timeline,
        edge: Edge,
        server: ApiServer,
        bucket: Bucket,
        random: Random,
        *,
        queued: bool,
        metrics: bool,
        ended: Callable[[Controller, BaseException], None],
        turned: Callable[[Controller], None],
        offset_s: float = 0.0,
    ) -> None:
        self.name, self.random, self.offset_s = name, random, offset_s
        self._timeline, self._ended, self._turned = timeline, ended, turned
        self.dead = self.busy = self._woken = False
        self.deaf_until = self.listed_at = 0.0
        self.refused = set[tuple[str, str, int]]()
        self.refusing: tuple[str, str, int] | None = None
        self._unseen: tuple[str, str, int] | None = None
        self._next: Appointment | None = None
        self.store = S3Store(
            LOCATION,
            settings=S3Settings("path"),
            clock=self,
            sleep=self.sleep,
            draw=random.random,
            client=Client(bucket, partial(edge.s3, self)),
        )
        limit = RateLimit(now_s=lambda: timeline.now, sleep=self.sleep)
        self._began_at, self._asked, self._edge = timeline.now, 0, edge
        connection = Connection(server, self._ask)
        connection.sending = self._sending
        api = Api(connection, limit)  # type: ignore[arg-type]
        self.disruptions = deque[str](maxlen=100)
        measured = Metrics() if metrics else _QUIET
        world = World(
            config=CONFIGS[queued],
            namespace=Namespace(api, NAMESPACE),
            store=self.store,
            location=LOCATION,
            clock=self,
            writer=name,
            backoff_s=partial(backoff_s, draw=random.uniform),
            watch=lambda search, controller, step: measured.step(search, controller, step, self.now()),
        )
        self.operator = Operator(world, measured, self.disruptions)

    def _sending(self, verb: str, body: Object) -> None:
        if verb == "patch" and body["status"]["phase"] == "Failed":
            # It says, or tries to say, that it cannot go on.
            self.refused.clear()

    def _ask(self, verb: str, path: str, act: Callable[[], Handled]) -> Handled:
        self._asked += 1
        allowed = BURST + 1 + REQUESTS_PER_S * (self._timeline.now - self._began_at)
        if self._asked > allowed:
            raise Violation("at most 5 API requests a second", f"{self.name} has sent {self._asked}")
        self.refusing = None
        looking, self._unseen = self._unseen if verb == "get" else None, None
        status = 0
        try:
            answer = self._edge.api(self, verb, path, act)
            status = answer[0]
        finally:
            if looking and status != 200:
                # It could not see whose Job has the name, so it knows nothing of it.
                self.refused.discard(looking)
        if status == 409 and self.refusing:
            self.refused.add(self.refusing)
            self._unseen = self.refusing
        return answer

    def now(self) -> float:
        """Its clock."""
        return self._timeline.now + self.offset_s

    def sleep(self, seconds: float) -> None:
        """Wait while others act."""
        if seconds > 0:
            self._timeline.run_for(seconds)
            self.check()

    def check(self) -> None:
        """See `edge.Process`."""
        if self.dead:
            raise Crash

    def start(self, seconds: float) -> None:
        """Have its first pass after so many seconds."""
        self._next = self._timeline.after(seconds, self._turn)

    def kill(self) -> None:
        """SIGKILL. In the middle of a pass it takes effect when the process is next heard of."""
        self.dead = True
        if not self.busy:
            cancel(self._next)
            self._ended(self, Crash())

    def hear(self, *, of_search: bool) -> None:
        """A watch tells of a change: the loop of `rcas.controller.operator.run` wakes up."""
        now = self._timeline.now
        if self.dead or now < self.deaf_until:
            return
        if of_search:
            self.operator.searches_changed.set()
        if self.busy:
            self._woken = True
        elif self._next is not None and self._next[0] > now + PASS_GAP_S:
            self._wait(0.0)

    def _wait(self, seconds: float) -> None:
        cancel(self._next)
        self._next = self._timeline.after(seconds + PASS_GAP_S, self._turn)

    def _turn(self) -> None:
        self.busy, self._woken, self._next = True, False, None
        try:
            wait_s = self.operator.turn()
            self.check()
        except (Crash, Fenced) as error:
            self._end(error)
            return
        except Violation:
            raise
        except Exception as error:
            raise Violation("only being fenced ends a controller", f"{self.name}: {error!r}") from error
        finally:
            self.busy = False
        self._turned(self)
        self._wait(0.0 if self._woken else wait_s)

    def _end(self, error: BaseException) -> None:
        self.dead, self.busy = True, False
        self._ended(self, error)
