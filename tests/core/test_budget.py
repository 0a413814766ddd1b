"""Budgets as people write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rcas import Budget, InvalidSpec
from rcas.budget import format_count, parse_count
from rcas.costs import Cost


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("3.4M", 3_400_000),
        ("300M", 300_000_000),
        ("2_400_000", 2_400_000),
        (" 91.1M ", 91_100_000),
        ("0.5k", 500),
        ("1K", 1000),
        ("1.5G", 1_500_000_000),
        ("1.918436M", 1_918_436),
        ("00012", 12),
        (2_400_000, 2_400_000),
        (2.4e6, 2_400_000),
        (10**15, 10**15),
    ],
)
def test_a_count_is_read_exactly(text, count):
    assert parse_count(text) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "M",
        "3.4X",
        "3.4m",
        "3.4 M",
        "3.4MM",
        "3,4M",
        "1e6",
        "-1",
        "+1",
        "0",
        "0.0M",
        "0.5",
        "1.2345k",
        ".5M",
        "5.M",
        "_1",
        "1_",
        "1__0",
        "nan",
        "inf",
        "0x10",
        "\N{ARABIC-INDIC DIGIT THREE}M",
        "\N{FULLWIDTH DIGIT THREE}M",
        "1" * 50,
        "1000001G",
        -1,
        0,
        0.5,
        float("nan"),
        float("inf"),
        10**15 + 1,
        pytest.param(10**5000, id="huge"),
        True,
        [1],
        {},
        b"3M",
    ],
)
def test_nonsense_is_refused_by_field(text):
    with pytest.raises(InvalidSpec) as refused:
        Budget(params=text)
    assert refused.value.field == "budget.params"


def test_a_budget_needs_at_least_one_limit():
    with pytest.raises(InvalidSpec, match="params, madds or latency"):
        Budget()


@given(st.text())
def test_any_text_is_a_count_or_refused(text):
    try:
        count = parse_count(text)
    except InvalidSpec:
        return
    assert count > 0


@given(st.integers(1, 10**15))
def test_a_whole_number_is_read_back(count):
    assert parse_count(count) == parse_count(str(count)) == parse_count(f"{count:_}") == count


@pytest.mark.parametrize(
    ("budget", "exceeded"),
    [
        (Budget(10, 20), []),
        (Budget(9, 20), ["params"]),
        (Budget(10, 19), ["madds"]),
        (Budget(9, 19), ["params", "madds"]),
        (Budget(params=10), []),
        (Budget(madds=19), ["madds"]),
    ],
)
def test_a_cost_equal_to_the_budget_fits(budget, exceeded):
    assert budget.exceeded(Cost(10, 20)) == exceeded
    assert budget.fits(Cost(10, 20)) == (not exceeded)


@pytest.mark.parametrize(
    ("count", "text"),
    [(1_918_436, "1.92M"), (87_253_504, "87.3M"), (294_401_408, "294M"), (999, "999"), (999_999, "1.00M"), (0, "0")],
)
def test_counts_are_printed_with_three_digits(count, text):
    assert format_count(count) == text
