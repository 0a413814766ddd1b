"""Hand-made defects of the protocol's code, each a change of the source: what the simulation must catch.

`old` stands once in the file, and `new` in its place is the defect. Those marked as real were in the code until the
simulation found them.
"""

from __future__ import annotations

from typing import NamedTuple


class Defect(NamedTuple):
    """A defect: its name, what it does, in which module, and the change of its source."""

    name: str
    what: str
    module: str
    old: str
    new: str


_STATE, _STEP = "rcas.state", "rcas.controller.step"
_RECONCILE, _OPERATOR = "rcas.controller.reconcile", "rcas.controller.operator"
_NAMESPACE, _API = "rcas.runtimes.kubernetes.namespace", "rcas.runtimes.kubernetes.api"
_JOBS, _OBSERVING = "rcas.runtimes.kubernetes.jobs", "rcas.runtimes.kubernetes.observing"
_S3, _FAILURES = "rcas.stores.s3", "rcas.stores.s3_failures"

DEFECTS = (
    # The head object.
    Defect(
        "no-cas",
        "commits replace whatever version is there",
        _STATE,
        "self._version = self.store.put(head_name(self.search), _encode(head), expected=self._version)",
        "now = self.store.get(head_name(self.search))\n"
        "            self._version = self.store.put(\n"
        "                head_name(self.search), _encode(head), expected=now.version if now else None\n"
        "            )",
    ),
    Defect(
        "expected-none-ignored",
        "a create overwrites what exists",
        _S3,
        'condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}',
        'condition = {} if expected is None else {"IfMatch": expected}',
    ),
    Defect(
        "match-ignored",
        "a replace does not name the version",
        _S3,
        'condition = {"IfNoneMatch": "*"} if expected is None else {"IfMatch": expected}',
        'condition = {"IfNoneMatch": "*"} if expected is None else {}',
    ),
    Defect(
        "conflict-is-success",
        "a refused write counts as done",
        _S3,
        "            if conflict:\n",
        "            if conflict and (other := self._get(name, 1)):\n"
        "                return other.version\n"
        "            if conflict:\n",
    ),
    Defect(
        "version-read-afterwards",
        "the version to write on is read after the write",
        _STATE,
        "        self._head = head\n\n",
        "        now = self.store.get(head_name(self.search))\n"
        "        self._version = now.version if now else None\n"
        "        self._head = head\n\n",
    ),
    Defect(
        "not-fencing",
        "a writer that lost the race goes on",
        _STATE,
        'raise Fenced(f"another controller has taken over the search {self.search}")',
        "assert stored\n        return stored.version",
    ),
    Defect(
        "conflict-without-reading-back",
        "a refused write is another's, whoever wrote it",
        _STATE,
        "if stored and stored.data == _encode(head):",
        "if stored and parse_head(stored.data, self.search).writer == self.writer:\n"
        '            raise Fenced("somebody wrote")\n'
        "        if stored and stored.data == _encode(head):",
    ),
    Defect(
        "late-write-fences",
        "an own older write that was carried out late counts as another's",
        _STATE,
        'raise Unavailable(f"an older write of the search {self.search} was carried out late")',
        'raise Fenced("an older write")',
    ),
    Defect(
        "epoch-stays",
        "taking over does not raise the epoch",
        _STATE,
        "self._write(head.state, head.epoch + 1, head.seq + 1,",
        "self._write(head.state, head.epoch, head.seq + 1,",
    ),
    Defect(
        "takes-over-without-writing",
        "taking over only reads",
        _STATE,
        "        self._write(head.state, head.epoch + 1, head.seq + 1, hashlib.sha256(stored.data).hexdigest())\n",
        "        self._head = head\n",
    ),
    Defect(
        "seq-stays",
        "a commit keeps the number of the one before",
        _STATE,
        "self._write(state, self._head.epoch, self._head.seq + 1, previous)",
        "self._write(state, self._head.epoch, self._head.seq, previous)",
    ),
    Defect(
        "chain-broken",
        "a commit carries no hash of the one before",
        _STATE,
        "self._write(state, self._head.epoch, self._head.seq + 1, previous)",
        "self._write(state, self._head.epoch, self._head.seq + 1, None)",
    ),
    Defect(
        "no-answer-is-nothing",
        "an object that cannot be read now counts as missing",
        _S3,
        '            if failed.failure.kind == "missing":\n                return None\n',
        '            if failed.failure.kind in {"missing", "passing"}:\n                return None\n',
    ),
    Defect(
        "500-was-not-done",
        "a 5xx of the store is never carried out, and is not tried again",
        _FAILURES,
        'return Failure("passing", words, uncertain=status != 409)',
        'return Failure("conflict", words)',
    ),
    # The step.
    Defect(
        "counted-twice",
        "an attempt's result is counted as often as it is seen",
        _STEP,
        "        self._attempts.pop(key, None)\n        seconds =",
        "        seconds =",
    ),
    Defect(
        "result-deleted",
        "a result that was told is deleted, to save space",
        _STEP,
        "            self._store.delete(checkpoint_name(item.evaluation.key))",
        "            self._store.delete(result_name(item.evaluation.key))",
    ),
    Defect(
        "intent-after-create",
        "Jobs are created before their intent is committed",
        _STEP,
        '        self._commit(phase, hold.message if hold else "")\n',
        "        for evaluation in launches:\n"
        "            self._launch(evaluation)\n"
        "        launches = []\n"
        '        self._commit(phase, hold.message if hold else "")\n',
    ),
    Defect(
        "intent-not-committed",
        "an intent alone is no reason to commit",
        _STEP,
        'update={"started": tried.started + 1})\n        self._dirty = True\n',
        'update={"started": tried.started + 1})\n',
    ),
    Defect(
        "forgets-before-commit",
        "ended Jobs are deleted before what they were is committed",
        _STEP,
        '        self._commit(phase, hold.message if hold else "")\n',
        "        for attempt in observed:\n"
        "            if attempt.outcome is not None:\n"
        "                self._cluster.forget(attempt.name)\n"
        '        self._commit(phase, hold.message if hold else "")\n',
    ),
    Defect(
        "attempts-unnumbered",
        "every attempt at an evaluation is its first",
        _STEP,
        'self._cluster.launch(f"{evaluation.key[:16]}-{self._attempts[evaluation.key].started}", task)',
        'self._cluster.launch(f"{evaluation.key[:16]}-1", task)',
    ),
    Defect(
        "failure-counted-twice",
        "a failed attempt is counted as often as it is seen",
        _STEP,
        "            elif _number(attempt) > self._attempts[attempt.key].counted:\n",
        "            else:\n",
    ),
    Defect(
        "lost-is-failure",
        "an attempt whose node was lost counts as failed",
        _STEP,
        'if attempt.outcome in {"interrupted", "lost"}:',
        'if attempt.outcome == "interrupted":',
    ),
    Defect(
        "useless-runs-on",
        "speculation that no decision can use is not cancelled",
        _STEP,
        "or not self.search.may_need(a.key)]",
        "or self.search.done]",
    ),
    Defect(
        "useful-cancelled",
        "whatever is not in the newest plan is cancelled",
        _STEP,
        "or not self.search.may_need(a.key)]",
        "or a.key not in {evaluation.key for evaluation in wanted}]",
    ),
    Defect(
        "intent-forgotten",
        "a pause forgets how many attempts there were",
        _STEP,
        "        if tried and keep_intent:\n",
        "        if tried and not keep_intent:\n",
    ),
    Defect(
        "pause-unheard",
        "a paused search goes on",
        _STEP,
        "        if self.paused:\n            return PAUSED\n",
        "",
    ),
    Defect(
        "too-many",
        "running trainings are not counted against the parallelism",
        _STEP,
        "free = self.slots - len(running) + useless",
        "free = self.slots",
    ),
    Defect(
        "launches-what-runs",
        "what runs already is launched again",
        _STEP,
        "return [evaluation for evaluation in wanted if evaluation.key not in running][: max(0, free)]",
        "return wanted[: max(0, free)]",
    ),
    Defect(
        "results-not-looked-up",
        "results that another search has are not looked for",
        _STEP,
        "            self._looked_up.update(new)\n",
        "            self._looked_up.update(new)\n            new = []\n",
    ),
    Defect(
        "others-jobs-cleared",
        "an overtaken controller that has nothing to write clears away the other's ended Jobs (real)",
        _STEP,
        "self._dirty |= self.search.may_need(attempt.key) or not self.search.network_of(attempt.key)",
        "pass",
    ),
    Defect(
        "checkpoint-after-commit",
        "checkpoints are deleted after the commit, so never if that is the controller's last act (real)",
        _STEP,
        "            self._store.delete(checkpoint_name(item.evaluation.key))\n"
        '        self._commit(phase, hold.message if hold else "")\n',
        '            pass\n        self._commit(phase, hold.message if hold else "")\n'
        "        for item in collected:\n"
        "            self._store.delete(checkpoint_name(item.evaluation.key))\n",
    ),
    Defect(
        "ends-with-attempts",
        "the last state still has attempts",
        _STEP,
        "            self._attempts.clear()\n",
        "            pass\n",
    ),
    Defect(
        "cancelled-lives-again",
        "a cancelled search goes on when the next controller has not heard of it (real)",
        _STEP,
        '        if self._committed[0] == "Cancelled":\n',
        "        if False:\n",
    ),
    # Decisions.
    Defect(
        "speculation-read",
        "decisions read whatever is known, asked for or not",
        "rcas.greedy",
        "    needed = _needed(problem, state)\n",
        "    needed = _needed(problem, state)\n"
        "    stale = {c.network for c in state.queue if c.network in known and c.measured_at < len(state.path)}\n"
        "    needed += tuple(stale - set(needed)) if needed else ()\n",
    ),
    Defect(
        "stale-accepted",
        "the top of the queue is accepted with the gain it had",
        "rcas.greedy",
        "    return (top.network,) if top and top.measured_at < len(state.path) else ()\n",
        "    return ()\n",
    ),
    Defect(
        "asked-forgotten",
        "what was asked for is not stored",
        "rcas.search",
        "if network not in self._counts},",
        "if False},",
    ),
    # Jobs.
    Defect(
        "no-owner-check",
        "a Job belongs to the search that its label names",
        _NAMESPACE,
        "            and search.uid in _owners(job)\n",
        "",
    ),
    Defect(
        "foreign-adopted",
        "any Job of the name is taken for the own",
        _NAMESPACE,
        "if _owners(found) != _owners(job) or hashes[0] != hashes[1]:",
        "if False:",
    ),
    Defect(
        "other-make-adopted",
        "a Job of the own search is adopted, whatever it runs",
        _NAMESPACE,
        "if _owners(found) != _owners(job) or hashes[0] != hashes[1]:",
        "if _owners(found) != _owners(job):",
    ),
    Defect(
        "no-answer-no-jobs",
        "a list that fails counts as empty",
        _NAMESPACE,
        '        jobs = {job["metadata"]["name"]: job for job in self._api.items(jobs_path(self.name), '
        "labelSelector=SELECTOR)}\n",
        "        try:\n"
        "            listed = self._api.items(jobs_path(self.name), labelSelector=SELECTOR)\n"
        "        except ClusterUnavailable:\n"
        "            listed = []\n"
        '        jobs = {job["metadata"]["name"]: job for job in listed}\n',
    ),
    Defect(
        "first-page-only",
        "a list ends after its first page",
        _API,
        '            token = page["metadata"].get("continue")\n',
        '            token = ""\n',
    ),
    Defect(
        "expired-list-cut-short",
        "a list that expires in the middle ends there",
        _API,
        "            page = self.get(path, **query, limit=PAGE,",
        "            try:\n"
        '                self.get(path, **query, limit=PAGE, **({"continue": token} if token else {}))\n'
        "            except Expired:\n"
        "                return\n"
        "            page = self.get(path, **query, limit=PAGE,",
    ),
    Defect(
        "exists-is-created",
        "a Job that exists counts as created without a look",
        _NAMESPACE,
        "            created = self._adopted(job)\n",
        "            created = job\n",
    ),
    Defect(
        "names-clash",
        "the names of Jobs do not tell searches apart",
        _JOBS,
        "return f\"{search.name[:20].rstrip('-')}-{search.uid[:8]}-{attempt}\"",
        'return f"rcas-{attempt}"',
    ),
    Defect(
        "lost-node-waited-for",
        "a pod on a lost node is waited for for ever",
        _OBSERVING,
        "return bool(due) and now_s > seconds(due) + stall_s",
        "return False",
    ),
    Defect(
        "disruption-fails-the-job",
        "evictions count as failures",
        _JOBS,
        '                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},\n'
        '                {"action": "Ignore", "onExitCodes": _exit_code(EXIT_INTERRUPTED)},\n',
        "",
    ),
    # The resource.
    Defect(
        "resume-unheard",
        "a failed search is never tried again",
        _RECONCILE,
        'return status.phase == "Failed" and status.observedGeneration == search.generation',
        'return status.phase == "Failed"',
    ),
    Defect(
        "fenced-is-failed",
        "a search that another controller has is said to have failed",
        _RECONCILE,
        "except (InvalidSpec, SearchFailed, CorruptState) as error:",
        "except (InvalidSpec, SearchFailed, CorruptState, Fenced) as error:",
    ),
    Defect(
        "memory-kept-after-error",
        "after an error the controller goes on with what it remembers",
        _RECONCILE,
        "        self.controller = None\n        self._failures += 1\n",
        "        self._failures += 1\n",
    ),
    Defect(
        "unavailable-is-failed",
        "a search fails when the store does not answer",
        _RECONCILE,
        "except (InvalidSpec, SearchFailed, CorruptState) as error:",
        "except (InvalidSpec, SearchFailed, CorruptState, Unavailable) as error:",
    ),
    Defect(
        "complete-too-early",
        "a search is complete when its first rule has ended",
        "rcas.search",
        "        return all(state.stopped for state in self._states.values())\n",
        "        return any(state.stopped for state in self._states.values())\n",
    ),
    # The loop.
    Defect(
        "clock-put-back",
        "nothing is listed until a clock that was put back has caught up (real)",
        _OPERATOR,
        "due = not 0 <= now_s - self._listed_at < self._world.config.resync_s",
        "due = now_s - self._listed_at >= self._world.config.resync_s",
    ),
    Defect(
        "clock-put-back-retry",
        "after an error a clock that was put back must catch up first (real)",
        _OPERATOR,
        "if 0 < reconciler.retry_at - now_s <= LONGEST_BACKOFF_S:",
        "if 0 < reconciler.retry_at - now_s:",
    ),
    Defect(
        "clock-put-back-status",
        "no progress is told until a clock that was put back has caught up (real)",
        _RECONCILE,
        "if unchanged and 0 <= now_s - self._written_at < STATUS_INTERVAL_S:",
        "if unchanged and now_s - self._written_at < STATUS_INTERVAL_S:",
    ),
    Defect(
        "expired-ends-it",
        "a list that expires twice in a row ends the controller (real)",
        _API,
        '            raise ClusterUnavailable(f"the list of {path} expires before it ends") from error\n',
        "            raise error\n",
    ),
    Defect(
        "patch-conflict-ends-it",
        "a status that somebody else is writing is an unforeseen error (real)",
        _NAMESPACE,
        "        except (NotFound, Conflict):\n            return\n",
        "        except NotFound:\n            return\n",
    ),
    Defect(
        "no-rate-limit",
        "requests are sent as fast as they come up",
        _API,
        "            wait_s = max(0.0, -self._left / self._per_s)\n",
        "            wait_s = 0.0\n",
    ),
)
