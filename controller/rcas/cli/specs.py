"""Commands that need no search: `cost`, `init`, `validate`, `schema`."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from rcas.budget import format_count, format_latency
from rcas.cli.options import json_option, read_spec, read_table, spec_argument
from rcas.cli.render import cost_json
from rcas.errors import InvalidSpec, one_line
from rcas.latency import cost_with_latency
from rcas.space import Space
from rcas.spec import SearchSpec
from rcas.wording import cost_text, counted


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
@click.option(
    "--spec", type=click.Path(path_type=Path), help="Use the space of this spec instead, and its latencies."
)
@click.option(
    "--latency-table", metavar="FILE", type=click.Path(path_type=Path), help="Say the latency by it as well."
)
@json_option
def cost(
    network: str,
    skeleton: str,
    classes: int | None,
    spec: Path | None,
    latency_table: Path | None,
    as_json: bool,
) -> None:
    """Print the exact parameters and multiply-adds of NETWORK, such as "5,3 / 5,2 / 5 / - / 5,4 / -"."""
    table = read_table(latency_table) if latency_table else None
    if spec:
        checked = read_spec(spec)
        space, table = checked.space.build(), table or checked.latency_table
    elif skeleton == "cifar":
        space = Space.cifar(classes or 100)
    else:
        space = Space.imagenet(classes or 1000)
    parsed = space.network(network)
    found = cost_with_latency(table, space, parsed)
    if as_json:
        click.echo(json.dumps({"network": str(parsed), **cost_json(found)}))
        return
    click.echo(f"params  {found.params:,}  ({format_count(found.params)})")
    click.echo(f"MAdds   {found.madds:,}  ({format_count(found.madds)}, convolutions, one image)")
    if table and found.latency is not None:
        about = ", ".join(
            filter(None, (counted(table.threads, "thread"), counted(table.batch, "image"), one_line(table.machine)))
        )
        click.echo(f"latency {found.latency:,} ns  ({format_latency(found.latency)} by the table: {about})")


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
    start = cost_with_latency(checked.latency_table, space, space.start)
    if as_json:
        click.echo(checked.model_dump_json())
        return
    click.echo(f"{spec} is valid: search {checked.name}, rules {', '.join(checked.rules)}, {checked.stop}")
    click.echo(f"space   {len(space.elements)} elements ({', '.join(f'type {b}' for b in space.block_types)})")
    click.echo(f"start   {space.start}: {cost_text(start)}")
    for name, limit, used in (("params", budget.params, start.params), ("MAdds", budget.madds, start.madds)):
        if limit:
            click.echo(f"budget  {limit:,} {name}, of which the start uses {used / limit:.0%}")
    if budget.latency and start.latency is not None:
        share = f"{start.latency / budget.latency:.0%}"
        click.echo(f"budget  {format_latency(budget.latency)} of latency, of which the start uses {share}")


@click.command()
def schema() -> None:
    """Print the JSON Schema of a spec, for editors and programs."""
    click.echo(json.dumps(SearchSpec.model_json_schema(), indent=2))
