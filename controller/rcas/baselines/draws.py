"""Random choices as functions of a seed and of counters: the same in every process, whatever was drawn before."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Choices of one purpose. Each is named by counters, so none depends on how often another was made.

    Args:
        purpose: choices of different purposes are independent.
        seed: so are those of different seeds.
    """

    def __init__(self, purpose: str, seed: int) -> None:
        self._prefix = f"rcas {purpose} {seed}"

    def number(self, *counters: object) -> int:
        """A number from 0 to 2^128 - 1, each equally likely."""
        text = " ".join([self._prefix, *map(str, counters)])
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")

    def choice(self, items: Sequence[T], *counters: object) -> T:
        """One of `items`, of which there is at least one; each equally likely, but for 2^-100."""
        return items[self.number(*counters) % len(items)]

    def shuffled(self, items: Iterable[T], *counters: object) -> list[T]:
        """All of `items`, every order equally likely."""
        numbered = [(self.number(*counters, index), index, item) for index, item in enumerate(items)]
        return [item for _, _, item in sorted(numbered, key=lambda entry: entry[:2])]
