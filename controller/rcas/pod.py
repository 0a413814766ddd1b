"""The pod that trains one network, as far as a user decides about it. Names and forms are Kubernetes' own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from rcas.errors import InvalidSpec
from rcas.evaluation import Count, Model
from rcas.messages import JOB_VARIABLE

KubernetesObject = dict[str, Any]
KubernetesList = tuple[KubernetesObject, ...]
RESERVED_DOMAINS = (
    "rcas.dev",
    "app.kubernetes.io",
    "batch.kubernetes.io",
    "container.apparmor.security.beta.kubernetes.io",
)
"""Of labels and annotations: ours, those that Services and policies select our pods by, and what weakens a pod."""
_NUMBER = r"(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))"
QUANTITY = rf"^(\+|-)?{_NUMBER}(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?{_NUMBER}))?$"
"""As Kubernetes' own tools write a quantity, such as 500m or 8Gi, into a schema."""
DEEPEST = 32
"""Levels inside of one of Kubernetes' objects; more than any of its kinds has."""
_APPENDED = ("imagePullSecrets", "env", "envFrom", "volumes", "volumeMounts")
_CORES = re.compile(r"([0-9]{1,6}(?:\.[0-9]{0,9})?)(m?)")


class PodSpec(Model):
    """Fields of the trainer's pod and its one container; the fields of Kubernetes are passed on as they are."""

    image: str | None = Field(default=None, max_length=512, description="The trainer image.")
    imagePullPolicy: Literal["Always", "IfNotPresent", "Never"] | None = Field(
        default=None, description="As in Kubernetes."
    )
    imagePullSecrets: KubernetesList = Field(default=(), description="As in Kubernetes.")
    resources: KubernetesObject | None = Field(
        default=None, description="Requests and limits of the container, GPUs among them."
    )
    nodeSelector: dict[str, str] | None = Field(default=None, description="As in Kubernetes.")
    tolerations: KubernetesList | None = Field(default=None, description="As in Kubernetes.")
    affinity: KubernetesObject | None = Field(default=None, description="As in Kubernetes.")
    priorityClassName: str | None = Field(default=None, description="As in Kubernetes.")
    runtimeClassName: str | None = Field(default=None, description="As in Kubernetes.")
    serviceAccountName: str | None = Field(
        default=None,
        description="Needs the owner's allow. For the cloud's identity: no token of the cluster is mounted.",
    )
    labels: dict[str, str] | None = Field(
        default=None, description="More labels of the pod; they need the owner's allow."
    )
    annotations: dict[str, str] | None = Field(
        default=None, description="More annotations; they need the owner's allow."
    )
    env: KubernetesList = Field(default=(), description="More variables of the container, as in Kubernetes.")
    envFrom: KubernetesList = Field(default=(), description="As in Kubernetes; Secrets need the owner's allow.")
    volumes: KubernetesList = Field(
        default=(), description="Volumes, such as the data set's; some kinds need the owner's allow."
    )
    volumeMounts: KubernetesList = Field(default=(), description="Where the container sees them.")
    queueName: str | None = Field(
        default=None, description="Kueue's local queue: Jobs are created suspended, and Kueue starts them."
    )
    activeDeadlineSeconds: Count | None = Field(
        default=None, description="Longest run of one attempt from the start of its pod; default: 86400."
    )
    terminationGracePeriodSeconds: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Time to write a checkpoint when the pod is asked to stop; default: 60."
    )

    @model_validator(mode="after")
    def _takes_nothing_of_ours(self) -> PodSpec:
        for field in ("labels", "annotations"):
            for name in getattr(self, field) or {}:
                if name.partition("/")[0] in RESERVED_DOMAINS and "/" in name:
                    allowed = "names outside of " + ", ".join(f"{domain}/" for domain in RESERVED_DOMAINS)
                    raise InvalidSpec(f"pod.{field}", got=name, allowed=allowed)
        for index, variable in enumerate(self.env):
            if variable.get("name") == JOB_VARIABLE:
                raise InvalidSpec(f"pod.env[{index}].name", got=JOB_VARIABLE, allowed="any other name: rcas sets it")
        return self

    @model_validator(mode="after")
    def _can_be_read(self) -> PodSpec:
        for field, value in self:
            if _is_deep(value):
                raise InvalidSpec(
                    f"pod.{field}", got=f"more than {DEEPEST} levels", allowed=f"at most {DEEPEST} levels"
                )
        for kind in ("limits", "requests"):
            amounts: Any = (self.resources or {}).get(kind) or {}
            if not isinstance(amounts, dict):
                raise InvalidSpec(f"pod.resources.{kind}", got=amounts, allowed="a mapping")
            for name, amount in amounts.items():
                if not re.fullmatch(QUANTITY, str(amount)) or len(str(amount)) > 64:
                    allowed = "a quantity of Kubernetes such as 500m, 2 or 8Gi"
                    raise InvalidSpec(f"pod.resources.{kind}.{name}", got=amount, allowed=allowed)
        return self

    def over(self, defaults: PodSpec) -> PodSpec:
        """These fields where they are given, the defaults' elsewhere. Lists of variables and volumes are joined."""
        given = {name: value for name in PodSpec.model_fields if (value := getattr(self, name)) is not None}
        joined = {name: (*getattr(defaults, name), *getattr(self, name)) for name in _APPENDED}
        return defaults.model_copy(update={**given, **joined})

    @property
    def gpus(self) -> int:
        """GPUs that one training holds."""
        limits = {**self._amounts("requests"), **self._amounts("limits")}
        counts = [str(count) for name, count in limits.items() if name.endswith("/gpu")]
        # The API server refuses other forms, and says why.
        return sum(int(count) for count in counts if re.fullmatch("[0-9]{1,6}", count))

    @property
    def cores(self) -> float:
        """CPU cores that one training may use, or else asks for; 1 if it says nothing that can be read."""
        quantity = self._amounts("limits").get("cpu") or self._amounts("requests").get("cpu") or 1
        match = _CORES.fullmatch(str(quantity))
        return float(match[1]) / (1000 if match[2] else 1) if match else 1.0

    def _amounts(self, kind: str) -> dict[str, Any]:
        return (self.resources or {}).get(kind) or {}


def _is_deep(value: Any, levels: int = DEEPEST) -> bool:
    if not isinstance(value, dict | list | tuple):
        return False
    inside: Iterator[Any] = iter(value.values() if isinstance(value, dict) else value)
    return levels == 0 or any(_is_deep(one, levels - 1) for one in inside)
