"""The custom resource `Search` (searches.rcas.dev): its spec, its status, and how it becomes a `SearchSpec`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from rcas.errors import InvalidSpec
from rcas.final import MOST_SEEDS
from rcas.retraining import Retraining
from rcas.spec import SearchSpec, build_spec, explain

GROUP = "rcas.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "Search"
PLURAL = "searches"

MUTABLE_FIELDS = ("parallelism", "limits", "pause", "cancel", "retrain")
"""Fields of a resource's spec that may change; every other one is fixed when the resource is created."""

DEFAULTS_LABEL = "rcas.dev/defaults"
"""Label of the ConfigMap with what `submit` lays under a user's spec."""
DEFAULTS_KEY = "search.yaml"

Phase = Literal["Pending", "Running", "Paused", "LimitReached", "Complete", "Failed", "Cancelled"]


class ResourceSpec(SearchSpec):
    """The `spec` of a resource: a search spec, whose name is the resource's, and what may be switched."""

    pause: bool = Field(
        default=False, description="Stop the running trainings, with their checkpoints, and start none."
    )
    cancel: bool = Field(default=False, description="Stop for good; what was found so far stays.")
    retrain: Retraining | None = Field(
        default=None, description="Once the search is complete, train a network from scratch and test it."
    )


class Condition(BaseModel):
    """A condition as Kubernetes writes it."""

    type: Literal["Ready", "Progressing", "Complete", "Failed", "StoreUnavailable", "BudgetExceeded"]
    status: Literal["True", "False", "Unknown"]
    reason: Annotated[str, Field(max_length=64)]
    message: Annotated[str, Field(max_length=1024)] = ""
    lastTransitionTime: str
    observedGeneration: int = 0


class StateRef(BaseModel):
    """Where the state of a search lies. `name`: of its head, as `rcasctl status NAME --store URL` takes it."""

    url: Annotated[str, Field(max_length=512)]
    name: Annotated[str, Field(max_length=512)]


class SeedStatus(BaseModel):
    """What one final training measured on the test set.

    Attributes:
        seed: of the training.
        top1: share of test images whose first guess is right, such as 76.10%.
        top5: share of test images whose class is among the first five guesses.
        key: names the result and the weights in the store, finals/KEY.json and finals/KEY.safetensors.
    """

    seed: int
    top1: Annotated[str, Field(max_length=16)]
    top5: Annotated[str, Field(max_length=16)]
    key: Annotated[str, Field(max_length=64)]


class FinalsStatus(BaseModel):
    """The final trainings that spec.retrain asks for.

    Attributes:
        phase: where they are; Complete and Failed are final until the spec changes.
        message: why, for people.
        network: block types by stage of the network that is trained.
        seeds: how many trainings.
        running: trainings under way.
        top1: mean over the seeds so far, on the test set.
        top5: mean over the seeds so far, on the test set.
        spread: standard deviation of top1 over the seeds, in percentage points.
        results: what each seed measured.
        observedGeneration: the resource's generation that this is about.
    """

    phase: Literal["Pending", "Running", "Complete", "Failed"] = "Pending"
    message: Annotated[str, Field(max_length=1024)] = ""
    network: Annotated[str, Field(max_length=2048)] = ""
    seeds: int = 0
    running: int = 0
    top1: Annotated[str, Field(max_length=16)] | None = None
    top5: Annotated[str, Field(max_length=16)] | None = None
    spread: Annotated[str, Field(max_length=16)] | None = None
    results: Annotated[list[SeedStatus], Field(max_length=MOST_SEEDS)] = []
    observedGeneration: int = 0


class Status(BaseModel):
    """The `status` of a resource: of the same size, whatever the search has done.

    Attributes:
        accepted: blocks accepted by the rule that is farthest.
        evaluations: results known. running: trainings under way.
        best: accuracy of the best network so far, such as 76.10%; params, madds, latency_ns and network are that
            network's.
    """

    model_config = ConfigDict(extra="forbid")

    phase: Phase = "Pending"
    accepted: int = 0
    evaluations: int = 0
    running: int = 0
    best: str | None = None
    params: int | None = None
    madds: int | None = None
    latency_ns: int | None = None
    network: Annotated[str, Field(max_length=2048)] | None = None
    conditions: list[Condition] = []
    stateRef: StateRef | None = None
    finals: FinalsStatus | None = None
    observedGeneration: int = 0


class Resource:
    """One Search as the API server gave it.

    Attributes:
        fields: its spec as it stands there; empty if it is no mapping.
    """

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.body = found
        metadata: Mapping[str, Any] = found["metadata"]
        self.name: str = metadata["name"]
        self.namespace: str = metadata["namespace"]
        self.uid: str = metadata["uid"]
        self.generation: int = metadata.get("generation", 1)
        self.created: str = metadata.get("creationTimestamp", "")
        spec: Any = found.get("spec")
        self.fields: Mapping[str, Any] = spec if isinstance(spec, dict) else {}
        self.pause = self.fields.get("pause") is True
        self.cancel = self.fields.get("cancel") is True

    @property
    def id(self) -> str:
        """Name of the search in the store: another resource of the same name is another search."""
        return f"{self.namespace}/{self.name}/{self.uid}"

    def spec(self) -> SearchSpec:
        """The search that is meant.

        Raises:
            InvalidSpec: the API server's checks let something through that no search can be.
        """
        fields = {name: value for name, value in self.fields.items() if name not in {"pause", "cancel", "retrain"}}
        return _built(json.dumps({**fields, "name": self.name}))

    def retraining(self) -> Retraining | None:
        """The final training that is asked for, if any.

        Raises:
            InvalidSpec: the API server's checks let something through that none can be.
        """
        given = self.fields.get("retrain")
        if given is None:
            return None
        try:
            return Retraining.model_validate_json(json.dumps(given))
        except ValidationError as error:
            found = explain(error, given)
            raise InvalidSpec(f"retrain.{found.field}", got=found.got, allowed=found.allowed) from None

    def status(self) -> Status:
        """The status as last written; the default if it is absent or unreadable."""
        try:
            return Status.model_validate(self.body.get("status") or {})
        except ValidationError:
            return Status()

    @property
    def message(self) -> str:
        """Why the search is as it is, for people."""
        for condition in self.status().conditions:
            if condition.type in {"StoreUnavailable", "Failed", "BudgetExceeded"} and condition.status == "True":
                return condition.message
            if condition.type == "Ready" and condition.message:
                return condition.message
        return ""

    def owner_reference(self) -> dict[str, Any]:
        """What makes an object go when this resource goes."""
        return {"apiVersion": API_VERSION, "kind": KIND, "name": self.name, "uid": self.uid, "controller": True}


@lru_cache(maxsize=256)
def _built(fields: str) -> SearchSpec:
    """Checked once: every pass of the controller asks, and the paper's space takes milliseconds."""
    return build_spec(json.loads(fields))


def resource_of(spec: SearchSpec, namespace: str) -> dict[str, Any]:
    """The resource to create for a search."""
    fields = spec.model_dump(mode="json", exclude={"name"}, exclude_unset=True)
    metadata = {"name": spec.name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": fields}


def with_defaults(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of `given`, and where it is silent those of `defaults`; mappings are merged inside.

    Raises:
        InvalidSpec: a mapping in one is none in the other.
    """
    merged = dict(defaults)
    for name, value in given.items():
        below = merged.get(name)
        if isinstance(below, Mapping) and value is not None:
            if not isinstance(value, Mapping):
                raise InvalidSpec(name, got=value, allowed="a mapping")
            merged[name] = with_defaults(value, below)
        else:
            merged[name] = value
    return merged
