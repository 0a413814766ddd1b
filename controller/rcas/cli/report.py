"""`report`: what a search found, as a file to read or to work with."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from rcas.cli.places import Place, place_options, search_argument
from rcas.clock import SystemClock
from rcas.errors import InvalidSpec
from rcas.report.figures import FIGURES
from rcas.report.forms import FORMATS, Format, format_of, written
from rcas.report.tables import TABLES


@click.command()
@search_argument
@place_options
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    help="Where to; '-' is standard output. Default: SEARCH with the format's suffix.",
)
@click.option("--format", "form", type=click.Choice(FORMATS), help="Default: by FILE's suffix, else html.")
@click.option("--figure", type=click.Choice(list(FIGURES)), help="The figure of an svg or png; default: path.")
@click.option("--table", type=click.Choice(list(TABLES)), help="The table of a csv; default: path.")
def report(
    search: str, place: Place, output: str | None, form: Format | None, figure: str | None, table: str | None
) -> None:
    """Write what a search found, and how: one HTML file that needs no network, or a part of it."""
    chosen = form or _form(output, figure, table)
    if figure and chosen not in {"svg", "png"}:
        raise InvalidSpec("--figure", got=figure, allowed="--figure only with the formats svg and png")
    if table and chosen != "csv":
        raise InvalidSpec("--table", got=table, allowed="--table only with the format csv")
    found = place.report(search, SystemClock().now())
    data = written(found, chosen, figure=figure or "path", table=table or "path")
    if output == "-":
        click.echo(data, nl=False)
        return
    path = Path(output or f"{search.rpartition('/')[2]}.{chosen}")
    write_whole(path, data)
    click.echo(f"Wrote {path}", err=True)


def _form(output: str | None, figure: str | None, table: str | None) -> Format:
    found = format_of(output) if output else None
    if found:
        return found
    if output not in {None, "-"}:
        allowed = f"a file name that ends in {', '.join(FORMATS)}; or --format"
        raise InvalidSpec("--output", got=output, allowed=allowed)
    return "svg" if figure else "csv" if table else "html"


def write_whole(path: Path, data: bytes) -> None:
    """Write a file, or replace it: all of it or nothing.

    Raises:
        InvalidSpec: it cannot be written.
    """
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(temporary, _mode(path))
        os.replace(temporary, path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        reason = (error.strerror or "not possible").lower()
        raise InvalidSpec("--output", got=str(path), allowed=f"a file that can be written ({reason})") from None


def _mode(path: Path) -> int:
    """Of the file that is replaced; else what a new file gets."""
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
