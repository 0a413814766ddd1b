import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from rcas.evaluation import Description
from rcas.messages import EXIT_INVALID, EXIT_OUT_OF_MEMORY
from rcas_trainer import evaluate
from rcas_trainer.__main__ import main

from .builders import DIGITS, a_task


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(main, arguments, input=text)


def trained(folder: Path, task: str) -> Result:
    (folder / "t.json").write_text(task)
    return run("train", str(folder / "t.json"), "--result", str(folder / "r"), "--checkpoint", str(folder / "c"))


def refused(result: Result, *words: str) -> None:
    assert result.exit_code == EXIT_INVALID, result.output
    [line] = result.stderr.splitlines()
    assert line.startswith("rcas-trainer: ")
    assert all(word in line for word in words), line


def test_help_needs_no_torch() -> None:
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['torch', 'numpy', 'torchvision', 'sklearn']))\n"
        "from rcas_trainer.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    assert all(command in done.stdout for command in ("train", "serve", "describe"))


@pytest.mark.parametrize("command", [("describe",), ("serve",)])
def test_without_torch_a_command_tells_what_to_install(command: tuple[str, ...]) -> None:
    code = "import sys; sys.modules['torch'] = None\nfrom rcas_trainer.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, *command],
        input='{"draw": {"dataset": "digits"}}',
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_INVALID
    assert done.stderr.splitlines() == [
        "rcas-trainer: torch is not installed; install the trainer with: pip install 'rcas[trainer]'"
    ]


def test_describe_answers_with_a_description_from_a_file_or_standard_input(tmp_path: Path) -> None:
    question = json.dumps({"draw": DIGITS.model_dump()})
    (tmp_path / "q.json").write_text(question)
    answers = [run("describe", text=question), run("describe", str(tmp_path / "q.json"))]
    assert [answer.exit_code for answer in answers] == [0, 0]
    found = [Description.model_validate_json(answer.stdout) for answer in answers]
    assert found[0] == found[1]
    assert (found[0].input, found[0].num_classes) == ((1, 8, 8), 10)


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ({}, ["question.draw", "required"]),
        ({"draw": {"dataset": "emnist"}}, ["question.draw.dataset", "emnist"]),
        ({"draw": {"dataset": "digits", "validation_per_class": 500}}, ["validation_per_class", "500"]),
        ({"draw": {"dataset": "mnist"}, "source": {"path": "/no/such"}}, ["source.path", "/no/such"]),
    ],
)
def test_a_bad_question_is_one_line(question: dict[str, Any], words: list[str]) -> None:
    refused(run("describe", text=json.dumps(question)), *words)


def test_a_bad_task_is_one_line(tmp_path: Path) -> None:
    good = a_task().model_dump(mode="json")
    refused(trained(tmp_path, "{"), "task")
    refused(trained(tmp_path, json.dumps(good | {"extra": 1})), "task.extra")
    refused(trained(tmp_path, json.dumps(good | {"key": "0" * 64})), "key")
    refused(trained(tmp_path, json.dumps(good | {"network": "7 / 5"})), "network")
    refused(trained(tmp_path, a_task(protocol={"data_sha256": "1" * 64}).model_dump_json()), "data_sha256", "1" * 64)
    refused(trained(tmp_path, a_task(protocol={"versions": {}}).model_dump_json()), "protocol.versions")
    refused(run("train", str(tmp_path / "no.json"), "--result", "r", "--checkpoint", "c"), "no.json")
    assert not (tmp_path / "r").exists()


def test_out_of_memory_has_its_own_exit_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(evaluate, "train", fail)
    result = trained(tmp_path, a_task().model_dump_json())
    assert result.exit_code == EXIT_OUT_OF_MEMORY
    assert len(result.stderr.splitlines()) == 1
