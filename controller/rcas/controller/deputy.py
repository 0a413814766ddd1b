"""What a search's pods may take of their namespace.

The controller creates them with its own rights, so who may create searches may not have the right to create pods. It
must not be a deputy by which such a user reads every Secret, runs under every account, or mounts the node.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rcas.controller.config import Config
from rcas.errors import InvalidSpec
from rcas.pod import PodSpec

Found = Iterator[tuple[str, str]]
"""Places in a spec with what stands there."""

_SOURCES = {"configMapKeyRef", "fieldRef", "fileKeyRef", "resourceFieldRef", "secretKeyRef"}
_ENVIRONMENTS = {"prefix", "configMapRef", "secretRef"}


def check_pod(pod: PodSpec, config: Config) -> None:
    """Refuse a search's pod, the defaults in it, that takes what neither the defaults nor `config.allow` give.

    Raises:
        InvalidSpec: names the field, what it asks for, and what is allowed.
    """
    own, allow = config.pod, config.allow
    account = iter([("pod.serviceAccountName", pod.serviceAccountName or "")])
    _require(account, allow.accounts, {own.serviceAccountName or ""}, "accounts")
    _require(_secrets(pod), allow.secrets, {name for _, name in _secrets(own)}, "secrets")
    _require(_kinds(pod, own.volumes), allow.volumes, set(), "volumes")
    for field in ("labels", "annotations"):
        given, default = getattr(pod, field) or {}, getattr(own, field) or {}
        changed = (name for name, value in given.items() if default.get(name) != value)
        _require(((f"pod.{field}", name) for name in changed), allow.labels, set(), "labels")
    for place, kind in _unknown_sources(pod):
        raise InvalidSpec(place, got=kind, allowed=", ".join(sorted(_SOURCES | _ENVIRONMENTS)))


def _require(found: Found, allowed: Sequence[str], own: set[str], value: str) -> None:
    for place, name in found:
        if name not in own and name not in allowed and "*" not in allowed:
            names = ", ".join(sorted({*own, *allowed} - {""})) or "none"
            raise InvalidSpec(place, got=name, allowed=f"{names} (allow.{value} in the controller's configuration)")


def _kinds(pod: PodSpec, own: Sequence[Any]) -> Found:
    """Kinds of the volumes that are not the configuration's own."""
    for index, volume in enumerate(pod.volumes):
        kinds = [kind for kind in volume if kind != "name"]
        # A Secret is named, and allowed by its name.
        if volume not in own and kinds != ["secret"]:
            yield from ((f"pod.volumes[{index}]", kind) for kind in kinds)


def _secrets(pod: PodSpec) -> Found:
    for index, one in enumerate(pod.imagePullSecrets):
        yield f"pod.imagePullSecrets[{index}].name", _name(one, "name")
    for index, variable in enumerate(pod.env):
        if "secretKeyRef" in _mapping(variable, "valueFrom"):
            place = f"pod.env[{index}].valueFrom.secretKeyRef.name"
            yield place, _name(_mapping(variable["valueFrom"], "secretKeyRef"), "name")
    for index, source in enumerate(pod.envFrom):
        if "secretRef" in source:
            yield f"pod.envFrom[{index}].secretRef.name", _name(_mapping(source, "secretRef"), "name")
    for index, volume in enumerate(pod.volumes):
        if "secret" in volume:
            yield f"pod.volumes[{index}].secret.secretName", _name(_mapping(volume, "secret"), "secretName")
        sources: Any = _mapping(volume, "projected").get("sources") or ()
        for number, source in enumerate(sources if isinstance(sources, list) else ()):
            if isinstance(source, dict) and "secret" in source:
                place = f"pod.volumes[{index}].projected.sources[{number}].secret.name"
                yield place, _name(_mapping(source, "secret"), "name")


def _unknown_sources(pod: PodSpec) -> Found:
    """What a later Kubernetes may offer as a source of variables: it might be a secret one."""
    for index, variable in enumerate(pod.env):
        for kind in _mapping(variable, "valueFrom").keys() - _SOURCES:
            yield f"pod.env[{index}].valueFrom", kind
    for index, source in enumerate(pod.envFrom):
        for kind in source.keys() - _ENVIRONMENTS:
            yield f"pod.envFrom[{index}]", kind


def _mapping(node: Any, name: str) -> dict[str, Any]:
    found = node.get(name) if isinstance(node, dict) else None
    return found if isinstance(found, dict) else {}


def _name(node: Any, field: str) -> str:
    return str(_mapping({"": node}, "").get(field, ""))
