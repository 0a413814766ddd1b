"""What the CustomResourceDefinition says beyond the models' own JSON Schema, by the place in the resource."""

from __future__ import annotations

import re
from typing import Any

from rcas import latency, pod
from rcas.messages import JOB_VARIABLE

Schema = dict[str, Any]

COUNT_PATTERN = r"^\s*[0-9]+(_[0-9]+)*((\.0+)?|(\.[0-9]{1,3}0*)?[kK]|(\.[0-9]{1,6}0*)?M|(\.[0-9]{1,9}0*)?[GB])\s*$"
"""`parse_count`'s grammar for text, and that the suffix leaves no fraction of one; what is beyond 10^15 passes."""

# Values that the dataclasses of the space check by themselves, so that pydantic knows no bounds.
BOUNDS: dict[str, Schema] = {
    "spec.space.input[]": {"maximum": 4096},
    "spec.space.stages": {"minItems": 1},
    "spec.space.stages[].channels": {"minimum": 1, "maximum": 65536},
    "spec.space.stages[].positions": {"minimum": 1, "maximum": 1000},
    "spec.space.stages[].stride": {"minimum": 1, "maximum": 2},
    "spec.space.stages[].start[]": {"minimum": 1, "maximum": 6},
    "spec.space.stem.channels": {"minimum": 1, "maximum": 65536},
    "spec.space.stem.stride": {"minimum": 1, "maximum": 2},
    "spec.space.stem.block_channels": {"minimum": 1, "maximum": 65536},
    "spec.space.head.channels": {"minimum": 1, "maximum": 65536},
    "spec.space.block_types": {"minItems": 1},
    "spec.space.block_types[]": {"minimum": 1, "maximum": 6},
    "spec.min_gain": {"minimum": -1, "maximum": 1},
}

# The API server estimates a rule's cost from the largest value that the schema admits, so everything has a size.
MOST_ITEMS = {
    "spec.space.stages": 64,
    "spec.space.stages[].start": 1000,
    "spec.space.block_types": 6,
    "spec.rules": 5,
    "spec.latency.table.stems": latency.MOST_HEADS,
    "spec.latency.table.blocks": latency.MOST_BLOCKS,
    "spec.latency.table.heads": latency.MOST_HEADS,
    "status.conditions": 8,
    "status.finals.results": 100,
}
ITEMS, ENTRIES, LENGTH = 64, 64, 1024

_RESERVED = "|".join(re.escape(domain) for domain in pod.RESERVED_DOMAINS)
_UNRESERVED = (
    f"self.all(name, !name.matches(r'^({_RESERVED})/'))",
    "no name that begins with " + ", ".join(f"{domain}/" for domain in pod.RESERVED_DOMAINS),
    "",
)

# By place: a rule, what the message says, and the field below that place which it names.
RULES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "spec.space": (
        (
            "!has(self.skeleton) || self.skeleton != 'custom' || (has(self.stages) && has(self.input))",
            "custom only together with input and stages",
            ".skeleton",
        ),
    ),
    "spec.space.stages[]": (
        ("!has(self.start) || size(self.start) <= self.positions", "at most as many as positions", ".start"),
        (
            "!has(self.stride) || self.stride != 2 || (has(self.start) && size(self.start) > 0)",
            "at least one block type, because the stage has stride 2 and only a block that is always there holds it",
            ".start",
        ),
    ),
    "spec": (
        (
            "!has(self.budget.latency) || has(self.latency)",
            "a latency only together with latency.table, which says how long each block takes",
            ".budget",
        ),
    ),
    "spec.budget": (
        ("has(self.params) || has(self.madds) || has(self.latency)", "params, madds or latency is needed", ""),
    ),
    "spec.pod.labels": (_UNRESERVED,),
    "spec.pod.annotations": (_UNRESERVED,),
    "spec.pod.env[]": ((f"self.name != '{JOB_VARIABLE}'", f"{JOB_VARIABLE} is set by rcas", ".name"),),
    "spec.training": (
        (
            "(has(self.nesterov) && !self.nesterov) || !has(self.momentum) || self.momentum > 0.0",
            "nesterov needs a momentum above 0",
            ".momentum",
        ),
    ),
}
RULES["spec.retrain.training"] = RULES["spec.training"]
COUNT_RULE = (
    f"type(self) == int || (self.matches('[1-9]') && self.matches(r'{COUNT_PATTERN}'))",
    "a positive count such as 3.4M, 300k or 2_400_000 (suffixes k, M, G)",
    "",
)

_TEXT: Schema = {"type": "string", "maxLength": 4096}
_WHOLE: Schema = {"type": "integer", "format": "int64"}
_OPAQUE: Schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
QUANTITY: Schema = {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]}
_AMOUNT: Schema = QUANTITY | {"maxLength": 64, "pattern": pod.QUANTITY}
_QUANTITIES: Schema = {"type": "object", "additionalProperties": _AMOUNT, "maxProperties": 64}

# The fields of Kubernetes' own objects that a pod commonly has; others pass as they are. Without these CEL takes two
# objects for equal that have as many fields under other names, and a change of them would go unnoticed.
KUBERNETES: dict[str, dict[str, Schema]] = {
    "spec.pod.imagePullSecrets[]": {"name": _TEXT},
    "spec.pod.resources": {"limits": _QUANTITIES, "requests": _QUANTITIES},
    "spec.pod.tolerations[]": {
        **dict.fromkeys(("key", "operator", "value", "effect"), _TEXT),
        "tolerationSeconds": _WHOLE,
    },
    "spec.pod.affinity": dict.fromkeys(("nodeAffinity", "podAffinity", "podAntiAffinity"), _OPAQUE),
    "spec.pod.env[]": {"name": _TEXT, "value": _TEXT, "valueFrom": _OPAQUE},
    "spec.pod.envFrom[]": {"prefix": _TEXT, "configMapRef": _OPAQUE, "secretRef": _OPAQUE},
    "spec.pod.volumes[]": {
        "name": _TEXT,
        **dict.fromkeys(("configMap", "csi", "emptyDir", "ephemeral", "hostPath", "image", "nfs"), _OPAQUE),
        **dict.fromkeys(("persistentVolumeClaim", "projected", "secret"), _OPAQUE),
    },
    "spec.pod.volumeMounts[]": {
        **dict.fromkeys(("name", "mountPath", "subPath"), _TEXT),
        "readOnly": {"type": "boolean"},
    },
}
NEEDED = {
    "spec.pod.env[]": ["name"],
    "spec.pod.volumes[]": ["name"],
    "spec.pod.volumeMounts[]": ["name", "mountPath"],
}

MEANINGS = {
    "spec.parallelism": "Trainings at once. Default: what the controller is configured with.",
    "status.phase": "Where the search is; Complete, Failed and Cancelled are final.",
    "status.accepted": "Blocks accepted by the rule that is farthest.",
    "status.evaluations": "Evaluations whose result is known.",
    "status.running": "Trainings under way.",
    "status.best": "Accuracy of the best network so far, such as 76.10%.",
    "status.params": "Parameters of the best network so far.",
    "status.madds": "Multiply-adds of the best network so far, for one image.",
    "status.latency_ns": "Nanoseconds of the best network so far, by the table of the spec.",
    "status.network": "The best network so far: block types by stage.",
    "status.conditions": "What is true of the search now.",
    "status.conditions[].type": "Which condition.",
    "status.conditions[].status": "Whether it holds.",
    "status.conditions[].reason": "Why, in one word.",
    "status.conditions[].message": "Why, in words; of a failed evaluation the pod's own last ones.",
    "status.conditions[].lastTransitionTime": "Since when.",
    "status.conditions[].observedGeneration": "The resource's generation that it is about.",
    "status.stateRef": "Where the state of the search lies.",
    "status.stateRef.url": "The object store.",
    "status.stateRef.name": "Name of the search in that store.",
    "status.finals": "The final trainings that spec.retrain asks for.",
    "status.observedGeneration": "The resource's generation that the status is about.",
}

COLUMNS: tuple[tuple[str, str, str, int], ...] = (
    ("Phase", "string", ".status.phase", 0),
    ("Accepted", "integer", ".status.accepted", 0),
    ("Evaluations", "integer", ".status.evaluations", 0),
    ("Running", "integer", ".status.running", 1),
    ("Best", "string", ".status.best", 0),
    ("Params", "integer", ".status.params", 0),
    ("MAdds", "integer", ".status.madds", 0),
    ("Latency", "integer", ".status.latency_ns", 1),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Network", "string", ".status.network", 1),
)
