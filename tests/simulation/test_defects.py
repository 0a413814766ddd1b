"""The defects of the mutation check fit the code as it is, and the committed table tells of all of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from random import Random

import pytest

from simulation import faults as faulty
from simulation.defects import DEFECTS, Defect
from simulation.mutant import changed
from simulation.mutations import try_defect
from simulation.shrink import thinned

QUICK = ("no-cas", "counted-twice", "intent-after-create", "no-owner-check")


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_fits(defect: Defect) -> None:
    spec = importlib.util.find_spec(defect.module)
    assert spec
    assert spec.origin
    source = Path(spec.origin).read_text(encoding="utf-8")
    compile(changed(source, defect), spec.origin, "exec")


@pytest.mark.parametrize("name", QUICK)
def test_a_defect_is_caught(name: str, tmp_path: Path) -> None:
    import pickle

    (tmp_path / "references").write_bytes(pickle.dumps({}))
    defect = next(one for one in DEFECTS if one.name == name)
    assert try_defect(defect, 200, str(tmp_path / "references")).after


def test_what_a_failure_does_not_need_is_left_out() -> None:
    schedule = faulty.draw(Random(8))
    assert len(schedule) > 4
    needed = {schedule[1], schedule[4]}
    assert thinned(schedule, lambda some: needed <= set(some)) == sorted(needed)
