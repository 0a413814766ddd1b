"""A trainer that trains nothing.

It watches Jobs, writes the result object of each, and tells the API server that the Job is complete. So the
controller, its Jobs, the API server and the store are real, and 2,000 evaluations cost minutes.

The accuracy is a fixed saturating function of the network's blocks plus a fixed noise of up to 20 points, which
breaks diminishing returns on purpose: a search measures again and again, the worst case for the controller.
"""

from __future__ import annotations

import hashlib
import json
import threading
import urllib.parse
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from cluster.machine import Object, ask, opened
from rcas.evaluation import Description, Result, Seconds, Task
from rcas.location import S3Location
from rcas.messages import JOB_VARIABLE, Assignment, Inquiry

TOTAL = 1000
SECONDS = Seconds(startup=0, data=0, training=0, validation=0)


def accuracy_of(network: str) -> int:
    """Correct images out of TOTAL."""
    blocks = sum(int(block) for block in network if block.isdigit())
    noise = int(hashlib.sha256(network.encode()).hexdigest()[:8], 16) % 200
    return 300 + 400 * blocks // (blocks + 40) + noise


def result_of(task: Task) -> Result:
    """What a trainer would write."""
    cost = task.space.cost(task.space.network(task.network))
    correct = accuracy_of(task.network)
    return Result(
        key=task.key,
        network=task.network,
        protocol_sha256=task.protocol.sha256,
        replicate=task.replicate,
        correct=correct,
        correct_top5=correct,
        total=TOTAL,
        loss=1.0,
        train_loss=1.0,
        epochs=task.protocol.training.epochs,
        diverged=False,
        seconds=SECONDS,
        images_per_second=1.0,
        device="stub",
        versions=task.protocol.versions,
        params=cost.params,
        madds=cost.madds,
    )


class Stub:
    """Answers all Jobs of a namespace until `stop()`; without the controller-manager they have no pods."""

    def __init__(self, namespace: str, s3: Any) -> None:
        self._namespace, self._s3 = namespace, s3
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.answered = 0

    def start(self) -> None:
        """Begin, in the background."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more Jobs."""
        self._stopped.set()

    def _work(self) -> None:
        seen = set[str]()
        with ThreadPoolExecutor(8) as pool:
            while not self._stopped.is_set():
                for job in self._jobs():
                    uid = job["metadata"]["uid"]
                    if uid not in seen:
                        seen.add(uid)
                        pool.submit(self._answer, job)

    def _jobs(self) -> Iterator[Object]:
        """Jobs as they are created, for up to a minute."""
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs?"
        query = {"watch": 1, "timeoutSeconds": 60, "labelSelector": "app.kubernetes.io/managed-by=rcas-controller"}
        with opened("GET", path + urllib.parse.urlencode(query), within_s=90) as lines:
            for line in lines:
                event = json.loads(line)
                if event["type"] == "ADDED":
                    yield event["object"]

    def _answer(self, job: Object) -> None:
        variables = job["spec"]["template"]["spec"]["containers"][0]["env"]
        order = next(v["value"] for v in variables if v["name"] == JOB_VARIABLE)
        if "task" in json.loads(order):
            assignment = Assignment.model_validate_json(order)
            self._put(assignment.result, result_of(assignment.task).model_dump_json())
        else:
            inquiry = Inquiry.model_validate_json(order)
            self._put(inquiry.answer, _description(inquiry).model_dump_json())
        self._complete(job["metadata"]["name"])
        self.answered += 1

    def _put(self, url: str, text: str) -> None:
        location = S3Location.parse(url)
        self._s3.put_object(Bucket=location.bucket, Key=location.prefix.rstrip("/"), Body=text.encode())

    def _complete(self, name: str) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [
            {"type": kind, "status": "True", "reason": "Stub", "message": "", "lastTransitionTime": now}
            for kind in ("SuccessCriteriaMet", "Complete")
        ]
        status = {"startTime": now, "completionTime": now, "succeeded": 1, "uncountedTerminatedPods": {}}
        path = f"/apis/batch/v1/namespaces/{self._namespace}/jobs/{name}/status"
        answer = ask("PATCH", path, {"status": {**status, "conditions": conditions}})
        # A Job that is gone was speculation that became useless.
        assert answer.status in {200, 404}, answer


def _description(inquiry: Inquiry) -> Description:
    space = inquiry.space
    assert space
    return Description(
        data_sha256="0" * 64,
        input=space.input,
        num_classes=space.num_classes,
        train_images=TOTAL,
        gpus=0,
        versions={"stub": "1"},
    )
