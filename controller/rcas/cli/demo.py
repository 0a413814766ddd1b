"""`rcasctl demo`: a whole search on real images in a few minutes, with an honest word on noise."""

from __future__ import annotations

import json
import statistics
from fractions import Fraction
from importlib.resources import files

import click

from rcas.cli.options import operational_options
from rcas.cli.page import page_of_search, page_option
from rcas.cli.render import open_console
from rcas.cli.run import search_and_print
from rcas.cli.submit import with_flags
from rcas.controller.local import available_cores
from rcas.controller.replicates import measure_replicates
from rcas.runtimes.local import LocalCluster
from rcas.space import Network
from rcas.spec import build_spec, parse_fields
from rcas.stores.file import FileStore
from rcas.wording import percent

SEEDS = 5


@click.command()
@operational_options
@page_option
def demo(store: str, as_json: bool, parallelism: int | None, page: int | None) -> None:
    """The quick start: search on the handwritten digits of scikit-learn, 3 rules, about 2 minutes on 2 cores."""
    text = files("rcas").joinpath("demo.yaml").read_text(encoding="utf-8")
    spec = build_spec(with_flags(parse_fields(text, "demo.yaml"), {"parallelism": parallelism}))
    console = open_console(quiet=as_json)
    again = "rcasctl demo" + (f" --store {store}" if store else "")
    with page_of_search(page) as show:
        console.print(
            "Searching on 1,797 real images of handwritten digits. Stop it at any moment; the same command goes on."
        )
        controller = search_and_print(spec, store, as_json=as_json, again=again, show=show)
    best = controller.search.result.best
    assert best
    start = controller.search.problem.space.start
    opened = FileStore(store)
    slots = parallelism or available_cores()
    logs = opened.path(f"searches/{spec.name}/logs")
    console.print(
        f"\nTraining the start and the best network from {SEEDS} other seeds each, to see how much of it is noise ..."
    )
    with LocalCluster(opened, logs, workers=slots, threads=controller.protocol.threads) as cluster:
        found = measure_replicates(controller, opened, cluster, {start, best.network}, range(1, SEEDS + 1))
    if as_json:
        seeds = {str(network): [float(accuracy) for accuracy in found[network]] for network in found}
        click.echo(json.dumps({"event": "replicates", "accuracies": seeds}))
    for line in noise_report(found[start], found[best.network], start, best.network):
        console.print(line)
    console.print(
        "\nNext:  rcasctl explain demo        why each block was chosen\n"
        "       rcasctl init                a commented spec for your own data; then rcasctl run search.yaml\n"
    )


def noise_report(before: list[Fraction], after: list[Fraction], start: Network, best: Network) -> list[str]:
    """The gain from start to best against the spread between seeds, and whether they can be told apart."""
    gain = statistics.fmean(after) - statistics.fmean(before)
    spread = (statistics.variance(map(float, before)) / 2 + statistics.variance(map(float, after)) / 2) ** 0.5
    error = spread * (2 / len(before)) ** 0.5
    verdict = (
        "The gain stands out of the noise."
        if gain > 2 * error
        else "That is within the noise: this search shows how rcas works, not that these blocks help."
    )
    return [
        f"  start  {percent(_mean(before))} +- {statistics.stdev(map(float, before)) * 100:.2f}   {start}",
        f"  best   {percent(_mean(after))} +- {statistics.stdev(map(float, after)) * 100:.2f}   {best}",
        f"  gain   {gain * 100:+.2f} +- {error * 100:.2f} points (standard error); "
        f"one training varies by {spread * 100:.2f} points from seed to seed. {verdict}",
    ]


def _mean(values: list[Fraction]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)
