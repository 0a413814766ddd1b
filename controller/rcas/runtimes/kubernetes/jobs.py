"""The manifests of Jobs: pure functions of the search, the task and the pod that the user asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from rcas.evaluation import Task
from rcas.final import FinalTask
from rcas.location import S3Location
from rcas.messages import EXIT_INTERRUPTED, EXIT_INVALID, JOB_VARIABLE, Inquiry
from rcas.pod import PodSpec
from rcas.resource import Resource
from rcas.runtimes.orders import assignment_of

Object = dict[str, Any]

MANAGED_BY = "rcas-controller"
SELECTOR = f"app.kubernetes.io/managed-by={MANAGED_BY}"
SEARCH_LABEL = "rcas.dev/search"
UID_LABEL = "rcas.dev/search-uid"
KEY_LABEL = "rcas.dev/key"
KEY_ANNOTATION = "rcas.dev/key"
ATTEMPT_ANNOTATION = "rcas.dev/attempt"
NETWORK_ANNOTATION = "rcas.dev/network"
HASH_ANNOTATION = "rcas.dev/spec-hash"
QUEUE_LABEL = "kueue.x-k8s.io/queue-name"

CONTAINER = "trainer"
NON_ROOT = 65532
GRACE_S = 60
DEADLINE_S = 86_400
FINAL_DEADLINE_S = 14 * 86_400
"""Of a final training, which is hundreds of epochs long."""
KEPT_AFTER_END_S = 24 * 3600
"""A backstop, if the controller never comes back: it deletes Jobs itself as soon as their results are committed."""
LOST_NODE_S = 30
"""How long a pod stays on a node that does not answer; Kubernetes' own 300 s are long for short trainings."""
DESCRIBE_RETRIES = 2


def evaluation_job(search: Resource, pod: PodSpec, store: S3Location, attempt: str, task: Task | FinalTask) -> Object:
    """The Job of one attempt at an evaluation. Its name derives from the search's uid and the attempt."""
    assignment = assignment_of(task, store.url)
    if isinstance(task, FinalTask) and pod.activeDeadlineSeconds is None:
        pod = pod.model_copy(update={"activeDeadlineSeconds": FINAL_DEADLINE_S})
    annotations = {KEY_ANNOTATION: task.key, ATTEMPT_ANNOTATION: attempt, NETWORK_ANNOTATION: task.network}
    # Every failure but a disruption ends the Job: the controller counts attempts, and it alone.
    return _job(
        search, pod, attempt, assignment.model_dump_json(), {KEY_LABEL: task.key[:16]}, annotations, retries=0
    )


def describe_job(search: Resource, pod: PodSpec, inquiry: Inquiry, attempt: str = "describe") -> Object:
    """The Job that looks at the data before the search, or a final training, begins."""
    return _job(search, pod, attempt, inquiry.model_dump_json(), {}, {}, retries=DESCRIBE_RETRIES)


def job_name(search: Resource, attempt: str) -> str:
    """At most 56 characters, so that the names of its pods are labels too."""
    return f"{search.name[:20].rstrip('-')}-{search.uid[:8]}-{attempt}"


def _job(
    search: Resource,
    pod: PodSpec,
    attempt: str,
    order: str,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    *,
    retries: int,
) -> Object:
    own = {
        "app.kubernetes.io/name": "rcas",
        "app.kubernetes.io/component": "trainer",
        "app.kubernetes.io/managed-by": MANAGED_BY,
        SEARCH_LABEL: search.name,
        UID_LABEL: search.uid,
        **labels,
    }
    spec: Object = {
        "parallelism": 1,
        "completions": 1,
        "backoffLimit": retries,
        "podReplacementPolicy": "Failed",
        "podFailurePolicy": {
            "rules": [
                {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]},
                {"action": "Ignore", "onExitCodes": _exit_code(EXIT_INTERRUPTED)},
                {"action": "FailJob", "onExitCodes": _exit_code(EXIT_INVALID)},
            ]
        },
        "ttlSecondsAfterFinished": KEPT_AFTER_END_S,
        "template": _template(pod, order, own, annotations),
    }
    if pod.queueName:
        spec["suspend"] = True
    metadata: Object = {
        "name": job_name(search, attempt),
        "namespace": search.namespace,
        "labels": own | ({QUEUE_LABEL: pod.queueName} if pod.queueName else {}),
        "annotations": {**annotations, HASH_ANNOTATION: _hash(spec)},
        "ownerReferences": [search.owner_reference()],
    }
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def _exit_code(code: int) -> Object:
    return {"containerName": CONTAINER, "operator": "In", "values": [code]}


def _template(pod: PodSpec, order: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> Object:
    container = {
        "name": CONTAINER,
        "image": pod.image,
        "imagePullPolicy": pod.imagePullPolicy,
        # The command, not only its arguments: an image of the user's own may start something else.
        "command": ["python", "-m", "rcas_trainer", "job"],
        "env": [*_threads(pod), *pod.env, {"name": JOB_VARIABLE, "value": _literal(order)}],
        "envFrom": list(pod.envFrom),
        "resources": pod.resources,
        "volumeMounts": [*pod.volumeMounts, {"name": "rcas-tmp", "mountPath": "/tmp"}],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "serviceAccountName": pod.serviceAccountName,
        "activeDeadlineSeconds": pod.activeDeadlineSeconds or DEADLINE_S,
        "terminationGracePeriodSeconds": pod.terminationGracePeriodSeconds or GRACE_S,
        "imagePullSecrets": list(pod.imagePullSecrets),
        "nodeSelector": pod.nodeSelector,
        "tolerations": [*(pod.tolerations or ()), *_lost_node_tolerations(pod)],
        "affinity": pod.affinity,
        "priorityClassName": pod.priorityClassName,
        "runtimeClassName": pod.runtimeClassName,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": NON_ROOT,
            "runAsGroup": NON_ROOT,
            "fsGroup": NON_ROOT,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [*pod.volumes, {"name": "rcas-tmp", "emptyDir": {}}],
        "containers": [_without_nothing(container)],
    }
    metadata = {"labels": {**(pod.labels or {}), **labels}, "annotations": {**(pod.annotations or {}), **annotations}}
    return {"metadata": metadata, "spec": _without_nothing(spec)}


def _literal(value: str) -> str:
    """A value in which Kubernetes replaces no $(VARIABLE): it reads $$ as $, whatever follows."""
    return value.replace("$", "$$")


def _threads(pod: PodSpec) -> list[Object]:
    count = str(cpu_threads(pod))
    return [{"name": f"{name}_NUM_THREADS", "value": count} for name in ("OMP", "MKL", "OPENBLAS")]


def cpu_threads(pod: PodSpec) -> int:
    """CPU threads of one training: the whole cores that its container may use, or else asks for; at least 1."""
    return max(1, int(pod.cores))


def _lost_node_tolerations(pod: PodSpec) -> list[Object]:
    taken = [toleration.get("key") for toleration in pod.tolerations or ()]
    keys = (f"node.kubernetes.io/{why}" for why in ("not-ready", "unreachable"))
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": LOST_NODE_S}
        for key in keys
        if key not in taken
    ]


def _without_nothing(fields: Object) -> Object:
    return {name: value for name, value in fields.items() if value not in (None, [], {})}


def _hash(spec: Object) -> str:
    return hashlib.sha256(json.dumps(spec, sort_keys=True).encode()).hexdigest()
