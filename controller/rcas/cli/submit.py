"""`rcasctl submit`: a search in a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import yaml

from rcas.cli.cluster import Target, cluster_options
from rcas.cli.options import json_option, read_fields, table_fields
from rcas.cli.views import ClusterSource
from rcas.cli.watch import watch_to_the_end
from rcas.errors import InvalidSpec
from rcas.resource import DEFAULTS_LABEL, resource_of, with_defaults
from rcas.spec import SearchSpec, build_spec, parse_fields

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

Fields = dict[str, Any]
_NEEDED = ("space", "budget", "data")
_PLACES = {
    "budget_params": ("budget", "params"),
    "budget_madds": ("budget", "madds"),
    "budget_latency": ("budget", "latency"),
    "latency_table": ("latency", "table"),
    "parallelism": ("parallelism",),
    "image": ("pod", "image"),
    "max_evaluations": ("limits", "evaluations"),
    "max_gpu_hours": ("limits", "gpu_hours"),
    "max_hours": ("limits", "hours"),
}
"""Of flags in a spec."""


def budget_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """The flags that replace the budget of a spec, and the table that a budget of latency needs."""
    options = (
        click.option("--budget-params", metavar="COUNT", help="Instead of the spec's, such as 3.4M."),
        click.option("--budget-madds", metavar="COUNT", help="Instead of the spec's, such as 300M."),
        click.option("--budget-latency", metavar="TIME", help="Instead of the spec's, such as 12ms."),
        click.option(
            "--latency-table",
            metavar="FILE",
            help="Instead of the spec's: what `rcasctl latency table` wrote.",
        ),
    )
    for option in reversed(options):
        function = option(function)
    return function


spec_option = click.option(
    "-f", "--file", "path", metavar="SPEC", type=click.Path(path_type=Path), help="The spec, or a part of one."
)


@click.command()
@spec_option
@click.option("--name", help="Default: the spec's name, else search- and five characters.")
@budget_flags
@click.option("--parallelism", type=click.IntRange(1, 1024), help="Trainings at once.")
@click.option("--image", help="The trainer image; default: the spec's, else the controller's.")
@click.option("--max-evaluations", type=click.IntRange(1), metavar="N", help="Stop for now after so many trainings.")
@click.option(
    "--max-gpu-hours", type=click.FloatRange(0, min_open=True), metavar="H", help="... after so many GPU-hours."
)
@click.option(
    "--max-hours", type=click.FloatRange(0, min_open=True), metavar="H", help="... so many hours after it began."
)
@click.option("--dry-run", is_flag=True, help="Let the API server check the search, create nothing, print it.")
@click.option("--watch", is_flag=True, help="Then watch it, as `rcasctl watch` does.")
@cluster_options
@json_option
def submit(
    path: Path | None,
    name: str | None,
    dry_run: bool,
    watch: bool,
    target: Target,
    as_json: bool,
    **flags: Any,
) -> int:
    """Start a search in a cluster.

    What neither SPEC nor a flag says comes from the namespace's defaults, a ConfigMap with the label
    rcas.dev/defaults=true, which the chart makes of its searchDefaults.
    """
    given = with_flags(read_fields(path) if path else {}, flags)
    if name:
        given["name"] = name
    remote = target.open()
    spec = complete_spec(given, remote)
    created = remote.submit(resource_of(spec, remote.namespace), dry_run=dry_run)
    created["metadata"].pop("managedFields", None)
    if dry_run:
        click.echo(json.dumps(created) if as_json else yaml.safe_dump(created, sort_keys=False), nl=as_json)
        return 0
    if as_json:
        click.echo(json.dumps({"event": "submitted", "search": spec.name, "namespace": remote.namespace}))
    else:
        click.echo(f"Search {spec.name} is submitted to the namespace {remote.namespace}.", err=watch)
    if watch:
        return watch_to_the_end(ClusterSource(remote, spec.name, target), as_json=as_json)
    if not as_json:
        click.echo(f"To see how it goes: {target.command('watch', spec.name)}")
    return 0


def with_flags(fields: Mapping[Any, Any], flags: Mapping[str, Any]) -> Fields:
    """The fields of a spec with those of the command line in their places; None was not given.

    Raises:
        InvalidSpec: a table of latencies cannot be read, or a field of the spec is no mapping.
    """
    changed: Fields = dict(fields)
    for flag, value in flags.items():
        if value is not None:
            *outer, inner = _PLACES[flag]
            node = changed
            for part in outer:
                below = node.get(part) or {}
                if not isinstance(below, Mapping):
                    raise InvalidSpec(part, got=below, allowed="a mapping")
                inside = dict(below)
                node[part], node = inside, inside
            node[inner] = table_fields(Path(value)) if flag == "latency_table" else value
    return changed


def complete_spec(given: Fields, remote: Remote) -> SearchSpec:
    """The spec of the search to create: `given` over the namespace's defaults, checked.

    Raises:
        InvalidSpec: the first mistake, or what is missing.
    """
    from rcas.runtimes.kubernetes.remote import new_name

    defaults = remote.defaults()
    missing = [field for field in _NEEDED if given.get(field) is None]
    if defaults is None and missing:
        allowed = (
            f"-f SPEC with {', '.join(missing)}: the namespace {remote.namespace} has no defaults "
            f"(a ConfigMap with the label {DEFAULTS_LABEL}=true)"
        )
        raise InvalidSpec("spec", got="nothing" if not given else "a part of one", allowed=allowed)
    below = parse_fields(defaults, "the namespace's defaults") if defaults else {}
    named = {"name": given.get("name") or new_name()}
    return build_spec(with_defaults({**given, **named}, below))
