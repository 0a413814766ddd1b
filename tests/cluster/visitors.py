"""Pods that ask the controller for something, on the node where NetworkPolicies are enforced."""

from __future__ import annotations

from collections.abc import Mapping

from cluster.installation import Installation
from cluster.machine import Object
from cluster.waiting import until

GUARDED_NODE = {"kubernetes.io/hostname": "rcas-node-1"}


def visited(
    installation: Installation, port: int, path: str, visitors: Mapping[str, dict[str, str]]
) -> dict[str, str]:
    """What a GET from the controller's pod gives to pods of these names and labels: a status, or a kind of error."""
    address = installation.controller()["status"]["podIP"]
    script = (
        "import time, urllib.request; time.sleep(3)\n"
        f"try: print(urllib.request.urlopen('http://{address}:{port}{path}', timeout=5).status)\n"
        "except OSError as error: print(type(error).__name__)"
    )
    for name, labels in visitors.items():
        installation.kubectl.apply(_visitor(installation, name, labels, script))
    for name in visitors:
        until(f"{name} to end", lambda name=name: _has_ended(installation, name))
    return {name: installation.kubectl("logs", name).strip() for name in visitors}


def _visitor(installation: Installation, name: str, labels: dict[str, str], script: str) -> Object:
    secure = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {
        "name": "python",
        "image": installation.images.controller,
        "imagePullPolicy": "Never",
        # It waits a moment, which the policy's rules for a new pod take.
        "command": ["python", "-c", script],
        "securityContext": secure,
    }
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": GUARDED_NODE,
        "securityContext": {"runAsNonRoot": True, "runAsUser": 65532, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container],
    }
    metadata = {"name": name, "namespace": installation.namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _has_ended(installation: Installation, name: str) -> bool:
    pod = installation.kubectl.get("pod", name)
    return bool(pod) and pod["status"].get("phase") in {"Succeeded", "Failed"}
