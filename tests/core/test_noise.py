"""What counts of trainings say about noise."""

from __future__ import annotations

from fractions import Fraction
from math import sqrt
from statistics import mean, stdev

import pytest

from rcas.noise import compare, gains, pooled, seed_deviation, seed_variance, standard_error

STEADY = [(800, 1000), (800, 1000), (800, 1000)]
SPREAD = [(760, 1000), (800, 1000), (840, 1000)]


def test_one_training_has_the_noise_of_counting_alone():
    assert standard_error([(800, 1000)]) == pytest.approx(sqrt(0.8 * 0.2 / 1000))
    assert seed_variance([[(800, 1000)], [(1, 2)]]) is None
    assert seed_deviation([[(800, 1000)]]) is None


def test_several_trainings_divide_the_larger_of_the_two_variances():
    assert standard_error(STEADY) == pytest.approx(sqrt(0.8 * 0.2 / 1000 / 3))
    assert seed_deviation([SPREAD]) == pytest.approx(stdev([0.76, 0.8, 0.84]))
    assert standard_error(SPREAD) == pytest.approx(0.04 / sqrt(3))


def test_the_spread_between_seeds_is_pooled_over_networks():
    other = [(700, 1000), (710, 1000)]
    squares = 2 * stdev([0.76, 0.8, 0.84]) ** 2 + stdev([0.70, 0.71]) ** 2
    assert seed_deviation([SPREAD, other, [(1, 2)]]) == pytest.approx(sqrt(squares / 3))


def test_validation_sets_of_different_size_are_weighed_by_their_images():
    assert pooled([(1, 2), (30, 100)]) == Fraction(31, 102)


def test_two_networks_are_told_apart_by_enough_images_or_enough_trainings():
    assert not compare([(520, 1000)], [(500, 1000)]).clear()
    assert compare([(52_000, 100_000)], [(50_000, 100_000)]).clear()
    assert compare([(520, 1000)] * 6, [(500, 1000)] * 6).clear()
    assert not compare([(480, 1000), (560, 1000)] * 3, [(500, 1000)] * 6).clear()
    assert compare([(500, 1000)] * 6, [(520, 1000)] * 6).clear(), "of either sign"


def test_equal_networks_are_never_told_apart():
    assert not compare([(10, 10)], [(10, 10)]).clear()
    assert compare([(10, 10)], [(0, 10)]).clear(), "no noise is seen at all"


def test_gains_of_a_path_share_the_spread_of_the_whole_path():
    found = gains([SPREAD, [(850, 1000)], [(855, 1000)]])
    assert [one.difference for one in found] == [Fraction(5, 100), Fraction(5, 1000)]
    assert found[0].error == pytest.approx(sqrt(0.0016 * (1 / 3 + 1)))
    assert found[1].error == pytest.approx(sqrt(0.0016 * 2))
    assert gains([]) == gains([STEADY]) == []
    assert mean(one.clear() for one in found) == 0
