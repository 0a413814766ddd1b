"""The controller's configuration file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from rcas.errors import InvalidSpec, one_line
from rcas.evaluation import Count, Model
from rcas.location import S3Location
from rcas.pod import PodSpec
from rcas.spec import parse_fields

Port = Annotated[int, Field(ge=1, le=65535)]
Host = Annotated[str, Field(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$")]
HARMLESS_VOLUMES = ("configMap", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim")
"""Kinds of volumes that reach neither the node, nor a credential, nor another machine."""


class Allowed(Model):
    """What searches may take of their namespace beside what the configuration gives to every pod; "*" allows all.

    Attributes:
        accounts: service accounts that their pods may run under.
        secrets: that their pods may read, or be pulled with.
        volumes: kinds of volumes, as Kubernetes names them.
        labels: names of labels and annotations.
    """

    accounts: tuple[str, ...] = ()
    secrets: tuple[str, ...] = ()
    volumes: tuple[str, ...] = HARMLESS_VOLUMES
    labels: tuple[str, ...] = ()


class PageConfig(Model):
    """The live page.

    Attributes:
        port: of the page alone, so that other peers may be let in than to the metrics.
        hosts: names by which browsers may ask for it beside localhost and addresses in numbers.
    """

    port: Port = 8081
    hosts: tuple[Host, ...] = ()


class Config(Model):
    """What the controller of one namespace needs to know.

    Attributes:
        store: s3:// URL that all searches of the namespace share.
        pod: defaults of every search's pods.
        allow: what searches may ask for beside them.
        parallelism: trainings at once of a search that does not say.
        most_parallelism: of a search that does.
        port: of /metrics, /healthz, /readyz and /state.
        page: the live page; none is served without it.
        resync_s: seconds between two lists of all Jobs, if no event asks for one before.
        stall_s: seconds after which a pod that should have ended counts as lost, its grace period not included.
    """

    store: str
    pod: PodSpec = PodSpec()
    allow: Allowed = Allowed()
    parallelism: Count = 8
    most_parallelism: Count = 100
    port: Port = 8080
    page: PageConfig | None = None
    log_format: Literal["json", "text"] = "json"
    resync_s: Annotated[float, Field(ge=1, le=300)] = 15.0
    stall_s: Annotated[float, Field(ge=1)] = 30.0

    def parallelism_of(self, asked: int | None) -> int:
        """Trainings at once of a search that asks for so many, or does not say."""
        return min(asked or self.parallelism, self.most_parallelism)


def read_config(path: Path) -> Config:
    """Read the file at `path`.

    Raises:
        InvalidSpec: it cannot be read, or says something that is not allowed.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSpec("config", got=str(path), allowed=f"a readable YAML file ({one_line(error)})") from None
    data = parse_fields(text, "config")
    try:
        config = Config.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(map(str, ("config", *first["loc"])))
        raise InvalidSpec(one_line(field), got=first["input"], allowed=one_line(first["msg"])) from None
    if config.page and config.page.port == config.port:
        raise InvalidSpec("config.page.port", got=config.page.port, allowed="another port than config.port")
    S3Location.parse(config.store)
    return config
