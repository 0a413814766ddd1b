"""The defects of the mutation check fit the code as it is, and the committed table tells of all of them."""

from __future__ import annotations

import importlib.util
import pickle
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from simulation import faults as faulty
from simulation.defects import DEFECTS, Defect
from simulation.mutant import changed
from simulation.mutations import references_of, rows, try_defect
from simulation.shrink import thinned

ROWS = {name: (int(cells[2]), cells[3]) for name, line in rows().items() for cells in [line.split(" | ")]}
"""(seed, promise) by the name of the defect, as the table has them."""


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_fits(defect: Defect) -> None:
    spec = importlib.util.find_spec(defect.module)
    assert spec
    assert spec.origin
    source = Path(spec.origin).read_text(encoding="utf-8")
    # One that only raises NameError would be caught by anything.
    command = [sys.executable, "-m", "ruff", "check", "--quiet", "--isolated", "--select", "F821,F822,F823", "-"]
    undefined = subprocess.run(command, input=changed(source, defect), capture_output=True, text=True, check=False)
    assert undefined.returncode == 0, undefined.stdout


def test_the_table_has_every_defect() -> None:
    assert list(ROWS) == [defect.name for defect in DEFECTS]
    assert len(ROWS) >= 30


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_is_caught_where_the_table_says(defect: Defect, tmp_path: Path) -> None:
    seed, promise = ROWS[defect.name]
    (tmp_path / "references").write_bytes(pickle.dumps(references_of(range(seed, seed + 1))))
    found = try_defect(defect, 1, str(tmp_path / "references"), first=seed)
    assert (found.seed, found.promise) == (seed, promise), "python -m simulation.mutations makes the table anew"


def test_what_a_failure_does_not_need_is_left_out() -> None:
    schedule = faulty.draw(Random(8))
    assert len(schedule) > 4
    needed = {schedule[1], schedule[4]}
    assert thinned(schedule, lambda some: needed <= set(some)) == sorted(needed)
