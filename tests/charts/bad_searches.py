"""Searches that the API server must take or refuse: tables for any API server, and what its answer must say."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

MISSING = object()
STAGE = {"channels": 8, "positions": 2, "stride": 2, "start": [5]}
CUSTOM = {"skeleton": "custom", "classes": 10, "input": [1, 28, 28], "stages": [STAGE], "head": {"channels": 32}}
BASE: dict[str, Any] = {"space": {"classes": 10}, "budget": {"params": "3.4M"}, "data": {"dataset": "digits"}}
FULL: dict[str, Any] = {
    "space": CUSTOM,
    "budget": {"params": 200_000, "madds": "30_000k"},
    "rules": ["UC", "JOINT"],
    "stop": "first-infeasible",
    "min_gain": 0,
    "max_blocks": 4,
    "data": {"dataset": "fashion-mnist", "path": "/data", "validation_per_class": 50, "train_per_class": 100},
    "training": {"epochs": 2, "lr": 0.05, "milestones": [1], "nesterov": False, "momentum": 0, "weight_decay": 0},
    "device": "cpu",
    "threads": 2,
    "parallelism": 4,
    "limits": {"evaluations": 100, "gpu_hours": 1.5, "hours": 24},
    "max_attempts": 2,
    "speculate": False,
    "pod": {
        "image": "trainer:1",
        "resources": {"requests": {"cpu": 1, "memory": "1Gi"}, "limits": {"nvidia.com/gpu": 1}},
        "nodeSelector": {"pool": "gpu"},
        "tolerations": [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30}],
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
        "env": [
            {"name": "A", "value": "1"},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ],
        "envFrom": [{"secretRef": {"name": "store", "optional": True}}],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "data"}},
            {"name": "x", "futureSource": {}},
        ],
        "volumeMounts": [{"name": "data", "mountPath": "/data", "readOnly": True, "futureField": 1}],
        "queueName": "team-a",
    },
    "pause": True,
}

_BLOCK = {"out_channels": 8, "ns": 300_000}
TABLE: dict[str, Any] = {
    "machine": "a phone",
    "stems": [
        {"image_channels": 1, "height": 28, "width": 28, "channels": 32, "stride": 1, "block_channels": 16, "ns": 9}
    ],
    "blocks": [
        {"type": 5, "in_channels": 16, "stride": 2, "height": 28, "width": 28, **_BLOCK},
        *({"type": t, "in_channels": 8, "stride": 1, "height": 14, "width": 14, **_BLOCK} for t in range(1, 7)),
    ],
    "heads": [{"in_channels": 8, "channels": 32, "classes": 10, "height": 14, "width": 14, "ns": 0}],
}
TIMED: dict[str, Any] = {
    **FULL,
    "budget": {"params": 200_000, "latency": "0.7 ms"},
    "latency": {"table": TABLE},
    "rules": ["JOINT", "ALR"],
}


def changed(spec: dict[str, Any], *edits: tuple[str, Any]) -> dict[str, Any]:
    """A copy with fields set, by their dotted paths; MISSING removes one."""
    spec = copy.deepcopy(spec)
    for path, value in edits:
        *parents, last = path.split(".")
        place: Any = spec
        for name in parents:
            place = place[int(name)] if name.isdigit() else place.setdefault(name, {})
        if value is MISSING:
            del place[last]
        else:
            place[int(last) if last.isdigit() else last] = value
    return spec


def resource(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The whole object."""
    return {"apiVersion": "rcas.dev/v1alpha1", "kind": "Search", "metadata": {"name": name}, "spec": spec}


GOOD: dict[str, dict[str, Any]] = {
    "least": BASE,
    "full": FULL,
    "madds": {**BASE, "budget": {"madds": 91_100_000}},
    "timed": TIMED,
    "latency-alone": {**TIMED, "budget": {"latency": 600_009}, "rules": ["ALR"]},
    "spaces": {**BASE, "budget": {"params": " 2_400_000 ", "madds": "1.5G"}},
    # A field set to null is one that is left out, here as in a local spec.
    "nulls": {
        **BASE,
        "min_gain": None,
        "limits": {"hours": None},
        "data": {"dataset": "digits", "train_per_class": None},
    },
}


class Bad(NamedTuple):
    """A spec that is refused, and what stands in the refusal: the field's name and why."""

    spec: dict[str, Any]
    field: str
    says: str = ""


BAD: dict[str, Bad] = {
    # CEL rules
    "no-budget": Bad({**BASE, "budget": {}}, "spec.budget", "params, madds or latency"),
    "no-table": Bad(changed(TIMED, ("latency", MISSING)), "spec.budget", "latency only together with latency.table"),
    "custom-alone": Bad(
        changed(BASE, ("space.skeleton", "custom")), "spec.space.skeleton", "together with input and"
    ),
    "custom-no-input": Bad({**BASE, "space": changed(CUSTOM, ("input", MISSING))}, "spec.space.skeleton", "input"),
    "nesterov": Bad(changed(BASE, ("training.momentum", 0)), "spec.training.momentum", "nesterov needs a momentum"),
    "stride-empty": Bad(
        {**BASE, "space": {**CUSTOM, "stages": [changed(STAGE, ("start", MISSING))]}},
        "spec.space.stages[0].start",
        "at least one block type",
    ),
    "start-too-long": Bad(
        {**BASE, "space": {**CUSTOM, "stages": [{**STAGE, "start": [5, 5, 5]}]}},
        "spec.space.stages[0].start",
        "at most as many as positions",
    ),
    "count-word": Bad(
        changed(BASE, ("budget.params", "many")), "spec.budget.params", "a positive count such as 3.4M"
    ),
    "count-fraction": Bad(changed(BASE, ("budget.params", "1.5")), "spec.budget.params", "a positive count"),
    "count-fine-fraction": Bad(changed(BASE, ("budget.madds", "1.2345k")), "spec.budget.madds", "a positive count"),
    "count-nothing": Bad(changed(BASE, ("budget.params", "0.0M")), "spec.budget.params", "a positive count"),
    "count-negative": Bad(changed(BASE, ("budget.params", "-3M")), "spec.budget.params", "a positive count"),
    # unknown fields
    "unknown": Bad({**BASE, "bugdet": {}}, "spec.bugdet", "unknown field"),
    "unknown-inside": Bad(changed(BASE, ("space.clases", 10)), "spec.space.clases", "unknown field"),
    "named": Bad({**BASE, "name": "other"}, "spec.name", "unknown field"),
    "unknown-in-list": Bad(
        {**BASE, "space": {**CUSTOM, "stages": [{**STAGE, "step": 1}]}}, "spec.space.stages[0].step", "unknown field"
    ),
    "unknown-in-pod": Bad(changed(BASE, ("pod.imag", "x")), "spec.pod.imag", "unknown field"),
    # missing fields
    "no-space": Bad(changed(BASE, ("space", MISSING)), "spec.space", "Required value"),
    "no-classes": Bad({**BASE, "space": {}}, "spec.space.classes", "Required value"),
    "no-dataset": Bad({**BASE, "data": {}}, "spec.data.dataset", "Required value"),
    "no-mount-path": Bad(changed(BASE, ("pod.volumeMounts", [{"name": "a"}])), "spec.pod.volumeMounts[0].mountPath"),
    # types
    "text-for-number": Bad(changed(BASE, ("space.classes", "ten")), "spec.space.classes", "integer"),
    "half": Bad(changed(BASE, ("training.epochs", 1.5)), "spec.training.epochs", "integer"),
    "number-for-mapping": Bad({**BASE, "limits": 5}, "spec.limits", "object"),
    "text-for-list": Bad({**BASE, "rules": "UC"}, "spec.rules", "array"),
    "count-float": Bad(changed(BASE, ("budget.params", 1.5)), "spec.budget.params"),
    "truth-for-number": Bad({**BASE, "max_blocks": False}, "spec.max_blocks", "integer"),
    "word-for-truth": Bad({**BASE, "pause": "yes"}, "spec.pause", "boolean"),
    "env-number": Bad(changed(BASE, ("pod.env", [{"name": "A", "value": 1}])), "spec.pod.env[0].value", "string"),
    # values
    "dataset": Bad(changed(BASE, ("data.dataset", "imagenet")), "spec.data.dataset", "Unsupported value"),
    "rule": Bad({**BASE, "rules": ["UC", "XR"]}, "spec.rules[1]", "Unsupported value"),
    "no-rules": Bad({**BASE, "rules": []}, "spec.rules", "at least 1"),
    "device": Bad({**BASE, "device": "tpu"}, "spec.device", "Unsupported value"),
    "threads": Bad({**BASE, "threads": "all"}, "spec.threads", "auto"),
    "threads-none": Bad({**BASE, "threads": 0}, "spec.threads", "greater than or equal to 1"),
    "count-zero": Bad(changed(BASE, ("budget.params", 0)), "spec.budget.params", "greater than or equal to 1"),
    "latency-word": Bad(changed(TIMED, ("budget.latency", "soon")), "spec.budget.latency", "ms"),
    "latency-no-unit": Bad(changed(TIMED, ("budget.latency", "12")), "spec.budget.latency", "ms"),
    "latency-zero": Bad(changed(TIMED, ("budget.latency", 0)), "spec.budget.latency", "greater than or equal to 1"),
    "table-file": Bad(changed(TIMED, ("latency.table", "table.json")), "spec.latency.table", "object"),
    "table-type": Bad(
        changed(TIMED, ("latency.table.blocks.0.type", 7)), "spec.latency.table.blocks[0].type", "or equal to 6"
    ),
    "table-negative": Bad(
        changed(TIMED, ("latency.table.heads.0.ns", -1)), "spec.latency.table.heads[0].ns", "or equal to 0"
    ),
    "table-too-long": Bad(
        changed(TIMED, ("latency.table.heads", TABLE["heads"] * 65)), "spec.latency.table.heads", "at most 64"
    ),
    "lr": Bad(changed(BASE, ("training.lr", 0)), "spec.training.lr", "greater than 0"),
    "momentum": Bad(changed(BASE, ("training.momentum", 1)), "spec.training.momentum", "less than 1"),
    "seed": Bad(changed(BASE, ("training.seed", 2**32)), "spec.training.seed", "less than 4294967296"),
    "min-gain": Bad({**BASE, "min_gain": 2}, "spec.min_gain", "less than or equal to 1"),
    "classes": Bad({**BASE, "space": {"classes": 1}}, "spec.space.classes", "greater than or equal to 2"),
    "input-two": Bad(changed(BASE, ("space.input", [28, 28])), "spec.space.input", "at least 3"),
    "input-zero": Bad(
        changed(BASE, ("space.input", [0, 28, 28])), "spec.space.input[0]", "greater than or equal to 1"
    ),
    "block-type": Bad(
        changed(BASE, ("space.block_types", [7])), "spec.space.block_types[0]", "less than or equal to 6"
    ),
    "no-stages": Bad({**BASE, "space": {**CUSTOM, "stages": []}}, "spec.space.stages", "at least 1"),
    "head": Bad(
        changed(BASE, ("space.head", {"channels": 0})), "spec.space.head.channels", "greater than or equal to 1"
    ),
    "gpu-hours": Bad(changed(BASE, ("limits.gpu_hours", 0)), "spec.limits.gpu_hours", "greater than 0"),
    "parallelism": Bad({**BASE, "parallelism": 0}, "spec.parallelism", "greater than or equal to 1"),
    # what would reach further than a training needs
    "cpu": Bad(changed(BASE, ("pod.resources", {"limits": {"cpu": "inf"}})), "spec.pod.resources.limits.cpu"),
    "label": Bad(
        changed(BASE, ("pod.labels", {"rcas.dev/search": "other"})), "spec.pod.labels", "no name that begins"
    ),
    "annotation": Bad(
        changed(BASE, ("pod.annotations", {"app.kubernetes.io/name": "x"})), "spec.pod.annotations", "no name that"
    ),
    "own-env": Bad(
        changed(BASE, ("pod.env", [{"name": "RCAS_JOB", "value": "{}"}])), "spec.pod.env[0].name", "is set by rcas"
    ),
    "pull-policy": Bad(
        changed(BASE, ("pod.imagePullPolicy", "Sometimes")), "spec.pod.imagePullPolicy", "Unsupported"
    ),
}
BAD_NAMES = ("a.b", "x" * 54, "a-" + "b" * 60)
"""The message names metadata.name."""


class Change(NamedTuple):
    """A change of an existing search. `field`: the one that the refusal names; empty if the change is allowed."""

    before: dict[str, Any]
    after: dict[str, Any]
    field: str = ""
    says: str = "is fixed once the search exists; give the changed search another name"


def _fixed(path: str, value: Any, before: dict[str, Any] = FULL) -> Change:
    return Change(before, changed(before, (path, value)), f"spec.{path.split('.')[0]}")


CHANGES: dict[str, Change] = {
    "parallelism": Change(FULL, {**FULL, "parallelism": 9}),
    "parallelism-removed": Change(FULL, changed(FULL, ("parallelism", MISSING))),
    "limits": Change(FULL, changed(FULL, ("limits.evaluations", 500))),
    "limits-removed": Change(FULL, changed(FULL, ("limits", MISSING))),
    "limits-added": Change(BASE, {**BASE, "limits": {"hours": 3}}),
    "resumed": Change(FULL, {**FULL, "pause": False}),
    "paused": Change(BASE, {**BASE, "pause": True}),
    "retrained": Change(BASE, {**BASE, "retrain": {"seeds": 2, "training": {"epochs": 5}}}),
    "retrained-otherwise": Change({**BASE, "retrain": {"seeds": 2}}, {**BASE, "retrain": {"network": "highest"}}),
    "cancelled": Change(BASE, {**BASE, "cancel": True}),
    "nothing": Change(FULL, FULL),
    "uncancelled": Change({**BASE, "cancel": True}, {**BASE, "cancel": False}, "spec.cancel", "stays cancelled"),
    "uncancelled-by-removal": Change({**BASE, "cancel": True}, BASE, "spec.cancel", "stays cancelled"),
    "space": _fixed("space.classes", 11),
    "space-inside": _fixed("space.stages.0.positions", 3),
    "space-field-removed": _fixed("space.head", MISSING),
    "budget": _fixed("budget.params", 200_001),
    # 200k is the same count, but told by its text: that CEL cannot know.
    "budget-rewritten": _fixed("budget.params", "200k"),
    "budget-removed": _fixed("budget.madds", MISSING),
    "rules": _fixed("rules", ["JOINT", "UC"]),
    "rules-removed": _fixed("rules", MISSING),
    "rules-added": _fixed("rules", ["UC"], BASE),
    "latency": _fixed("latency.table.blocks.3.ns", 300_001, TIMED),
    "latency-removed": _fixed("latency.table.machine", MISSING, TIMED),
    "stop": _fixed("stop", "drop-infeasible"),
    "min_gain": _fixed("min_gain", 0.001),
    "min_gain-removed": _fixed("min_gain", MISSING),
    "max_blocks": _fixed("max_blocks", 5),
    "data": _fixed("data.path", "/elsewhere"),
    "training": _fixed("training.epochs", 3),
    "training-removed": _fixed("training", MISSING),
    "training-added": _fixed("training", {"epochs": 3}, BASE),
    "device": _fixed("device", "auto"),
    "threads": _fixed("threads", "auto"),
    "max_attempts": _fixed("max_attempts", 3),
    "speculate": _fixed("speculate", True),
    "pod-image": _fixed("pod.image", "trainer:2"),
    "pod-added": _fixed("pod", {"image": "trainer:2"}, BASE),
    "pod-removed": _fixed("pod", MISSING),
    "pod-env": _fixed("pod.env.0.value", "2"),
    "pod-env-kind": _fixed("pod.env.0", {"name": "A", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}),
    "pod-resources": _fixed("pod.resources.requests.cpu", 2),
    "pod-resources-kind": _fixed("pod.resources", {"limits": {"cpu": 1}}),
    "pod-volume": _fixed("pod.volumes.0.persistentVolumeClaim.claimName", "other"),
    "pod-volume-kind": _fixed("pod.volumes.0", {"name": "data", "emptyDir": {}}),
    "pod-affinity": _fixed("pod.affinity", {"podAffinity": {}}),
}
