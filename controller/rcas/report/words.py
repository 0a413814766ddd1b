"""Words that several parts of a report share."""

from __future__ import annotations

from datetime import UTC, datetime

from rcas.greedy import RULES

RULE_WORDS = {
    "UC": "largest gain",
    "APR": "gain per parameter",
    "AMR": "gain per multiply-add",
    "JOINT": "gain per both",
    "ALR": "gain per time",
}
"""What each rule goes by, next to its abbreviation."""


def series_of(rule: str) -> int:
    """Number of the colour and symbol of a rule: the same in every figure."""
    return ([*RULES, "ALR"]).index(rule) if rule in {*RULES, "ALR"} else 5


def moment(seconds: float) -> str:
    """A point in time, such as `2026-11-28 21:03 UTC`. `seconds`: since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
