"""Budgets B_p and B_m (paper, Eq. 2), and counts as people write them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rcas.costs import Cost
from rcas.errors import InvalidSpec

_SUFFIXES = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9}
_COUNT = re.compile(r"(\d+(?:_\d+)*(?:\.\d+)?)([kKMGB]?)", re.ASCII)
_LARGEST = 10**15


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


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a network may cost; None leaves that cost unbounded, at least one is needed.

    Attributes:
        params: parameters.
        madds: multiply-adds of the convolutions, for one image.

    Raises:
        InvalidSpec: not a positive count, or neither is given.
    """

    params: int | None = None
    madds: int | None = None

    def __post_init__(self) -> None:
        if self.params is None and self.madds is None:
            raise InvalidSpec("budget", got="nothing", allowed="params, madds or both")
        for field in ("params", "madds"):
            value = getattr(self, field)
            if value is not None:
                object.__setattr__(self, field, parse_count(value, f"budget.{field}"))

    def fits(self, cost: Cost) -> bool:
        """Whether both budgets hold."""
        return not self.exceeded(cost)

    def exceeded(self, cost: Cost) -> list[str]:
        """The names of the budgets that `cost` breaks."""
        pairs = (("params", cost.params, self.params), ("madds", cost.madds, self.madds))
        return [name for name, used, limit in pairs if limit is not None and used > limit]
