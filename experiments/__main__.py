"""`python -m experiments`: trains what is missing, then writes the record, the tables and the figures."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from experiments.bench import Bench
from experiments.figures import figures
from experiments.plan import plan_table
from experiments.questions import repetition
from experiments.records import Record
from experiments.size import Size, read_size, repetition_spec, sizes
from experiments.tables import tables
from rcas.controller.local import available_cores
from rcas.errors import InvalidSpec, RcasError
from rcas.stores.file import FileStore
from rcas.wording import duration

RESULTS = Path(__file__).parent / "results"


@click.command()
@click.option("--size", "size_name", type=click.Choice(sizes()), default="laptop", show_default=True)
@click.option(
    "--store", default="experiments-store", show_default=True, metavar="FOLDER", help="Keeps all trainings."
)
@click.option("--repetitions", type=click.IntRange(1, 1000), help="Instead of the size's.")
@click.option("--workers", type=click.IntRange(1, 1024), help="Trainings at once; default: one for each core.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results; default: results/SIZE here.")
@click.option("--tables", "only_tables", is_flag=True, help="Make tables and figures of the record; train nothing.")
def main(
    size_name: str, store: str, repetitions: int | None, workers: int | None, out: Path | None, only_tables: bool
) -> None:
    """Make the paper's experiments again, at a size; the same command goes on where it was."""
    folder = out or RESULTS / size_name
    try:
        if not only_tables:
            size = read_size(size_name)
            size = size.model_copy(update={"repetitions": repetitions or size.repetitions})
            slots = workers or available_cores()
            click.echo(plan_table(size, slots))
            _write(
                folder / "record.json", _record(size_name, size, FileStore(store), slots).model_dump_json(indent=1)
            )
        record = _read(folder / "record.json")
        for table in tables(record):
            _write(folder / f"{table.name}.md", table.markdown())
            _write(folder / f"{table.name}.csv", table.csv())
        for name, svg in figures(record):
            _write(folder / f"{name}.svg", svg)
        for table in tables(record)[:2]:
            click.echo("\n" + table.markdown())
        click.echo(f"The other tables and the figures are in {folder}.")
    except RcasError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(2 if isinstance(error, InvalidSpec) else 1)


def _record(name: str, size: Size, store: FileStore, workers: int) -> Record:
    began = time.time()

    def say(line: str) -> None:
        click.echo(f"[{duration(time.time() - began)}] {line}")

    with Bench(store, workers, say) as bench:
        made = tuple(repetition(bench, size, number) for number in range(size.repetitions))
        # It is done: this only reads it.
        searched = bench.search(repetition_spec(size, 0))
    return Record(
        size=name,
        machine=bench.machine(searched),
        workers=workers,
        versions=searched.head.state.protocol.versions,
        began=began,
        ended=time.time(),
        repetitions=made,
    )


def _read(path: Path) -> Record:
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InvalidSpec(
            "out", got=str(path.parent), allowed="a folder with a record.json, made without --tables"
        ) from None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.rstrip("\n") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
