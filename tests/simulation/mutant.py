"""Runs histories against one defect, in a process of its own: `... simulation.mutant NAME SEED HISTORIES REFERENCES`.

The source of one module is changed when it is imported. What searches must decide comes from the unchanged code.
"""

from __future__ import annotations

import json
import pickle
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from random import Random
from types import CodeType
from typing import Any

from simulation.defects import DEFECTS, Defect


class _Changed(SourceFileLoader):
    """Loads a module with a defect in it, past all caches."""

    def __init__(self, fullname: str, path: str, defect: Defect) -> None:
        super().__init__(fullname, path)
        self._defect = defect

    def get_code(self, fullname: str) -> CodeType:  # noqa: ARG002
        text = changed(Path(self.path).read_text(encoding="utf-8"), self._defect)
        return compile(text, f"{self.path} with {self._defect.name}", "exec")


class _Finder(MetaPathFinder):
    def __init__(self, defect: Defect) -> None:
        self._defect = defect

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:  # noqa: ARG002
        if fullname != self._defect.module:
            return None
        spec = PathFinder.find_spec(fullname, path)
        assert spec
        assert spec.origin
        spec.loader = _Changed(fullname, spec.origin, self._defect)
        return spec


def changed(source: str, defect: Defect) -> str:
    """The source with the defect.

    Raises:
        ValueError: the code has moved on, so that the defect does not fit any more.
    """
    if source.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: {source.count(defect.old)} places in {defect.module} fit")
    return source.replace(defect.old, defect.new)


def main(name: str, first: int, histories: int, references: str) -> None:
    """Print the first seed that catches it, by which promise, and the faults that this takes; null if none does.

    Of a single history the faults are not thinned out.
    """
    sys.meta_path.insert(0, _Finder(next(defect for defect in DEFECTS if defect.name == name)))
    from simulation import accuracy
    from simulation import faults as faulty
    from simulation.history import run
    from simulation.replay import written
    from simulation.shrink import shrink

    if references:
        accuracy.references.update(pickle.loads(Path(references).read_bytes()))
    for seed in range(first, first + histories):
        outcome = run(seed)
        if outcome.broken:
            schedule = faulty.draw(Random(f"{seed}/faults"))
            if histories > 1:
                schedule = shrink(seed, schedule, outcome.broken)
            print(json.dumps([seed, outcome.broken, written(schedule)]))
            return
    print("null")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
