from pathlib import Path

import pytest

from rcas.errors import CorruptState
from rcas_trainer.evaluate import evaluate
from rcas_trainer.objects import LocalFile
from rcas_trainer.results import read_result, write_result

from .builders import a_task, an_assignment


def test_of_two_results_the_first_stands(tmp_path: Path) -> None:
    task = a_task(epochs=1)
    first = evaluate(an_assignment(task, tmp_path), stop=lambda: False, report=lambda _: None, startup_s=0)
    second = first.model_copy(update={"correct": 0})
    path = LocalFile(tmp_path / "new" / "r.json")
    assert write_result(path, first, task) == first
    assert write_result(path, second, task) == first
    assert read_result(path, task) == first
    with pytest.raises(CorruptState):
        write_result(path, second, a_task(epochs=1, replicate=1))
    assert read_result(path, task) == first
