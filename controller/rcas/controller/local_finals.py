"""Final trainings on this machine, from what is asked for to the results."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Literal, NamedTuple

from rcas.controller.finals import FinalsLedger, FinalStep, Retrainer
from rcas.controller.local import POLL_S, available_cores
from rcas.evaluation import Description
from rcas.final import Final, FinalResult
from rcas.location import S3Location
from rcas.retraining import Retraining
from rcas.runtimes.local import LocalCluster, describe
from rcas.search import Search
from rcas.spec import SearchSpec
from rcas.state import Head
from rcas.stores.base import Store
from rcas.stores.file import FileStore


class Plan(NamedTuple):
    """A final training settled on this machine. `found`: what a trainer said of the data."""

    final: Final
    found: Description
    workers: int


def plan(
    wish: Retraining,
    head: Head,
    *,
    target: SearchSpec | None,
    device: Literal["auto", "cpu", "cuda"],
    threads: int | None,
    parallelism: int | None,
) -> Plan:
    """What `wish` means for the search that `head` has, here. A trainer process looks at the data.

    Args:
        wish: what is asked for.
        head: of the search.
        target: a spec whose skeleton and data are taken instead of the search's.
        device: auto takes a GPU if there is one.
        threads: of one training; None takes the search's.
        parallelism: trainings at once; None takes one per GPU, or as many as the cores have room for.

    Raises:
        InvalidSpec: see `Retraining.final`, or the data cannot be used.
    """
    spec, search = head.state.spec, Search.from_snapshot(head.state.search)
    wish.chosen(search)
    base = target or spec
    own = target.space.build() if target else None if wish.onto else search.problem.space
    found = describe(wish.source(base), wish.draw(base), own)
    count = threads or head.state.protocol.threads
    final = wish.final(spec, search, found, device=device, threads=count, target=target)
    gpus = found.gpus if final.protocol.device == "cuda" else 0
    workers = min(final.seeds, parallelism or gpus or max(1, available_cores() // count))
    return Plan(final, found, workers)


def retrain_locally(
    planned: Plan,
    head: Head,
    store: Store,
    place: FileStore | S3Location,
    writer: str,
    watch: Callable[[Retrainer, FinalStep], None],
) -> dict[int, FinalResult]:
    """Train until every seed has its result, or go on where that was left.

    Args:
        planned: what to train.
        head: of the search that it belongs to.
        store: that holds the search.
        place: the same, as the trainers reach it.
        writer: unique to this process.
        watch: called after every step.

    Returns:
        The results by seed.

    Raises:
        Fenced: another process trains finals of this search.
        SearchFailed: a training cannot succeed.
    """
    name = head.name
    local = isinstance(place, FileStore)
    logs = place.path(f"searches/{name}/logs") if local else Path(tempfile.gettempdir(), "rcas-logs", name)
    threads = planned.final.protocol.threads
    with place.alone(f"searches/{name}/finals") if local else nullcontext():
        ledger = FinalsLedger(store, name, writer)
        with LocalCluster(place, logs, workers=planned.workers, threads=threads) as cluster:
            retrainer = Retrainer(
                ledger,
                store,
                cluster,
                planned.final,
                slots=planned.workers,
                max_attempts=head.state.spec.max_attempts,
            )
            while True:
                step = retrainer.step()
                watch(retrainer, step)
                if step.done:
                    return dict(step.results)
                cluster.wait(POLL_S)
