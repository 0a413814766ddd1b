"""Commands that need no search: `cost`, `init`, `validate`, `schema`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from rcas.budget import format_count
from rcas.cli.options import json_option, read_spec, spec_argument
from rcas.errors import InvalidSpec
from rcas.space import Space
from rcas.spec import SearchSpec


@click.command()
@click.argument("network")
@click.option(
    "--skeleton",
    type=click.Choice(["cifar", "imagenet"]),
    default="cifar",
    show_default=True,
    help="Which of the paper's.",
)
@click.option("--classes", type=click.IntRange(2, 1_000_000), help="Default: 100 (cifar), 1000 (imagenet).")
@click.option("--spec", type=click.Path(path_type=Path), help="Use the space of this spec instead.")
@json_option
def cost(network: str, skeleton: str, classes: int | None, spec: Path | None, as_json: bool) -> None:
    """Print the exact parameters and multiply-adds of NETWORK, such as "5,3 / 5,2 / 5 / - / 5,4 / -"."""
    if spec:
        space = read_spec(spec).space.build()
    elif skeleton == "cifar":
        space = Space.cifar(classes or 100)
    else:
        space = Space.imagenet(classes or 1000)
    parsed = space.network(network)
    found = space.cost(parsed)
    if as_json:
        click.echo(json.dumps({"network": str(parsed), "params": found.params, "madds": found.madds}))
        return
    click.echo(f"params  {found.params:,}  ({format_count(found.params)})")
    click.echo(f"MAdds   {found.madds:,}  ({format_count(found.madds)}, convolutions, one image)")


@click.command()
@click.argument("path", type=click.Path(path_type=Path, allow_dash=True), default="search.yaml")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def init(path: Path, force: bool) -> None:
    """Write a commented spec to PATH ('-' prints it)."""
    template = files("rcas").joinpath("template.yaml").read_text(encoding="utf-8")
    if str(path) == "-":
        click.echo(template, nl=False)
        return
    try:
        with path.open("w" if force else "x", encoding="utf-8") as file:
            file.write(template)
    except FileExistsError:
        raise InvalidSpec("path", got=str(path), allowed="a new file; --force overwrites it") from None
    except OSError as error:
        raise InvalidSpec("path", got=str(path), allowed=f"a writable file ({error.strerror})") from None
    click.echo(f"Wrote {path}. Edit it, then: rcasctl validate {path} && rcasctl run {path}")


@click.command()
@spec_argument
@json_option
def validate(spec: Path, as_json: bool) -> None:
    """Check a spec without running anything, and print what it means."""
    checked = read_spec(spec)
    space, budget = checked.space.build(), checked.budget.build()
    start = space.cost(space.start)
    if as_json:
        click.echo(checked.model_dump_json())
        return
    click.echo(f"{spec} is valid: search {checked.name}, rules {', '.join(checked.rules)}, {checked.stop}")
    click.echo(f"space   {len(space.elements)} elements ({', '.join(f'type {b}' for b in space.block_types)})")
    click.echo(f"start   {space.start}: {start.params:,} params, {start.madds:,} MAdds")
    for name, limit, used in (("params", budget.params, start.params), ("MAdds", budget.madds, start.madds)):
        if limit:
            click.echo(f"budget  {limit:,} {name}, of which the start uses {used / limit:.0%}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a spec, for editors and programs."""
    click.echo(json.dumps(SearchSpec.model_json_schema(), indent=2))
