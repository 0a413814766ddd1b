"""The controller's configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, ValidationError

from rcas.errors import InvalidSpec
from rcas.evaluation import Count, Model
from rcas.location import S3Location
from rcas.pod import PodSpec


class Config(Model):
    """What the controller of one namespace needs to know.

    Attributes:
        store: s3:// URL that all searches of the namespace share.
        pod: defaults of every search's pods.
        parallelism: trainings at once of a search that does not say.
        port: of /metrics, /healthz, /readyz and /state.
        resync_s: seconds between two lists of all Jobs, if no event asks for one before.
        stall_s: seconds after which a pod that should have ended counts as lost, its grace period not included.
    """

    store: str
    pod: PodSpec = PodSpec()
    parallelism: Count = 8
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    log_format: Literal["json", "text"] = "json"
    resync_s: Annotated[float, Field(ge=1, le=300)] = 15.0
    stall_s: Annotated[float, Field(ge=1)] = 30.0


def read_config(path: Path) -> Config:
    """Read the file at `path`.

    Raises:
        InvalidSpec: it cannot be read, or says something that is not allowed.
    """
    try:
        data: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidSpec("config", got=str(path), allowed=f"a readable YAML file ({error})") from None
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, ("config", *first["loc"])))
        raise InvalidSpec(field, got=first["input"], allowed=first["msg"]) from None
    S3Location.parse(config.store)
    return config
