"""2,000 evaluations on the real API server: requests, size of the status, memory of the controller.

One search, or with --searches several, one after the other, of so many evaluations each.

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
    parser.add_argument("--searches", type=int, default=1)
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
        spec = {**SPEC, "limits": {"evaluations": arguments.evaluations}}
        began, earlier = time.monotonic(), len(requests())
        print("| search | s | evaluations | requests/s | status, bytes | state, bytes | memory, MiB | CPU, % |")
        print("|---:|---:|---:|---:|---:|---:|---:|---:|")
        samples = list[Sample]()
        for number in range(arguments.searches):
            if number:
                # A search that has reached a limit may go on, and so is kept in memory.
                installation.rcasctl("cancel", f"long-{number - 1}")
            # Another protocol: a search reuses no result of the one before.
            installation.submit(f"long-{number}", {**spec, "training": {"epochs": 1, "seed": number}})
            follow(installation, number, pid, began, earlier, samples, arguments.every)
        conclude(installation, samples, earlier)
    finally:
        stub.stop()
        service("start", "controller-manager")
        installation.remove()
        lock.close()


def follow(
    installation: Installation,
    number: int,
    pid: int,
    began: float,
    earlier: int,
    samples: list[Sample],
    every_s: float,
) -> None:
    """Print a row now and then until the search ends."""
    name = f"long-{number}"
    until("the search to begin", lambda: installation.status(name).get("phase") == "Running", within_s=60)
    samples.append(look(installation, number, pid, began, earlier))
    while installation.status(name)["phase"] == "Running" and samples[-1].after_s < 7200:
        time.sleep(every_s)
        samples.append(look(installation, number, pid, began, earlier))
        print(f"| {number} {samples[-1].row(samples[-2])}", flush=True)


def look(installation: Installation, number: int, pid: int, began: float, earlier: int) -> Sample:
    """One sample."""
    name = f"long-{number}"
    status, head = installation.status(name), installation.head(name)
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
    sent = requests()[earlier:]
    by_verb = Counter(f"{event['verb']} {event['objectRef']['resource']}" for event in sent)
    names = [found["metadata"]["name"] for found in installation.kubectl.list("searches.rcas.dev")]
    heads = [head for name in names if (head := installation.head(name))]
    counters = [head.state.counters for head in heads]
    evaluations, after_s = sum(len(head.state.search.results) for head in heads), samples[-1].after_s
    print(
        f"\n{evaluations:,} evaluations in {after_s:,.0f} s; {sum(c.trained for c in counters):,} trained, "
        f"{sum(c.failures for c in counters)} attempts failed, "
        f"{sum(c.interruptions for c in counters)} interrupted; "
        f"{', '.join(sorted({head.state.phase for head in heads}))}.\n"
        f"{len(sent):,} requests, {len(sent) / after_s:.2f} a second, {len(sent) / evaluations:.2f} an evaluation: "
        + ", ".join(f"{count:,} {verb}" for verb, count in by_verb.most_common())
        + f".\nStatus: {min(s.status_bytes for s in samples):,} to {max(s.status_bytes for s in samples):,} bytes."
    )


if __name__ == "__main__":
    main()
