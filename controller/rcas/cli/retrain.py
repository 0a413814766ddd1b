"""`rcasctl retrain`: the network that a search found, trained to the end and measured once on the test set."""

from __future__ import annotations

import json
import os
import shlex
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import click
from pydantic import ValidationError

from rcas.cli.finals import FinalProgress, final_json, print_finals, print_plan
from rcas.cli.options import json_option, read_spec, read_text
from rcas.cli.places import ClusterPlace, Place, StorePlace, place_options, search_argument
from rcas.cli.retrain_remotely import retrain_remotely
from rcas.clock import SystemClock
from rcas.controller.local_finals import plan, retrain_locally
from rcas.errors import InvalidSpec
from rcas.evaluation import Training
from rcas.final import MOST_SEEDS, final_training
from rcas.location import SCHEME, S3Location
from rcas.retraining import Retraining, RetrainingData, Skeleton
from rcas.search import Search
from rcas.spec import SearchSpec, explain, parse_fields
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

PAPER_SKELETONS = ("cifar", "imagenet")
_PAPER_DATA = {"cifar": "cifar100", "imagenet": "imagefolder"}


@click.command()
@search_argument
@place_options
@json_option
@click.option(
    "--network",
    default="best",
    show_default=True,
    metavar="NETWORK",
    help="best or highest of the result, or block types by stage, such as '5,1 / 5'.",
)
@click.option(
    "--onto",
    metavar="SKELETON",
    help="Put its stages onto another skeleton and its data: cifar, imagenet, or the spec of another search.",
)
@click.option("--seeds", type=click.IntRange(1, MOST_SEEDS), default=3, show_default=True, help="Trainings.")
@click.option(
    "--protocol", type=click.Path(path_type=Path), metavar="FILE", help="Fields of `training`, YAML or JSON."
)
@click.option("--epochs", type=int, help="Default: 200; 400 on the skeleton imagenet.")
@click.option("--lr", type=float, help="Initial learning rate.")
@click.option("--milestones", metavar="N,N,...", help="Epochs after which it falls; default: by the epochs.")
@click.option("--batch-size", type=int, help="Images per step; default: the search's.")
@click.option("--dataset", metavar="NAME", help="Another data set, such as cifar10 or imagefolder.")
@click.option("--data", metavar="PATH", help="Where the data lie, if not where the search had them.")
@click.option("--train-per-class", type=click.IntRange(1), metavar="N", help="Train on at most N images per class.")
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto takes a GPU if there is one.",
)
@click.option("--threads", type=click.IntRange(1), help="CPU threads of one training; default: the search's.")
@click.option("--parallelism", type=click.IntRange(1, 1024), help="Trainings at once.")
def retrain(
    search: str,
    place: Place,
    as_json: bool,
    network: str,
    onto: str | None,
    seeds: int,
    protocol: Path | None,
    epochs: int | None,
    lr: float | None,
    milestones: str | None,
    batch_size: int | None,
    dataset: str | None,
    data: str | None,
    train_per_class: int | None,
    device: Literal["auto", "cpu", "cuda"],
    threads: int | None,
    parallelism: int | None,
) -> None:
    """Train what a search found from scratch, on all training images, and measure it once on the test set.

    The same command goes on where it was, whatever ended it. What is trained already is not trained again.
    """
    spec = (
        place.head(search).state.spec if isinstance(place, StorePlace) else _of_cluster(place).search(search).spec()
    )
    target = None if onto is None or onto in PAPER_SKELETONS else read_spec(Path(onto))
    paper: Literal["cifar", "imagenet"] | None = None if target else cast(Any, onto)
    base = target or spec
    skeleton: Skeleton = paper or base.space.skeleton
    given = {"epochs": epochs, "lr": lr, "milestones": _milestones(milestones), "batch_size": batch_size}
    training = _training(skeleton, base.training, protocol, given)
    wish = Retraining(
        network=network,
        onto=paper,
        seeds=seeds,
        training=training,
        data=_data(base, paper, dataset, data, train_per_class),
    )
    if not isinstance(place, StorePlace):
        given = {"--onto": target and onto, "--threads": threads, "--parallelism": parallelism}
        given["--device"] = None if device == "auto" else device
        for option, value in given.items():
            if value is not None:
                raise InvalidSpec(option, got=value, allowed="only with --store, for trainings on this machine")
        retrain_remotely(_of_cluster(place), search, wish, as_json=as_json)
        return
    head = place.head(search)
    store = open_store(place.url, create=False)
    where = S3Location.parse(place.url) if place.url.startswith(SCHEME) else FileStore(place.url)
    planned = plan(wish, head, target=target, device=device, threads=threads, parallelism=parallelism)
    known = Search.from_snapshot(head.state.search)
    if not as_json:
        print_plan(search, planned)
    progress = FinalProgress(planned, SystemClock(), as_json=as_json)
    writer = f"{socket.gethostname()}-{os.getpid()}-{os.urandom(4).hex()}"
    try:
        results = retrain_locally(planned, head, store, where, writer, progress.update)
    except KeyboardInterrupt:
        again = shlex.join(["rcasctl", *sys.argv[1:]])
        click.echo(f"Stopped; what was trained is kept. To go on: {again}", err=True)
        raise
    if as_json:
        click.echo(json.dumps(final_json(search, planned.final, results, known)))
    else:
        print_finals(search, planned.final, results, known, place.url)


def _of_cluster(place: Place) -> Remote:
    assert isinstance(place, ClusterPlace)
    return place.remote


def _milestones(text: str | None) -> tuple[str, ...] | None:
    return None if text is None else tuple(part.strip() for part in text.split(","))


def _training(skeleton: Skeleton, base: Training, path: Path | None, options: Mapping[str, Any]) -> Training | None:
    """The fields of a file, and before them those of the command line; None if there are none.

    Raises:
        InvalidSpec: a field that is unknown, or a value that is not allowed.
    """
    given: dict[str, Any] = parse_fields(read_text(path), str(path)) if path else {}
    given |= {name: value for name, value in options.items() if value is not None}
    for name in given.keys() - Training.model_fields.keys():
        raise InvalidSpec(f"training.{name}", got="an unknown field", allowed=", ".join(Training.model_fields))
    try:
        final_training(skeleton, base, given)
        return Training.model_validate(given) if given else None
    except ValidationError as error:
        found = explain(error, given)
        raise InvalidSpec(f"training.{found.field}", got=found.got, allowed=found.allowed) from None


def _data(
    base: SearchSpec, paper: str | None, dataset: str | None, path: str | None, train_per_class: int | None
) -> RetrainingData | None:
    """The data set, where it is not simply the search's.

    Raises:
        InvalidSpec: a data set that is not known, or none where the skeleton needs another.
    """
    if paper and path is None and dataset is None:
        allowed = f"the folder of the data for this skeleton, {_PAPER_DATA[paper]} unless --dataset names another"
        raise InvalidSpec("--data", got="nothing", allowed=allowed)
    if dataset is None and path is None and train_per_class is None:
        return None
    fields: dict[str, Any] = {
        "dataset": dataset or (_PAPER_DATA[paper] if paper else base.data.dataset),
        "path": path if path is not None or dataset is not None else base.data.path,
        "download": base.data.download and path is None and dataset is None,
        "train_per_class": train_per_class,
    }
    try:
        return RetrainingData.model_validate(fields)
    except ValidationError as error:
        raise explain(error, fields) from None
