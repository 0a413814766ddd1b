"""What a hand-made defect is."""

from __future__ import annotations

from typing import NamedTuple


class Defect(NamedTuple):
    """A defect: its name, what it does, in which module, and the change of its source."""

    name: str
    what: str
    module: str
    old: str
    new: str
