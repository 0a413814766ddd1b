"""What `explain` and `result` say of a search whose networks are trained from several seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from controller.harness import a_spec, undisturbed
from rcas.cli import main
from rcas.stores.opening import open_store


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("store")
    spec = a_spec(rules=["UC"], replicates=2, confirm={"candidates": 3, "most": 4})
    undisturbed(open_store(str(folder), create=True), spec)
    return folder


def said(folder: Path, *arguments: str) -> str:
    outcome = CliRunner().invoke(main, [*arguments, "--store", str(folder)])
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_explain_says_of_how_many_trainings_each_gain_is_the_mean_and_how_the_choice_was_confirmed(folder: Path):
    text = said(folder, "explain", "tiny", "--block", "1")
    assert "mean of 4 trainings" in text
    assert "Confirmed with 4 further trainings of 3 candidates." in text
    assert "not clear, with 4 trainings of both" in text
    (first, *_) = json.loads(said(folder, "explain", "tiny", "--json"))["UC"]
    assert [candidate["trainings"] for candidate in first["candidates"][:3]] == [4, 4, 2]


def test_result_says_of_how_many_trainings_the_accuracy_is_the_mean(folder: Path):
    assert "mean of 2 trainings" in said(folder, "result", "tiny")
    found = json.loads(said(folder, "result", "tiny", "--json"))
    assert found["best"]["trainings"] == 2
    assert found["evaluations"] == found["demanded"]
