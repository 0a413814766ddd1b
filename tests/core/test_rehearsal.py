"""Searches played through before they are paid for."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction

import pytest

from core.builders import budget_with_slack, small_space
from rcas import Budget, Network, Search, Space
from rcas.confirm import Confirm
from rcas.rehearsal import Durations, fit_durations, imagined, rehearse

SPACE = small_space()
BUDGET = budget_with_slack(SPACE, 0.6)
SECONDS = Durations(2.0, 1e-5)


def seconds(network: Network) -> float:
    return SECONDS.seconds(SPACE.madds(network))


def new_search() -> Search:
    return Search(SPACE, BUDGET)


@pytest.mark.parametrize("function", list(imagined(SPACE)))
def test_one_worker_trains_what_the_search_demands_one_after_the_other(function: str) -> None:
    accuracy = imagined(SPACE)[function]
    alone, total_s = new_search(), 0.0
    while not alone.done:
        (evaluation,) = alone.ask(1, speculate=False)
        correct, total = accuracy(evaluation.network)
        alone.tell(evaluation.key, correct=correct, total=total)
        total_s += seconds(evaluation.network)
    played = new_search()
    found = rehearse(played, accuracy, seconds, 1, speculate=False)
    assert played.result == alone.result
    assert found.evaluations == found.demanded == alone.result.evaluations
    assert found.wall_s == pytest.approx(found.busy_s) == pytest.approx(total_s)


@pytest.mark.parametrize("speculate", [True, False])
@pytest.mark.parametrize("function", list(imagined(SPACE)))
def test_more_workers_are_faster_and_decide_the_same(function: str, speculate: bool) -> None:
    accuracy, before = imagined(SPACE)[function], None
    for workers in (1, 2, 5, 40):
        search = new_search()
        found = rehearse(search, accuracy, seconds, workers, speculate=speculate)
        assert search.done
        assert found.demanded == search.result.demanded
        assert found.busy_s <= found.wall_s * workers * 1.000001
        if before:
            assert search.result.rules == before[0].rules
            assert found.wall_s <= before[1].wall_s * 1.1
            assert found.evaluations >= found.demanded == before[1].demanded
        before = search.result, found


def test_without_speculation_nothing_is_trained_that_no_decision_reads() -> None:
    found = rehearse(new_search(), imagined(SPACE)["even"], seconds, 8, speculate=False)
    assert found.evaluations == found.demanded


def test_a_rehearsal_is_the_same_in_every_process() -> None:
    code = (
        "from core.test_rehearsal import *\n"
        "print([rehearse(new_search(), f, seconds, 3, speculate=True) for f in imagined(SPACE).values()])"
    )
    command = [sys.executable, "-c", code]
    texts = {
        subprocess.run(
            command, env={"PYTHONHASHSEED": seed, "PYTHONPATH": "tests"}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    }
    assert len(texts) == 1
    assert "Rehearsal" in texts.pop()


def random_networks(space: Space, count: int) -> Iterator[Network]:
    """With room for two more blocks in every stage."""
    draw = random.Random(0)
    for _ in range(count):
        most = [stage.positions - len(stage.start) - 2 for stage in space.stages]
        added = [draw.choices(space.block_types, k=draw.randint(0, free)) for free in most]
        yield Network(tuple((*stage.start, *more) for stage, more in zip(space.stages, added, strict=True)))


@pytest.mark.parametrize("function", ["even", "middle", "late"])
def test_the_smooth_accuracies_rise_and_their_gains_diminish(function: str) -> None:
    space = Space.cifar(100)
    accuracy = imagined(space)[function]

    def value(network: Network) -> Fraction:
        return Fraction(*accuracy(network))

    for network in random_networks(space, 50):
        for stage in range(len(space.stages)):
            small, large = network, network.insert(stage, 0, 3)
            gain, later = (value(at.insert(stage, 0, 5)) - value(at) for at in (small, large))
            assert 0 < later < gain


def test_the_noisy_accuracy_counts_whole_images() -> None:
    accuracy = imagined(SPACE, images=50)["noisy"]
    counts = [accuracy(network) for network in random_networks(SPACE, 20)]
    assert {total for _, total in counts} == {50}
    assert all(0 <= correct <= total for correct, total in counts)


def test_the_papers_search_takes_as_many_trainings_as_its_benchmark_says() -> None:
    """benchmarks/README.md: 177 to 328 for one worker."""
    space = Space.cifar(100)
    for accuracy in imagined(space).values():
        search = Search(space, Budget(params="2.4M", madds="91.1M"))
        found = rehearse(search, accuracy, lambda network: space.madds(network) / 5e7, 1, speculate=True)
        assert 150 <= found.evaluations <= 350


def test_durations_on_a_line_are_found() -> None:
    points = [(madds, 3.0 + 2e-6 * madds) for madds in (10**6, 2 * 10**6, 9 * 10**6)]
    fixed_s, per_madd_s = fit_durations(points)
    assert fixed_s == pytest.approx(3.0)
    assert per_madd_s == pytest.approx(2e-6)


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([(10**6, 5.0)], Durations(0.0, 5e-6)),
        ([(10**6, 5.0), (10**6, 7.0)], Durations(0.0, 6e-6)),
        ([(10**6, 8.0), (2 * 10**6, 4.0)], Durations(6.0)),
        ([(10**6, 0.5), (2 * 10**6, 4.0)], Durations(0.0, (0.5 + 8.0) / 5 * 1e-6)),
    ],
)
def test_no_part_of_a_duration_is_negative(points: list[tuple[int, float]], expected: Durations) -> None:
    assert fit_durations(points) == pytest.approx(expected)


def test_nothing_measured_gives_no_durations() -> None:
    with pytest.raises(ValueError, match="no durations"):
        fit_durations([])


def test_replicates_are_trainings_of_their_own_and_a_confirmed_search_takes_more_still() -> None:
    def played(**changes) -> int:
        search = Search(SPACE, BUDGET, ["UC"], **changes)
        return rehearse(search, imagined(SPACE)["noisy"], seconds, 1, speculate=False).evaluations

    search = Search(SPACE, BUDGET, ["UC"], replicates=2)
    rehearse(search, imagined(SPACE)["noisy"], seconds, 4, speculate=False)
    assert search.evaluations == 2 * len(search.known)
    assert len({counts for network in search.known for counts in search.known.trainings(network)}) > 2
    assert played(confirm=Confirm(most=3)) > played()
