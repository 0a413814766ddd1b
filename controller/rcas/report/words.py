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


def milliseconds(nanoseconds: float) -> str:
    """A latency, such as `11.3 ms`."""
    return f"{nanoseconds / 1e6:.3g} ms"


def moment(seconds: float) -> str:
    """A point in time, such as `2026-11-28 21:03 UTC`. `seconds`: since 1970."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


GLOSSARY = (
    (
        "Accuracy",
        "The share of validation images whose class the network names first. It comes from a short training, so it "
        "ranks networks rather than says what they can reach.",
    ),
    ("Point", "A hundredth of all images: from 96.0% to 96.5% is half a point."),
    ("Parameters", "The numbers that a network learns; they decide how much memory it takes."),
    (
        "Multiply-adds (MAdds)",
        "Multiplications with their additions for one image; they decide how much it computes.",
    ),
    ("Block", "The unit that the search adds: three convolutions with a shortcut. There are six types."),
    ("Stage", "A part of the network in which all blocks work at one resolution and one number of channels."),
    (
        "Rule",
        "How the next block is chosen: UC takes the one with the largest gain, APR the largest gain per parameter, "
        "AMR the largest gain per multiply-add, JOINT per both. The search follows each rule by itself and takes the "
        "best end.",
    ),
    ("Gain", "Accuracy with a block less accuracy without it, in points."),
    (
        "Lazy",
        "After a block is accepted, old gains are not all measured again: only the most promising one, until the "
        "most promising is also the newest. That saves most trainings.",
    ),
    ("Standard error", "How far a measured value typically lies from the true one by chance."),
    ("Epoch", "One pass over all training images."),
    ("Seed", "Where chance starts: the same seed gives the same weights, order and crops."),
)
"""Terms and what they mean."""
