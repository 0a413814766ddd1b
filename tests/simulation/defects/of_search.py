"""Defects of what a search keeps in the store and decides."""

from __future__ import annotations

from simulation.defects.defect import Defect

_STATE, _STEP = "rcas.state", "rcas.controller.step"
_S3, _FAILURES = "rcas.stores.s3", "rcas.stores.s3_failures"

OF_SEARCH = (
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
        "            from rcas.state import result_name\n\n"
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
        'name = f"{evaluation.key[:16]}-{self._attempts[evaluation.key].started}"',
        'name = f"{evaluation.key[:16]}-1"',
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
        "        self._looked_up.update(keys)\n",
        "        self._looked_up.update(keys)\n        keys = []\n",
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
        "    if top and top.measured_at < len(state.path):\n        return (top.network,)\n",
        "    if top and not problem.confirm:\n        return ()\n",
    ),
    Defect(
        "asked-forgotten",
        "what was asked for is not stored",
        "rcas.search",
        "for key, training in self._asked.items() if not self._known.has(*training)",
        "for key, training in self._asked.items() if False",
    ),
)
