"""What rcas promises, checked whenever something is written, created or deleted, and at the end of a history."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from rcas.runtimes.kubernetes.jobs import ATTEMPT_ANNOTATION, HASH_ANNOTATION, KEY_ANNOTATION, UID_LABEL
from rcas.state import parse_head
from simulation.accuracy import correct, trainings_in
from simulation.apiserver import Object
from simulation.controllers import PREFIX, Controller
from simulation.edge import Violation
from simulation.machines import Pod
from simulation.scenario import Wanted

USELESS_S = 45.0
"""How long a Job may live that no decision can use, once nothing goes wrong any more."""
STALE_S = 60.0
"""How long a status may lag behind, once nothing goes wrong any more."""
REUSE_S = 30.0
"""After so long every controller must have seen a result, where nothing goes wrong."""
Stages = tuple[tuple[int, ...], ...]


class Ledgered:
    """What the heads of one search have said so far.

    Attributes:
        head: the newest, as JSON.
        sha256: of its bytes.
        intended: attempts ever committed, by key.
        writers: of each epoch.
    """

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.head: Any = None
        self.sha256: str | None = None
        self.intended: dict[str, int] = {}
        self.writers: dict[int, str] = {}

    @property
    def state(self) -> Any:
        return self.head["state"]


class Auditor:
    """Hears of every change; raises Violation.

    Args:
        wanted: the searches of the history.
        controllers: all that have ever been, by name.
        now: the simulated time.

    Attributes:
        foreign: names of Jobs that are none of rcas's.
        quiet_since: when the last trouble ended; None while there may be more.
        created: Jobs of evaluations so far.
        exact: whether nothing went wrong at all, so that everything must happen once.
        overlapping: whether two controllers were alive at once. late: whether a request was carried out late.
        widened: uids of searches whose parallelism a user has changed.
        result_at: when each key's result was written. switched_at: see `users.Users`.
    """

    def __init__(
        self, wanted: tuple[Wanted, ...], controllers: dict[str, Controller], now: Callable[[], float], *, exact: bool
    ) -> None:
        self._wanted = {one.name: one for one in wanted}
        self._controllers, self._now, self.exact = controllers, now, exact
        self.ledgers: dict[str, Ledgered] = {}
        self.foreign = set[str]()
        self.quiet_since: float | None = None
        self.created = 0
        self.overlapping = self.late = False
        self.widened = set[str]()
        self.result_at: dict[str, float] = {}
        self.switched_at: dict[str, float] = {}
        self._names = set[str]()
        self._useless_since: dict[str, float] = {}
        self._stale_since: dict[str, float] = {}

    # The store.

    def wrote(self, key: str, before: bytes | None, data: bytes | None) -> None:
        """An object of the bucket was written, or deleted (None)."""
        kind, _, rest = key.removeprefix(PREFIX).partition("/")
        if kind == "results":
            self.result_at.setdefault(rest.removesuffix(".json"), self._now())
        if kind == "results" and before is not None and data != before:
            raise Violation("a result never changes", f"{key} was {'deleted' if data is None else 'overwritten'}")
        if kind == "searches" and rest.endswith("/state.json"):
            if data is None:
                raise Violation("the state file always parses", f"{key} was deleted")
            self._head(rest.removesuffix("/state.json"), data)

    def _head(self, search: str, data: bytes) -> None:
        ledger = self.ledgers.setdefault(search, Ledgered(self._wanted[search.split("/")[1]]))
        head: Any = json.loads(data)
        old = ledger.head
        if head["previous_sha256"] != ledger.sha256:
            raise Violation("the chain of hashes holds", f"seq {head['seq']} of {head['writer']} does not follow")
        _rises(old, head)
        if ledger.writers.setdefault(head["epoch"], head["writer"]) != head["writer"]:
            raise Violation("epoch and seq only rise", f"two writers in epoch {head['epoch']}")
        self._state(ledger, head)
        ledger.head, ledger.sha256 = head, hashlib.sha256(data).hexdigest()

    def _state(self, ledger: Ledgered, head: Any) -> None:
        state, reference = head["state"], ledger.wanted.reference
        found, told = state["search"], trainings_in(state["search"])
        for rule, path in zip(found["rules"], reference.paths, strict=True):
            if rule["path"] != path[: len(rule["path"])]:
                raise Violation("decisions equal the fault-free run's", f"{rule['rule']} took {rule['path']}")
        for (network, number), counts in told.items():
            if counts[0] != correct(network, reference.seed, number):
                raise Violation("a result never changes", f"{network} was told as {counts}")
        counters = state["counters"]
        if counters["trained"] + counters["reused"] != len(told):
            raise Violation("every evaluation is counted once", f"{counters}, but {len(told)} results")
        if ledger.head is not None:
            self._follows(ledger.state, state)
        for key, tried in state["attempts"].items():
            if tried["counted"] > tried["started"]:
                raise Violation("every attempt is counted once", f"{tried}")
            self._not_passed_over(head["writer"], found, key, tried["started"])
            ledger.intended[key] = max(ledger.intended.get(key, 0), tried["started"])

    def _follows(self, old: Any, new: Any) -> None:
        """What one state says the next must not take back."""
        told = trainings_in(new["search"])
        if any(told.get(training) != counts for training, counts in trainings_in(old["search"]).items()):
            raise Violation("a result never changes", "a result that was told is missing in the next state")
        for rule, before in zip(new["search"]["rules"], old["search"]["rules"], strict=True):
            if rule["path"][: len(before["path"])] != before["path"]:
                raise Violation("an accepted path is never rewritten", f"{before['path']} became {rule['path']}")
        if old["phase"] in {"Complete", "Cancelled"} and new["phase"] != old["phase"]:
            raise Violation("what has ended stays ended", f"{old['phase']} became {new['phase']}")
        for name in ("trained", "reused", "failures", "interruptions"):
            if new["counters"][name] < old["counters"][name]:
                raise Violation("counters only rise", f"{name} fell to {new['counters'][name]}")

    def _not_passed_over(self, writer: str, search: Any, key: str, started: int) -> None:
        controller = self._controllers.get(writer)
        for uid, other, number in controller.refused if controller else ():
            if other == key and started > number and key in search["asked"]:
                raise Violation(
                    "a foreign Job is not adopted", f"{writer} goes on past {uid[:8]} {key[:16]}-{number}"
                )

    # Jobs.

    def job_refused(self, controller: Controller | None, found: Object, body: Object) -> None:
        """A Job was not created because one of its name is there."""
        annotations = body["metadata"]["annotations"]
        owners = [{one["uid"] for one in job["metadata"].get("ownerReferences") or ()} for job in (found, body)]
        hashes = [(job["metadata"].get("annotations") or {}).get(HASH_ANNOTATION) for job in (found, body)]
        if controller and ATTEMPT_ANNOTATION in annotations and (owners[0] != owners[1] or hashes[0] != hashes[1]):
            number = int(annotations[ATTEMPT_ANNOTATION].rpartition("-")[2])
            uid = body["metadata"]["labels"][UID_LABEL]
            controller.refusing = (uid, annotations[KEY_ANNOTATION], number)

    @property
    def _sure(self) -> bool:
        """Whether no other controller and no late request can be the reason of what happens."""
        return not (self.overlapping or self.late)

    def job_created(self, job: Object, others: list[Object], pods: list[Pod]) -> None:
        """A Job was created."""
        metadata = job["metadata"]
        attempt = metadata["annotations"].get(ATTEMPT_ANNOTATION)
        if metadata["name"] in self.foreign or attempt is None:
            return
        self.created += 1
        key, number = metadata["annotations"][KEY_ANNOTATION], int(attempt.rpartition("-")[2])
        uid = metadata["labels"][UID_LABEL]
        ledger = next((one for name, one in self.ledgers.items() if name.endswith(uid)), None)
        if ledger is None or ledger.intended.get(key, 0) < number:
            raise Violation("no Job without committed intent", f"{metadata['name']} was created")
        if metadata["name"] in self._names and not self.late:
            raise Violation("no attempt is launched twice", f"{metadata['name']} was created again")
        self._names.add(metadata["name"])
        if self.exact and self._now() - self.result_at.get(key, self._now()) > REUSE_S:
            raise Violation("every evaluation is paid for once", f"{metadata['name']}, whose result is there")
        mine = [other for other in others if other["metadata"]["labels"].get(UID_LABEL) == uid and _lives(other)]
        mine = [other for other in mine if other["metadata"]["name"] not in self.foreign]
        for other in mine:
            name = other["metadata"]["name"]
            if self._sure and other["metadata"]["annotations"].get(KEY_ANNOTATION) == key and _well(other, pods):
                raise Violation("every evaluation is paid for once", f"{metadata['name']} beside {name}")
        well = [other for other in mine if _well(other, pods)]
        if self._sure and uid not in self.widened and len(well) >= ledger.wanted.spec["parallelism"]:
            raise Violation("no more run than asked for", f"{metadata['name']} is one too many")

    def knew(self, controller: Controller | None, job: Object, searches: dict[str, Object]) -> None:
        """A controller that has read that a search is paused or cancelled must not have created a Job for it."""
        uid = job["metadata"].get("labels", {}).get(UID_LABEL)
        for search in searches.values():
            if controller is None or search["metadata"]["uid"] != uid:
                continue
            held = search["spec"].get("pause") or search["spec"].get("cancel")
            if held and controller.listed_at > self.switched_at.get(uid, controller.listed_at):
                raise Violation("a paused search launches nothing", f"{job['metadata']['name']} was created")

    def job_deleted(self, job: Object, pods: list[Pod], searches: dict[str, Object]) -> None:
        """A controller has deleted a Job."""
        metadata = job["metadata"]
        if metadata["name"] in self.foreign:
            raise Violation("a foreign Job is not touched", f"{metadata['name']} was deleted")
        key, uid = metadata["annotations"].get(KEY_ANNOTATION, ""), metadata["labels"][UID_LABEL]
        ledger = next((one for name, one in self.ledgers.items() if name.endswith(uid)), None)
        phases = [found.get("status", {}).get("phase") for found in searches.values() if _uid(found) == uid]
        if not key or ledger is None or ledger.state["phase"] == "Failed" or "Failed" in phases:
            return
        tried, asked = ledger.state["attempts"].get(key), ledger.state["search"]["asked"]
        if not _lives(job):
            number = int(metadata["annotations"][ATTEMPT_ANNOTATION].rpartition("-")[2])
            if tried and tried["counted"] < number and key in asked:
                raise Violation("nothing is cleared away before it is committed", metadata["name"])
        elif self._sure and ledger.state["phase"] == "Running" and self._useful(job, key) and _well(job, pods):
            raise Violation("no useful training is cancelled", metadata["name"])

    def turned(self, controller: Controller, jobs: dict[str, Object], searches: dict[str, Object]) -> None:
        """A controller has ended a pass: look for Jobs that live too long, and for what is old."""
        if self.quiet_since is None:
            return
        now = self._now()
        if now - max(controller.listed_at, self.quiet_since) > STALE_S:
            raise Violation("what users change is heard", f"{controller.name} has not looked for a minute")
        for search in searches.values():
            self._check_status(search, now)
        for name, job in jobs.items():
            key = job["metadata"].get("annotations", {}).get(KEY_ANNOTATION)
            going = "deletionTimestamp" in job["metadata"]
            if name in self.foreign or key is None or going or self._useful(job, key):
                self._useless_since.pop(name, None)
            elif now - self._useless_since.setdefault(name, now) > USELESS_S:
                raise Violation("no live Job that no decision can use", f"{name} is {USELESS_S:g} s old")

    def _check_status(self, search: Object, now: float) -> None:
        uid, status = _uid(search), search.get("status") or {}
        ledger = next((one for name, one in self.ledgers.items() if name.endswith(uid)), None)
        told = len(trainings_in(ledger.state["search"])) if ledger else 0
        if ledger is None or ledger.state["phase"] != "Running" or status.get("evaluations") == told:
            self._stale_since.pop(uid, None)
        elif now - self._stale_since.setdefault(uid, now) > STALE_S:
            raise Violation(
                "the status tells the state", f"{status.get('evaluations')} evaluations, and {told} are told"
            )

    def _useful(self, job: Object, key: str) -> bool:
        uid = job["metadata"]["labels"][UID_LABEL]
        ledger = next((one for name, one in self.ledgers.items() if name.endswith(uid)), None)
        if ledger is None:
            return False
        found = ledger.state["search"]
        network = found["asked"].get(key)
        if network is None or ledger.state["phase"] in {"Complete", "Cancelled"}:
            return False
        stages, goal = ledger.wanted.spec["space"]["stages"], _parsed(network)
        return any(rule["stopped"] is None and _grows(_grown(stages, rule["path"]), goal) for rule in found["rules"])

    # Controllers.

    def fenced(self, controller: Controller, heads: dict[str, bytes]) -> None:
        """A controller has ended because it was told that another has taken over."""
        if all(json.loads(data)["writer"] == controller.name for data in heads.values()):
            raise Violation("no controller fences itself", f"{controller.name} was fenced, and wrote every head")

    def status_written(self, status: Object) -> None:
        """A search's status was written, or its spec."""
        for condition in status.get("conditions", ()):
            if condition["reason"] == "InternalError":
                raise Violation("no error is unforeseen", condition["message"])

    # The end.

    def final(self, name: str, resource: Object, head: bytes | None, *, cancelled: bool) -> None:
        """A search has ended. `head`: its head object."""
        wanted, phase = self._wanted[name], resource["status"]["phase"]
        if cancelled and head is None:
            return
        if head is None:
            raise Violation("it ends", f"{name} has no state")
        search = f"{resource['metadata']['namespace']}/{name}/{resource['metadata']['uid']}"
        state = parse_head(head, search).state
        if phase == "Cancelled" and not resource["status"]["evaluations"]:
            return  # It had no state then. Who had not heard of it, or was late, wrote one when all was over.
        if state.phase != phase:
            raise Violation("the status tells the state", f"{phase}, but {state.phase}")
        if cancelled and phase == "Cancelled":
            return
        rules = [rule.model_dump(mode="json") for rule in state.search.rules]
        if rules != wanted.reference.rules:
            raise Violation("decisions equal the fault-free run's", f"{rules} is not {wanted.reference.rules}")
        if state.attempts:
            raise Violation("nothing is left", f"attempts {state.attempts}")
        if resource["status"]["evaluations"] != len(trainings_in(state.search.model_dump(mode="json"))):
            raise Violation("the status tells the state", f"{resource['status']['evaluations']} evaluations")
        if self.exact and len(self._wanted) == 1 and not wanted.spec["speculate"]:
            counters = state.counters
            counts = (counters.trained, self.created, counters.reused, counters.failures, counters.interruptions)
            if counts != (wanted.reference.evaluations, wanted.reference.evaluations, 0, 0, 0):
                raise Violation(
                    "every evaluation is paid for once", f"{counts}, {wanted.reference.evaluations} asked"
                )


def _rises(old: Any, new: Any) -> None:
    before = (old["epoch"], old["seq"]) if old else (0, 0)
    if new["epoch"] < before[0] or new["seq"] <= before[1]:
        raise Violation("epoch and seq only rise", f"{before} became {(new['epoch'], new['seq'])}")


def _uid(body: Object) -> str:
    return body["metadata"]["uid"]


def _lives(job: Object) -> bool:
    ended = any(one["type"] in {"Complete", "Failed"} for one in (job.get("status") or {}).get("conditions") or ())
    return not ended and "deletionTimestamp" not in job["metadata"]


def _well(job: Object, pods: list[Pod]) -> bool:
    """Whether nothing is wrong with a Job's pods."""
    mine = [pod for pod in pods if pod.job_uid == _uid(job)]
    return not any(pod.terminating or pod.ended or pod.troubled or (pod.node and pod.node.silent) for pod in mine)


def _parsed(network: str) -> Stages:
    parts = (part.strip() for part in network.split("/"))
    return tuple(() if part == "-" else tuple(map(int, part.split(","))) for part in parts)


def _grown(stages: list[Any], path: list[Any]) -> Stages:
    """The network after a path of (position, block, accuracy)."""
    first, found = 0, list[tuple[int, ...]]()
    for stage in stages:
        taken = sorted(
            (position, block) for position, block, _ in path if first <= position < first + stage["positions"]
        )
        found.append((*stage["start"], *(block for _, block in taken)))
        first += stage["positions"]
    return tuple(found)


def _grows(small: Stages, large: Stages) -> bool:
    """Whether the one is the other with blocks left out."""
    for part, whole in zip(small, large, strict=True):
        rest = iter(whole)
        if not all(block in rest for block in part):
            return False
    return True
