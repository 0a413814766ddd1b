"""Budgets B_p and B_m (paper, Eq. 2) and one of latency, and counts and times as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.evaluation import Later

_SUFFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
_COUNT = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)([kKMGB]?)", re.ASCII)
_LARGEST = 10**15
_UNITS_NS = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
LATENCY_PATTERN = r"^\s*(\d+(?:\.\d+)?)\s*(ns|us|ms|s)\s*$"
"""A time as people write it, such as `12ms`."""


def parse_count(value: Any, field: str = "count") -> int:
    """Read `3.4M`, `300M`, `2_400_000` or a whole number.

    Raises:
        InvalidSpec: any other form, a fraction of one, zero, or more than 10^15.
    """
    allowed = "a positive count such as 3.4M, 300k or 2_400_000 (suffixes k, M, G)"
    if isinstance(value, int) and abs(value) > _LARGEST:
        raise InvalidSpec(field, got="a number beyond 10^15", allowed=allowed)
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    match = _COUNT.fullmatch(text) if len(text) <= 40 else None
    if not match:
        raise InvalidSpec(field, got=value, allowed=allowed)
    exact = Decimal(match[1].replace("_", "")) * _SUFFIXES[match[2]]
    if exact != int(exact) or not 1 <= exact <= _LARGEST:
        raise InvalidSpec(field, got=value, allowed=allowed)
    return int(exact)


def format_count(count: int) -> str:
    """A count with three significant digits and a suffix, such as `1.92M`."""
    rounded = float(f"{count:.3g}")
    for suffix, unit in (("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if abs(rounded) >= unit:
            scaled = rounded / unit
            return f"{scaled:.{max(0, 2 - len(str(int(abs(scaled)))) + 1)}f}{suffix}"
    return str(count)


def parse_latency(value: Any, field: str = "latency") -> int:
    """Read `12ms`, `850us`, `1.5 s` or a whole number of nanoseconds. Returns nanoseconds.

    Raises:
        InvalidSpec: any other form, a fraction of a nanosecond, zero, or more than 10^15 ns.
    """
    allowed = "a time such as 12ms, 850us or 1.5s (units ns, us, ms, s)"
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= _LARGEST:
        return value
    match = re.match(LATENCY_PATTERN, value, re.ASCII) if isinstance(value, str) and len(value) <= 40 else None
    exact = Decimal(match[1]) * _UNITS_NS[match[2]] if match else Decimal(0)
    if exact != int(exact) or not 1 <= exact <= _LARGEST:
        got = "a number beyond 10^15" if isinstance(value, int) and abs(value) > _LARGEST else value
        raise InvalidSpec(field, got=got, allowed=allowed)
    return int(exact)


def format_latency(nanoseconds: int) -> str:
    """A time with three significant digits and a unit, such as `11.3 ms`."""
    rounded = float(f"{nanoseconds:.3g}")
    for unit, size_ns in (("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if abs(rounded) >= size_ns:
            scaled = rounded / size_ns
            return f"{scaled:.{max(0, 3 - len(str(int(abs(scaled)))))}f} {unit}"
    return f"{nanoseconds} ns"


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a network may cost; None leaves that cost unbounded, at least one is needed.

    Attributes:
        params: parameters.
        madds: multiply-adds of the convolutions, for one image.
        latency: nanoseconds, by a table of latencies (`rcas.latency`), or text such as `12ms`.

    Raises:
        InvalidSpec: not a positive count or time, or none is given.
    """

    params: int | None = None
    madds: int | None = None
    latency: Later[int] = None

    def __post_init__(self) -> None:
        if not any(limit is not None for _, _, limit in self.uses(Cost(0, 0))):
            raise InvalidSpec("budget", got="nothing", allowed="params, madds or latency, one at least")
        for field, parse in (("params", parse_count), ("madds", parse_count), ("latency", parse_latency)):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, parse(value, f"budget.{field}"))

    def uses(self, cost: Cost) -> tuple[tuple[str, int, int | None], ...]:
        """(name, used by `cost`, limit) of each budget; a latency that is not known counts as none used."""
        return (
            ("params", cost.params, self.params),
            ("madds", cost.madds, self.madds),
            ("latency", cost.latency or 0, self.latency),
        )

    def fits(self, cost: Cost) -> bool:
        """Whether all budgets hold. Raises as `exceeded` does."""
        return not self.exceeded(cost)

    def exceeded(self, cost: Cost) -> list[str]:
        """The names of the budgets that `cost` breaks.

        Raises:
            InvalidSpec: there is a budget of latency, and the cost was taken without a table of latencies.
        """
        if self.latency is not None and cost.latency is None:
            raise InvalidSpec(
                "budget.latency", got="a network of unknown latency", allowed="one with a latency.table"
            )
        return [name for name, used, limit in self.uses(cost) if limit is not None and used > limit]
