"""`rcasctl doctor`: can this store be trusted?"""

from __future__ import annotations

import json

import click
from rich.markup import escape

from rcas.cli.options import json_option, store_option
from rcas.cli.render import open_console
from rcas.stores.doctor import Finding, examine
from rcas.stores.opening import open_store


@click.command()
@store_option
@click.option(
    "--racers", type=click.IntRange(2, 256), default=32, show_default=True, help="Who ask at the same moment."
)
@click.option("--rounds", type=click.IntRange(1, 1000), default=20, show_default=True, help="Of each race.")
@json_option
def doctor(store: str, racers: int, rounds: int, as_json: bool) -> int:
    """Try every promise of a store that a search relies on; exit with 1 if one is broken.

    Works on objects of its own below doctor/ and removes them. Takes minutes where racing writes are slow.
    """
    opened = open_store(store)
    console = open_console(quiet=as_json)

    def show(finding: Finding) -> None:
        word = "[green]ok    [/green]" if finding.held else "[bold red]BROKEN[/bold red]"
        console.print(
            f"{word}  {finding.promise}: {escape(finding.detail)} ({finding.seconds:.1f} s)", soft_wrap=True
        )

    findings = examine(opened, racers=racers, rounds=rounds, report=show)
    held = all(finding.held for finding in findings)
    if as_json:
        click.echo(json.dumps({"store": store, "held": held, "findings": [one._asdict() for one in findings]}))
    else:
        console.print("Every promise held." if held else "Do not run a search here.")
    return 0 if held else 1
