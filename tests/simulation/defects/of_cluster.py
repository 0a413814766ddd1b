"""Defects of the dealings with the cluster: Jobs, the resource, the loop over all searches."""

from __future__ import annotations

from simulation.defects.defect import Defect

_RECONCILE, _OPERATOR = "rcas.controller.reconcile", "rcas.controller.operator"
_NAMESPACE, _API = "rcas.runtimes.kubernetes.namespace", "rcas.runtimes.kubernetes.api"
_JOBS, _OBSERVING = "rcas.runtimes.kubernetes.jobs", "rcas.runtimes.kubernetes.observing"

OF_CLUSTER = (
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
        "        self.controller = self._finals = None\n        self._failures += 1\n",
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
