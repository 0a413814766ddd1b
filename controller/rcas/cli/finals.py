"""Final trainings for people and for programs: the plan, how far they are, what they measured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import click
from rich.table import Table

from rcas.budget import format_count
from rcas.cli.render import open_console
from rcas.clock import Clock
from rcas.controller.finals import FinalStep, Retrainer
from rcas.controller.local_finals import Plan
from rcas.final import Final, FinalResult, Spread, spread
from rcas.search import Search
from rcas.state import weights_name
from rcas.wording import counted, duration, percent

_WHICH = {"best": "the best of the search", "highest": "the highest on a path of the search", "given": "as given"}


def print_plan(search: str, planned: Plan) -> None:
    """What is about to be trained."""
    final, found = planned.final, planned.found
    training = final.protocol.training
    cost = final.space.cost(final.space.network(final.network))
    console = open_console()
    onto = f", put onto the skeleton {final.onto}" if final.onto else ""
    console.print(f"Final training for the search {search}\n")
    console.print(f"  network   {final.network} ({_WHICH[final.of]}{onto})")
    console.print(f"  cost      {format_count(cost.params)} params, {format_count(cost.madds)} MAdds")
    console.print(
        f"  images    {found.train_images:,} of {final.protocol.draw.dataset} to train, all validation images among "
        f"them; {found.test_images or 0:,} test images to measure, once"
    )
    steps = ", ".join(map(str, training.milestones))
    console.print(
        f"  training  {counted(training.epochs, 'epoch')}, batches of {training.batch_size}, learning rate "
        f"{training.lr:g}, times {training.gamma:g} after {steps or 'no epoch'}"
    )
    console.print(
        f"  seeds     {final.seeds}, {planned.workers} at once, {counted(final.protocol.threads, 'thread')} each "
        f"on {final.protocol.device}\n"
    )


class FinalProgress:
    """Tells what is new after every step: epochs, results, failures; the time left from the second epoch on."""

    def __init__(self, planned: Plan, clock: Clock, *, as_json: bool) -> None:
        self._final, self._workers, self._clock, self._as_json = planned.final, planned.workers, clock, as_json
        self._epochs = dict[str, int]()
        self._first_seen = dict[str, tuple[int, float]]()
        self._epoch_s: float | None = None

    def update(self, _retrainer: Retrainer, step: FinalStep) -> None:
        """Tell of a step."""
        for seed in step.collected:
            result = step.results[seed]
            self._tell("result", f"seed {seed}: {_accuracies(result)}", seed=seed, **_result_json(result))
        for attempt in step.failed:
            words = f"attempt {attempt.name} {attempt.outcome}: {attempt.message}"
            self._tell("attempt_failed", words, **attempt._asdict())
        new = [one for one in step.running if one.epoch > self._epochs.get(one.key, 0)]
        for attempt in new:
            self._epochs[attempt.key] = attempt.epoch
            epoch, at_s = self._first_seen.setdefault(attempt.key, (attempt.epoch, self._clock.now()))
            if attempt.epoch > epoch:
                self._epoch_s = (self._clock.now() - at_s) / (attempt.epoch - epoch)
        left_s = self._left_s(step) if new else None
        for attempt in new:
            seed = self._final.keys.index(attempt.key)
            left = "" if left_s is None else f"; about {duration(left_s)} left for all seeds"
            words = f"seed {seed}: epoch {attempt.epoch} of {attempt.epochs}{left}"
            self._tell("epoch", words, seed=seed, epoch=attempt.epoch, epochs=attempt.epochs, left_s=left_s)

    def _left_s(self, step: FinalStep) -> float | None:
        if self._epoch_s is None:
            return None
        each = self._final.protocol.training.epochs
        open_keys = [key for seed, key in enumerate(self._final.keys) if seed not in step.results]
        epochs = sum(each - self._epochs.get(key, 0) for key in open_keys)
        return self._epoch_s * epochs / max(1, min(self._workers, len(open_keys)))

    def _tell(self, event: str, words: str, **fields: Any) -> None:
        click.echo(json.dumps({"event": event, **fields}) if self._as_json else words, err=not self._as_json)


def top1(result: FinalResult) -> Fraction:
    """The share of test images whose first guess is right."""
    return Fraction(result.correct, result.total)


def top5(result: FinalResult) -> Fraction:
    """The share of test images whose class is among the first five guesses."""
    return Fraction(result.correct_top5, result.total)


def _accuracies(result: FinalResult) -> str:
    diverged = "; the loss left the finite numbers" if result.diverged else ""
    return f"top-1 {percent(top1(result))}, top-5 {percent(top5(result))} of {result.total:,} test images{diverged}"


def _result_json(result: FinalResult) -> dict[str, Any]:
    return {"top1": float(top1(result)), "top5": float(top5(result)), "result": result.model_dump(mode="json")}


def final_json(search: str, final: Final, results: Mapping[int, FinalResult], known: Search) -> dict[str, Any]:
    """A final training for programs."""
    ordered = [results[seed] for seed in sorted(results)]
    searched = searched_accuracy(final, known)
    return {
        "event": "final",
        "search": search,
        "of": final.of,
        "onto": final.onto,
        "network": final.network,
        "params": ordered[0].params,
        "madds": ordered[0].madds,
        "top1": _spread_json(spread(map(top1, ordered))),
        "top5": _spread_json(spread(map(top5, ordered))),
        "search_accuracy": None if searched is None else float(searched),
        "keys": list(final.keys),
        "weights": [weights_name(key) for key in final.keys],
    }


def _spread_json(found: Spread) -> dict[str, Any]:
    return {"mean": float(found.mean), "deviation": found.deviation, "seeds": found.seeds}


def searched_accuracy(final: Final, known: Search) -> Fraction | None:
    """What the search measured for this network; None if it is on another skeleton or was not measured."""
    if final.onto:
        return None
    return known.known.get(known.problem.space.network(final.network))


def print_finals(search: str, final: Final, results: Mapping[int, FinalResult], known: Search, store: str) -> None:
    """A table by seed, mean and spread, and the search's own accuracy beside it."""
    console = open_console()
    first = results[min(results)]
    console.print(f"\nSearch {search}: {final.network}, on {first.total:,} test images\n")
    table = Table(box=None, pad_edge=True)
    for column in ("seed", "top-1", "top-5", "epochs", "weights"):
        table.add_column(column, justify="left" if column in {"seed", "weights"} else "right")
    for seed, result in sorted(results.items()):
        mark = " (diverged)" if result.diverged else ""
        cells = (percent(top1(result)), percent(top5(result)), f"{result.epochs}{mark}")
        table.add_row(str(seed), *cells, weights_name(result.key))
    firsts, fives = spread(map(top1, results.values())), spread(map(top5, results.values()))
    table.add_row("mean", percent(firsts.mean), percent(fives.mean), "", "")
    if firsts.deviation is not None and fives.deviation is not None:
        table.add_row("spread", _points(firsts.deviation), _points(fives.deviation), "", "")
    console.print(table)
    if firsts.deviation is None:
        console.print("\n  One seed says nothing about the spread; --seeds 3 would.")
    else:
        console.print(f"\n  Spread: standard deviation over {counted(firsts.seeds, 'seed')}, in percentage points.")
    searched = searched_accuracy(final, known)
    if searched is not None:
        console.print(
            f"  The search measured {percent(searched)} for this network. That is another thing: a short training, "
            "on fewer images,\n  measured on the few validation images that the search chose by. "
            "It ranks networks; only the test accuracy above is to be reported."
        )
    if final.protocol.draw.dataset == "digits":
        console.print(
            "  digits has no test set of its own: the search has seen these test images. See docs/retrain.md."
        )
    console.print(f"  Weights: in the store {store}")


def _points(deviation: float) -> str:
    return f"{deviation * 100:.2f}"
