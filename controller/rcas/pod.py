"""The pod that trains one network, as far as a user decides about it. Names and forms are Kubernetes' own."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from rcas.evaluation import Count, Model

KubernetesObject = dict[str, Any]
KubernetesList = tuple[KubernetesObject, ...]
_APPENDED = ("imagePullSecrets", "env", "envFrom", "volumes", "volumeMounts")


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
        default=None, description="For the cloud's identity only: no token of the cluster is mounted."
    )
    labels: dict[str, str] | None = Field(default=None, description="More labels of the pod.")
    annotations: dict[str, str] | None = Field(default=None, description="More annotations of the pod.")
    env: KubernetesList = Field(default=(), description="More variables of the container, as in Kubernetes.")
    envFrom: KubernetesList = Field(default=(), description="As in Kubernetes, such as the store's credentials.")
    volumes: KubernetesList = Field(default=(), description="Volumes of the pod, such as the data set's.")
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

    def over(self, defaults: PodSpec) -> PodSpec:
        """These fields where they are given, the defaults' elsewhere. Lists of variables and volumes are joined."""
        given = {name: value for name in PodSpec.model_fields if (value := getattr(self, name)) is not None}
        joined = {name: (*getattr(defaults, name), *getattr(self, name)) for name in _APPENDED}
        return defaults.model_copy(update={**given, **joined})

    @property
    def gpus(self) -> int:
        """GPUs that one training holds."""
        limits: dict[str, Any] = {
            **(self.resources or {}).get("requests", {}),
            **(self.resources or {}).get("limits", {}),
        }
        return sum(
            int(str(count)) for name, count in limits.items() if name.endswith("/gpu") and str(count).isdigit()
        )
