"""The search spec that a user writes (YAML or JSON): strict, with one clear line for each mistake."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Annotated, Any, Literal

import yaml
from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, model_validator
from yaml.composer import ComposerError
from yaml.constructor import ConstructorError

from rcas.blocks import BLOCK_TYPES
from rcas.budget import LATENCY_PATTERN, Budget, parse_count, parse_latency
from rcas.errors import InvalidSpec
from rcas.evaluation import Count, DataSource, Description, Draw, Later, Model, Protocol, Training
from rcas.greedy import STOP_POLICIES, Rule, StopPolicy
from rcas.latency import LatencyTable
from rcas.pod import PodSpec
from rcas.search import DEFAULT_RULES, Search
from rcas.space import Head, Space, Stage, Stem

Path = tuple[int | str, ...]
"""Where a value stands in a spec: names of fields and indices of lists."""
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,51}[a-z0-9])?$")]
"""A name that is a folder, an object key and a Kubernetes label at once."""


def _budget_count(value: Any) -> int:
    return parse_count(value)


BudgetCount = Annotated[
    int,
    BeforeValidator(_budget_count),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}], "examples": ["3.4M", "300M"]}),
]


BudgetLatency = Annotated[
    int,
    BeforeValidator(lambda value: parse_latency(value)),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": LATENCY_PATTERN}],
            "examples": ["12ms", "850us"],
        }
    ),
]


class SpaceSpec(Model):
    """The skeleton: one of the paper's, with fields replaced at will, or an own one with its stages."""

    skeleton: Literal["cifar", "imagenet", "custom"] = Field(
        default="cifar",
        description="cifar (32 x 32) or imagenet (224 x 224) as in the paper; custom needs stages.",
    )
    classes: Annotated[int, Field(ge=2, le=1_000_000, description="Classes of the data set.")]
    input: tuple[Count, Count, Count] | None = Field(
        default=None,
        description="(channels, height, width) of an image; images of another size are resized to it.",
    )
    stages: tuple[Stage, ...] | None = Field(
        default=None,
        description="From stem to head: channels, positions, stride of the first block, start blocks.",
    )
    stem: Stem | None = Field(default=None, description="First convolution and its t = 1 block.")
    head: Head | None = Field(default=None, description="Last 1x1 convolution.")
    block_types: tuple[int, ...] | None = Field(
        default=None, description="Block types that may be placed.", examples=[list(BLOCK_TYPES)]
    )

    @model_validator(mode="after")
    def _builds(self) -> SpaceSpec:
        self.build()
        return self

    def build(self) -> Space:
        """The space that is meant.

        Raises:
            InvalidSpec: it cannot be built; says why.
        """
        fields = ("input", "stages", "stem", "head", "block_types")
        changes = {name: value for name in fields if (value := getattr(self, name)) is not None}
        if self.skeleton == "custom":
            if self.stages is None or self.input is None:
                raise InvalidSpec(
                    "space.skeleton", got="custom", allowed="custom only together with input and stages"
                )
            return Space(num_classes=self.classes, **changes)
        paper = Space.cifar if self.skeleton == "cifar" else Space.imagenet
        return replace(paper(self.classes), **changes)


class BudgetSpec(Model):
    """The most that the network may cost; at least one of them."""

    params: BudgetCount | None = Field(default=None, description="Parameters, such as 3.4M.")
    madds: BudgetCount | None = Field(default=None, description="Multiply-adds of its convolutions for one image.")
    latency: Later[BudgetLatency] = Field(
        default=None,
        description="Time of one pass by latency.table, such as 12ms; a whole number counts nanoseconds.",
    )

    @model_validator(mode="after")
    def _one_at_least(self) -> BudgetSpec:
        self.build()
        return self

    def build(self) -> Budget:
        """The budget that is meant."""
        return Budget(self.params, self.madds, self.latency)


def _no_file_name(value: Any) -> Any:
    if isinstance(value, str):
        allowed = "the table itself; only rcasctl reads it from a file, whose name stands in a file too"
        raise InvalidSpec("latency.table", got=value, allowed=allowed)
    return value


def _or_a_file_name(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"$ref": schema.pop("$ref")}, {"type": "string", "format": "path"}]


class LatencySpec(Model):
    """How long the parts of a network take, for a budget of latency and for the rule ALR."""

    table: Annotated[LatencyTable, BeforeValidator(_no_file_name)] = Field(
        description="What `rcasctl latency table` writes, or the name of the file with it, from this file's folder.",
        json_schema_extra=_or_a_file_name,
    )

    def __str__(self) -> str:
        return str(self.table)


class DataSpec(Draw, DataSource):
    """The data set, where it lies, and which images measure."""

    def draw(self) -> Draw:
        """The part that can change an accuracy."""
        return Draw.model_validate(self.model_dump(include=set(Draw.model_fields)))

    def source(self) -> DataSource:
        """The part that cannot."""
        return DataSource.model_validate(self.model_dump(include=set(DataSource.model_fields)))


class Limits(Model):
    """Where a search stops for now, its state kept; raise a limit and it goes on. None is the default."""

    evaluations: Count | None = Field(default=None, description="Trainings at most, reused results not counted.")
    gpu_hours: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Hours of GPUs held by trainings at most, all attempts counted (Kubernetes only)."
    )
    hours: Annotated[float, Field(gt=0)] | None = Field(
        default=None, description="Hours at most since the search began, pauses included."
    )


class SearchSpec(Model):
    """A whole search."""

    name: Name = Field(default="search", description="Lower case letters, digits and '-'.")
    space: SpaceSpec
    budget: BudgetSpec
    latency: Later[LatencySpec] = Field(
        default=None, description="Needed by a budget of latency and by the rule ALR."
    )
    rules: tuple[Rule, ...] = Field(
        default=DEFAULT_RULES,
        min_length=1,
        description="UC: by gain; APR: gain per param; AMR: per MAdd; JOINT: per budget share; ALR: per latency.",
    )
    stop: StopPolicy = Field(
        default=STOP_POLICIES[0], description="Go on while anything fits, or end at the first misfit."
    )
    min_gain: float | None = Field(
        default=None, description="End a rule whose best block gains less accuracy (0.001 = 0.1 %)."
    )
    max_blocks: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="End a rule after so many blocks."
    )
    data: DataSpec
    training: Training = Training()
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes a GPU if there is one.")
    threads: Count | Literal["auto"] = Field(
        default="auto",
        description="CPU threads of one training; auto divides the cores among the workers. They change results.",
    )
    parallelism: Count | None = Field(default=None, description="Trainings at once; default: one per GPU or core.")
    limits: Limits = Limits()
    max_attempts: Count = Field(default=3, description="Tries of one evaluation before the search stops.")
    speculate: bool = Field(default=True, description="Fill idle workers with what the next decisions probably need.")
    pod: PodSpec = Field(default=PodSpec(), description="The trainer's pod on Kubernetes; a local run ignores it.")

    @model_validator(mode="after")
    def _searchable(self) -> SearchSpec:
        self.search("")
        return self

    @property
    def latency_table(self) -> LatencyTable | None:
        """How long the parts of a network take, if it says."""
        return self.latency.table if self.latency else None

    def search(self, protocol_sha256: str) -> Search:
        """A new search as specified."""
        return Search(
            self.space.build(),
            self.budget.build(),
            self.rules,
            stop=self.stop,
            min_gain=self.min_gain,
            max_blocks=self.max_blocks,
            protocol=protocol_sha256,
            latency_table=self.latency_table,
        )

    def protocol(self, found: Description, threads: int) -> Protocol:
        """The protocol on a machine where a trainer found `found`.

        Raises:
            InvalidSpec: the data set does not match the space, or there is no GPU where one is asked for.
        """
        space = self.space.build()
        if found.num_classes != space.num_classes:
            raise InvalidSpec(
                "space.classes",
                got=space.num_classes,
                allowed=f"{found.num_classes}, the classes of the data set",
            )
        if self.device == "cuda" and not found.gpus:
            raise InvalidSpec("device", got="cuda", allowed="cpu or auto: torch finds no GPU on this machine")
        return Protocol(
            draw=self.data.draw(),
            training=self.training,
            data_sha256=found.data_sha256,
            device="cuda" if found.gpus and self.device != "cpu" else "cpu",
            threads=threads,
            versions=found.versions,
        )


def parse_spec(text: str, where: str = "spec") -> SearchSpec:
    """Read a spec from YAML or JSON.

    Raises:
        InvalidSpec: the first mistake, with its field, the value and what is allowed.
    """
    return build_spec(parse_fields(text, where))


def parse_fields(text: str, where: str = "spec") -> dict[Any, Any]:
    """The fields of a spec in YAML or JSON, which may be a part of one only. Their values are not checked yet.

    Raises:
        InvalidSpec: no mapping, or a form that is not allowed, such as a key that appears twice.
    """
    try:
        data = _load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"{where}, line {mark.line + 1}, column {mark.column + 1}" if mark else where
        raise InvalidSpec(place, got=_one_line(error.problem or error), allowed="YAML or JSON") from None
    except Exception as error:
        # PyYAML's constructors let through whatever int(), datetime() or a dict look-up raises on bad text.
        got = _one_line(error) or type(error).__name__
        raise InvalidSpec(where, got=got, allowed="YAML or JSON") from None
    if not isinstance(data, dict):
        raise InvalidSpec(where, got=data, allowed="a mapping with the fields space, budget and data")
    return data


class _Loader(yaml.SafeLoader):
    """YAML less what a spec does not need: a repeated key hides a mistake, a few aliases can fill the memory."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            problem = "an alias, which a spec cannot have; write the value out"
            raise ComposerError(None, None, problem, self.peek_event().start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen = set[str]()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise ConstructorError(None, None, f"{key.value} for the second time", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)


def _load(text: str) -> Any:
    if "\t" in text:
        # JSON may be indented with tabs, YAML may not.
        with suppress(ValueError):
            json.loads(text)
            text = text.replace("\t", " ")
    return yaml.load(text, _Loader)


def _one_line(error: object) -> str:
    return " ".join(str(error).split())


def build_spec(data: dict[Any, Any]) -> SearchSpec:
    """Check a spec that is already parsed.

    Raises:
        InvalidSpec: the first mistake, with its field, the value and what is allowed.
    """
    try:
        spec = SearchSpec.model_validate(data)
    except ValidationError as error:
        raise explain(error, data) from None
    for path, truth in _truths_taken_for_numbers(data, spec.model_dump()):
        allowed = "a number (YAML reads yes, no, on and off as true and false)"
        raise InvalidSpec(_field(path), got=truth, allowed=allowed)
    return spec


def _truths_taken_for_numbers(given: Any, taken: Any, path: Path = ()) -> Iterator[tuple[Path, bool]]:
    """Where pydantic has made 1 of true or 0 of false: `max_blocks: no` must not mean 0."""
    if isinstance(given, bool):
        if not isinstance(taken, bool):
            yield path, given
    elif isinstance(given, dict):
        for name, value in given.items():
            yield from _truths_taken_for_numbers(value, taken.get(name), (*path, name))
    elif isinstance(given, list | tuple):
        for index, (value, found) in enumerate(zip(given, taken, strict=True)):
            yield from _truths_taken_for_numbers(value, found, (*path, index))


def explain(error: ValidationError, data: object) -> InvalidSpec:
    """The first mistake in the spec `data` as one line."""
    problems = error.errors(include_url=False)
    first = problems[0]
    path = _path(first["loc"], data)
    field = _field(path)
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InvalidSpec):
        # A cause that names its own place in the spec knows better than the validator that it was raised in.
        own_place = cause.field.startswith(field or cause.field)
        return InvalidSpec(cause.field if own_place else field, got=cause.got, allowed=cause.allowed)
    if first["type"] in {"extra_forbidden", "unexpected_keyword_argument"}:
        return _unknown_field(field, path)
    if first["type"] in {"missing", "missing_argument"}:
        return InvalidSpec(field, got="nothing", allowed="a value: the field is required")
    alternatives = dict.fromkeys(_allowed(other["msg"]) for other in problems if _path(other["loc"], data) == path)
    return InvalidSpec(field or "spec", got=first["input"], allowed=", or ".join(alternatives))


def _field(path: Path) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")


def _path(location: Path, data: object) -> Path:
    """`location` as a path in `data`: without the names that pydantic gives the members of a union."""
    path = list[int | str]()
    for part in location:
        if isinstance(data, dict):
            text = str(part)
            path.append(text if text.isprintable() and 0 < len(text) <= 60 else repr(text)[:60])
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int):
            path.append(part)
            data = data[part] if part < len(data) else None
    return tuple(path)


def _allowed(message: str) -> str:
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


def _unknown_field(field: str, location: Path) -> InvalidSpec:
    known = _fields_at(location[:-1])
    close = difflib.get_close_matches(str(location[-1]), known, n=1)
    hint = f"{close[0]} (did you mean that?)" if close else ", ".join(known)
    return InvalidSpec(field, got="an unknown field", allowed=hint)


def _fields_at(location: Path) -> list[str]:
    """Names of the fields of the object at `location` in a spec, out of its JSON Schema."""
    schema = SearchSpec.model_json_schema()

    def resolved(node: dict[str, Any]) -> dict[str, Any]:
        for option in [node, *node.get("anyOf", [])]:
            if "$ref" in option:
                return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
            if "items" in option:
                return option
        return node

    node: dict[str, Any] = schema
    for part in location:
        node = resolved(node["items"] if isinstance(part, int) else node["properties"][part])
    return sorted(node.get("properties", {}))
