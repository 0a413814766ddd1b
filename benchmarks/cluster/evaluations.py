"""2,000 evaluations of one search on the real API server: requests, size of the status, memory of the controller.

It starts the cluster of tests/cluster/bed; meanwhile the controller-manager does not run, so no pod is made.
From the repository's root: PYTHONPATH=tests python benchmarks/cluster/evaluations.py
"""

from __future__ import annotations

import argparse
import json
import re
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from stub import Stub

from cluster import images, machine
from cluster.buckets import client
from cluster.installation import RELEASE, Installation
from cluster.machine import audited, container_pid, service
from cluster.waiting import until

NAMESPACE = "benchmark"
NAME = "long"
SPEC = {
    "space": {
        "skeleton": "custom",
        "classes": 10,
        "input": [1, 32, 32],
        "stem": {"channels": 8, "block_channels": 8},
        "stages": [{"channels": 8 + 4 * stage, "positions": 12, "start": [1]} for stage in range(16)],
        "head": {"channels": 64},
        "block_types": [1, 2, 3, 4, 5, 6],
    },
    "budget": {"params": "30M", "madds": "30G"},
    "rules": ["UC", "APR", "AMR", "JOINT"],
    "data": {"dataset": "digits"},
    "training": {"epochs": 1},
}


@dataclass(frozen=True)
class Sample:
    """One look at everything.

    Attributes:
        after_s: since the search was submitted.
        requests: of the controller to the API server so far.
        status_bytes, head_bytes: JSON of the resource's status and of the state object.
        memory_mib: resident, of the controller.
        cpu_s: that it has used.
    """

    after_s: float
    evaluations: int
    requests: int
    status_bytes: int
    head_bytes: int
    memory_mib: float
    cpu_s: float

    def row(self, before: Sample) -> str:
        """A line of the table; rates are those since `before`."""
        passed_s = max(0.001, self.after_s - before.after_s)
        return (
            f"| {self.after_s:,.0f} | {self.evaluations:,} | {(self.requests - before.requests) / passed_s:.2f} "
            f"| {self.status_bytes:,} | {self.head_bytes:,} | {self.memory_mib:.0f} "
            f"| {100 * (self.cpu_s - before.cpu_s) / passed_s:.0f} |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=2000)
    parser.add_argument("--parallelism", type=int, default=16)
    parser.add_argument("--every", type=float, default=60, help="seconds between two rows")
    arguments = parser.parse_args()

    lock = machine.alone()
    machine.up()
    built = images.build()
    images.load(built)
    installation = Installation(NAMESPACE, built, client(), crds=False)
    installation.prepare()
    crd = images.ROOT / "charts/rcas/files/crd.yaml"
    installation.kubectl("apply", "--server-side", "--force-conflicts", "-f", crd)
    installation.install({"controller": {"parallelism": arguments.parallelism}, "searchDefaults": {}})
    pid = container_pid(installation.controller())
    service("stop", "controller-manager")
    stub = Stub(NAMESPACE, installation.s3)
    stub.start()
    try:
        limits = {"evaluations": arguments.evaluations}
        run(installation, pid, {**SPEC, "limits": limits}, arguments.every)
    finally:
        stub.stop()
        service("start", "controller-manager")
        installation.remove()
        lock.close()


def run(installation: Installation, pid: int, spec: machine.Object, every_s: float) -> None:
    """Submit the search, print a row now and then, and what it came to."""
    earlier = len(requests())
    began = time.monotonic()
    installation.submit(NAME, spec)
    until("the search to begin", lambda: installation.status(NAME).get("phase") == "Running", within_s=60)
    print("| s | evaluations | requests/s | status, bytes | state, bytes | memory, MiB | CPU, % |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    samples = [look(installation, pid, began, earlier)]
    while samples[-1].after_s < 7200:
        time.sleep(every_s)
        samples.append(look(installation, pid, began, earlier))
        print(samples[-1].row(samples[-2]), flush=True)
        if installation.status(NAME)["phase"] != "Running":
            break
    conclude(installation, samples, earlier)


def look(installation: Installation, pid: int, began: float, earlier: int) -> Sample:
    """One sample."""
    status, head = installation.status(NAME), installation.head(NAME)
    resident = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[11:13]
    assert resident
    return Sample(
        after_s=time.monotonic() - began,
        evaluations=len(head.state.search.results) if head else 0,
        requests=len(requests()) - earlier,
        status_bytes=len(json.dumps(status, separators=(",", ":"))),
        head_bytes=len(head.model_dump_json()) if head else 0,
        memory_mib=int(resident[1]) / 1024,
        cpu_s=sum(map(int, ticks)) / 100,
    )


def requests() -> list[machine.Object]:
    """The controller's requests to the API server."""
    return audited(f"system:serviceaccount:{NAMESPACE}:{RELEASE}")


def conclude(installation: Installation, samples: list[Sample], earlier: int) -> None:
    """Print the whole and what the requests were."""
    last = samples[-1]
    sent = requests()[earlier:]
    by_verb = Counter(f"{event['verb']} {event['objectRef']['resource']}" for event in sent)
    head = installation.head(NAME)
    assert head
    counters = head.state.counters
    print(
        f"\n{last.evaluations:,} evaluations in {last.after_s:,.0f} s; {counters.trained:,} trained, "
        f"{counters.failures} attempts failed, {counters.interruptions} interrupted; phase {head.state.phase}.\n"
        f"{last.requests:,} requests, {last.requests / last.after_s:.2f} a second, "
        f"{last.requests / last.evaluations:.2f} an evaluation: "
        + ", ".join(f"{count:,} {verb}" for verb, count in by_verb.most_common())
        + f".\nStatus: {min(s.status_bytes for s in samples):,} to {max(s.status_bytes for s in samples):,} bytes."
    )


if __name__ == "__main__":
    main()
