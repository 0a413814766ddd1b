import pytest

from rcas.timing import Times


@pytest.mark.parametrize(
    ("samples", "summary"),
    [
        ([7], (7, 7, 7, 7, 7)),
        ([4, 2], (2, 2, 3, 4, 4)),
        ([50, 10, 40, 20, 30], (10, 20, 30, 40, 50)),
        ([1_000_000, 10, 10, 10], (10, 10, 10, 250_008, 1_000_000)),
    ],
)
def test_a_timing_is_the_five_numbers_of_its_samples(samples: list[int], summary: tuple[int, ...]) -> None:
    found = Times.of(samples)
    assert found.runs == len(samples)
    assert (
        found.fastest_ns,
        found.lower_quartile_ns,
        found.median_ns,
        found.upper_quartile_ns,
        found.slowest_ns,
    ) == summary
