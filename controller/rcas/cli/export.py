"""`rcasctl export`: a trained network as plain files that load without rcas."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Literal, NamedTuple

import click
from rich.table import Table

from rcas.cli.folders import filled_folder
from rcas.cli.options import find_search, json_option
from rcas.cli.places import ClusterPlace, Place, StorePlace, complete_search, late_place_options
from rcas.cli.render import open_console
from rcas.errors import InvalidSpec, one_line
from rcas.export.card import Origin, about, card, title
from rcas.export.formats import FORMATS, TOLERANCE, Delivery, Format, Order
from rcas.final import Final, FinalResult
from rcas.runtimes.trainer import ask
from rcas.search import Search
from rcas.spec import parse_fields
from rcas.state import read_final, read_finals, read_weights
from rcas.stores.base import Store
from rcas.wording import counted

CARD = "README.md"
WEIGHTS_SUFFIX = ".safetensors"


class Weights(NamedTuple):
    """What is to be exported: a file, and what is known of it. `name`: what its files are called after."""

    path: Path
    name: str
    origin: Origin | None


@click.command()
@click.argument("source", metavar="SEARCH|FILE", shell_complete=complete_search)
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice([*FORMATS, "all"]),
    help="May be given several times; default: all.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), metavar="FOLDER", help="Default: a new folder NAME-model here."
)
@click.option("--final", "number", type=click.IntRange(1), help="Which retrained network, counted from 1.")
@click.option("--seed", metavar="K", default="best", show_default=True, help="Which of its trainings.")
@click.option("--force", is_flag=True, help="Replace files of the same names in a folder that has some.")
@late_place_options
@json_option
def export(
    source: str,
    formats: tuple[Format | Literal["all"], ...],
    output: Path | None,
    number: int | None,
    seed: str,
    force: bool,
    place_opener: Callable[[], Place],
    as_json: bool,
) -> None:
    """Write a retrained network of a search, or weights from a file, as plain files that load without rcas.

    Beside them goes a model card. Every file is loaded and compared with the trained network before it appears.
    """
    with tempfile.TemporaryDirectory() as temporary:
        if source.endswith(WEIGHTS_SUFFIX):
            path = Path(source).absolute()
            weights = Weights(path, path.stem, None)
        else:
            weights = choose(source, place_opener(), number, seed, Path(temporary))
        folder = output or Path(f"{weights.name}-model")
        wanted: tuple[Format, ...] = tuple(
            one for one in FORMATS if not formats or one in formats or "all" in formats
        )
        delivery = deliver(weights, folder, wanted, force=force)
    if as_json:
        click.echo(delivery.model_dump_json())
    else:
        _print(delivery, folder)


def deliver(weights: Weights, folder: Path, formats: tuple[Format, ...], *, force: bool) -> Delivery:
    """Write the files and the card.

    Raises:
        InvalidSpec: the weights or the folder cannot be used.
        SearchFailed: a file gives other outputs than the trained network; nothing is kept.
    """
    with filled_folder(folder, "output", replace=force) as made:
        order = Order(
            weights=str(weights.path),
            folder=str(made),
            formats=formats,
            title=title(weights.origin),
            about=about(weights.origin),
        )
        delivery = ask("export", order, Delivery, cannot="export the network")
        (made / CARD).write_text(card(weights.origin, delivery), encoding="utf-8")
    return delivery


def choose(search: str, place: Place, number: int | None, seed: str, temporary: Path) -> Weights:
    """The weights of a final training of a search, in a file.

    Args:
        search: its name.
        place: that knows it.
        number: of the final in the index, from 1; None if there is but one.
        seed: of the training, or `best`.
        temporary: a folder for the file.

    Raises:
        InvalidSpec: there is no such search, final or finished training, or its weights are out of reach.
        CorruptState: what is stored is not what a training wrote.
    """
    if not isinstance(place, StorePlace):
        raise _in_a_bucket(search, place)
    store, head = find_search(place.url, search)
    final = _final(store, search, number)
    results = tuple(result for key in final.keys if (result := read_final(store, key)))
    if not results:
        raise InvalidSpec("search", got=search, allowed=f"one with a finished training: rcasctl retrain {search}")
    chosen = _chosen(results, seed)
    path = temporary / f"weights{WEIGHTS_SUFFIX}"
    path.write_bytes(read_weights(store, chosen))
    name = search.split("/")[1] if search.count("/") == 2 else search
    found = Search.from_snapshot(head.state.search)
    # Another skeleton has other networks, with the same text perhaps.
    same_space = found.problem.space == final.space
    searched = found.known.get(final.space.network(final.network)) if same_space else None
    return Weights(path, name, Origin(name, final, results, chosen, searched))


def _in_a_bucket(search: str, place: Place) -> InvalidSpec:
    """The weights of a search in a cluster are where only its controller and its trainings can go by themselves."""
    assert isinstance(place, ClusterPlace)
    resource = place.remote.search(search)
    config = parse_fields(place.remote.controller_config() or "{}", "the controller's configuration")
    store = config.get("store", "s3://BUCKET/PREFIX")
    command = f"rcasctl export {resource.id} --store {one_line(store)}"
    return InvalidSpec("search", got=search, allowed=f"with credentials for the cluster's bucket: {command}")


def _final(store: Store, search: str, number: int | None) -> Final:
    index = read_finals(store, search)
    if index is None or not index.finals:
        raise InvalidSpec("search", got=search, allowed="one that was retrained; first: rcasctl retrain " + search)
    names = [f"{number} ({_named(final)})" for number, final in enumerate(index.finals, start=1)]
    if number is None and len(names) == 1:
        return index.finals[0]
    if number is None or number > len(names):
        raise InvalidSpec("--final", got=number or "nothing", allowed=", ".join(names))
    return index.finals[number - 1]


def _named(final: Final) -> str:
    onto = f" onto {final.onto}" if final.onto else ""
    return f"{final.of}{onto}: {final.network}, {counted(final.protocol.training.epochs, 'epoch')}"


def _chosen(results: tuple[FinalResult, ...], seed: str) -> FinalResult:
    if seed == "best":
        return max(results, key=lambda one: (Fraction(one.correct, one.total), -one.replicate))
    for one in results:
        if seed == str(one.replicate):
            return one
    seeds = ", ".join(str(one.replicate) for one in results)
    raise InvalidSpec("--seed", got=seed, allowed=f"best, or a seed whose training is finished: {seeds}")


def _print(delivery: Delivery, folder: Path) -> None:
    architecture = delivery.architecture
    cost = architecture.space.cost(architecture.space.network(architecture.network))
    console = open_console()
    console.print(f"{architecture.network}: {cost.params:,} params, {cost.madds:,} MAdds")
    table = Table(box=None)
    for column in ("file", "bytes", "largest difference"):
        table.add_column(column, justify="left" if column == "file" else "right")
    for file in delivery.files:
        table.add_row(str(folder / file.name), f"{file.size_bytes:,}", f"{file.difference:.1e}")
    console.print(table)
    console.print(
        "Each was loaded without rcas and compared with the trained network on random images "
        f"(allowed: {TOLERANCE:g}). How to use them: {folder / CARD}"
    )
