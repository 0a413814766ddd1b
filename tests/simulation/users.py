"""Simulated users: create searches, switch them, mend what has failed, as `rcasctl` does it."""

from __future__ import annotations

import copy
from random import Random
from typing import Any

from rcas.resource import API_VERSION, KIND
from rcas.runtimes.kubernetes.namespace import searches_path
from simulation.apiserver import ApiServer, Object
from simulation.controllers import NAMESPACE
from simulation.scenario import Wanted
from simulation.timeline import Timeline

SEARCHES = searches_path(NAMESPACE)
LOOKS_S = 20.0
"""A user looks at failed searches so often."""


class Users:
    """What people do to the Search resources.

    Attributes:
        cancelled, deleted: names of searches that a user has ended so.
        failures: how often a search was seen to have failed.
        switched_at: when a search was last paused or cancelled, by uid.
        widened: uids of searches whose parallelism was changed.
    """

    def __init__(self, timeline: Timeline, random: Random, server: ApiServer, foreign: set[str], jobs: str) -> None:
        self._timeline, self._random, self._server = timeline, random, server
        self._foreign, self._jobs = foreign, jobs
        self.cancelled, self.deleted = set[str](), set[str]()
        self.failures = 0
        self.switched_at: dict[str, float] = {}
        self.widened = set[str]()

    def create(self, wanted: Wanted) -> None:
        """`rcasctl submit`."""
        body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": wanted.name}, "spec": wanted.spec}
        self._server.add(SEARCHES, copy.deepcopy(body))

    def look(self) -> None:
        """Look at all searches, now and again: try those again that have failed."""
        for name, found in list(self._server.all(SEARCHES).items()):
            if (found.get("status") or {}).get("phase") == "Failed" and name not in self.cancelled:
                self.failures += 1
                self._resume(name)
        self._timeline.after(LOOKS_S, self.look)

    def change(self, name: str, fields: Object) -> None:
        """Change a search's spec; nothing happens if it is gone."""
        found = self._server.all(SEARCHES).get(name)
        if found and "parallelism" in fields:
            self.widened.add(found["metadata"]["uid"])
        for switch in ("pause", "cancel"):
            if found and fields.get(switch) and not found["spec"].get(switch):
                self.switched_at[found["metadata"]["uid"]] = self._timeline.now
        self._server.handle("PATCH", f"{SEARCHES}/{name}", {}, {"spec": fields})

    def cancel(self, name: str) -> None:
        """`rcasctl cancel`, refused for what has ended."""
        if self._phase(name) not in {None, "Complete", "Cancelled"}:
            self.cancelled.add(name)
            self.change(name, {"cancel": True})

    def delete(self, name: str) -> None:
        """`rcasctl delete`."""
        if self._phase(name) is not None:
            self.deleted.add(name)
            self._server.handle("DELETE", f"{SEARCHES}/{name}", {}, {"propagationPolicy": "Background"})

    def lift(self) -> None:
        """Take all pauses and limits away."""
        for name, found in list(self._server.all(SEARCHES).items()):
            if found["spec"].get("pause") or found["spec"].get("limits"):
                self.change(name, {"pause": False, "limits": None})

    def _resume(self, name: str) -> None:
        # The message of a search that met a foreign Job says to delete it.
        for job in self._foreign & self._server.all(self._jobs).keys():
            self._server.handle("DELETE", f"{self._jobs}/{job}", {}, {"propagationPolicy": "Background"})
        self._foreign.clear()
        self.change(name, {"pause": True})
        self._timeline.after(self._random.uniform(0, 5), lambda: self.change(name, {"pause": False}))

    def _phase(self, name: str) -> Any:
        found = self._server.all(SEARCHES).get(name)
        return None if found is None else (found.get("status") or {}).get("phase", "Pending")
