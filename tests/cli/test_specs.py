"""Commands that need no search: cost, init, validate, schema, completion, and how all commands refuse."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from cli.conftest import RCASCTL, Finished, environment, rcasctl, refused
from rcas.spec import SearchSpec, parse_spec

CIFAR = "5,3,1,1 / 5,2,3,3,5 / 5,3,3,6 / 1,6,4,6 / 5,4,6,4,1 / -"
IMAGENET = "5,1,4 / 5,1 / 5,2,4 / 1,6,4,6 / 5,3,3,6,3 / 6"


@pytest.mark.parametrize(
    ("arguments", "params", "madds"),
    [
        (["--skeleton", "cifar", "--classes", "100", CIFAR], 1_918_436, 87_253_504),
        ([CIFAR], 1_918_436, 87_253_504),
        (["--skeleton", "imagenet", IMAGENET], 3_436_224, 294_401_408),
    ],
)
def test_cost_prints_the_papers_networks_to_the_unit(
    tmp_path: Path, arguments: list[str], params: int, madds: int
) -> None:
    done = rcasctl("cost", *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{params:,}" in done.stdout.splitlines()[0]
    assert f"{madds:,}" in done.stdout.splitlines()[1]
    found = json.loads(rcasctl("cost", *arguments, "--json", cwd=tmp_path).stdout)
    assert found == {"network": arguments[-1], "params": params, "madds": madds}


def test_cost_knows_the_space_of_a_spec(folder: Path) -> None:
    found = json.loads(rcasctl("cost", "--spec", "tiny.yaml", "1 / 1", "--json", cwd=folder).stdout)
    space = parse_spec((folder / "tiny.yaml").read_text()).space.build()
    assert (found["params"], found["madds"]) == space.cost(space.start)[:2]


@pytest.mark.parametrize(
    ("network", "allowed"),
    [
        ("5,3", "6 stages such as"),
        ("5,x / 5 / 5 / - / 5 / -", "6 stages such as"),
        ("5,, / 5 / 5 / - / 5 / -", "6 stages such as"),
        ("", "6 stages such as"),
        ("5 / 5 / 5 / - / 5 / 7", "block types [1, 2, 3, 4, 5, 6] in stage 5"),
        ("5 / - / 5 / - / 5 / -", "a block in stage 1, which has stride 2"),
        ("5 / 5 / 5 / 1,1,1,1,1,1,1 / 5 / -", "at most 6 blocks in stage 3"),
    ],
)
def test_cost_refuses_a_network_that_is_none(tmp_path: Path, network: str, allowed: str) -> None:
    line = refused("cost", "--", network, cwd=tmp_path)
    assert line.startswith(f"network: got {network!r}, allowed: {allowed}")


def test_init_writes_a_spec_that_validates(tmp_path: Path) -> None:
    assert rcasctl("init", cwd=tmp_path).returncode == 0
    done = rcasctl("validate", "search.yaml", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "budget  2,400,000 params" in done.stdout
    assert rcasctl("init", "-", cwd=tmp_path).stdout == (tmp_path / "search.yaml").read_text()


def test_init_overwrites_only_with_force(tmp_path: Path) -> None:
    (tmp_path / "search.yaml").write_text("mine")
    assert refused("init", cwd=tmp_path) == "path: got 'search.yaml', allowed: a new file; --force overwrites it"
    assert (tmp_path / "search.yaml").read_text() == "mine"
    assert rcasctl("init", "--force", cwd=tmp_path).returncode == 0
    assert (tmp_path / "search.yaml").read_text().startswith("#")


def test_init_names_a_path_that_cannot_be_written(tmp_path: Path) -> None:
    assert refused("init", "no/folder.yaml", cwd=tmp_path).startswith(
        "path: got 'no/folder.yaml', allowed: a writable"
    )


def test_validate_says_what_a_spec_means(folder: Path) -> None:
    done = rcasctl("validate", "tiny.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("tiny.yaml is valid: search tiny, rules UC, APR, drop-infeasible")
    text = rcasctl("validate", "tiny.yaml", "--json", cwd=folder).stdout
    assert parse_spec(text) == parse_spec((folder / "tiny.yaml").read_text())


@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_mistake_in_a_spec_is_one_line(folder: Path, command: str) -> None:
    spec = folder / "tiny.yaml"
    spec.write_text(spec.read_text().replace("epochs:", "epoch:"))
    line = refused(command, "tiny.yaml", cwd=folder)
    assert line == "training.epoch: got 'an unknown field', allowed: epochs (did you mean that?)"
    assert sorted(path.name for path in folder.iterdir()) == ["tiny.yaml"]


def test_a_spec_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    for name, reason in (
        ("missing.yaml", "a readable file (no such file or directory)"),
        (".", "a readable file (is a directory)"),
        ("binary.yaml", "a text file, YAML or JSON"),
    ):
        assert refused("validate", name, cwd=tmp_path) == f"spec: got {name!r}, allowed: {reason}"


def test_schema_is_the_models(tmp_path: Path) -> None:
    assert json.loads(rcasctl("schema", cwd=tmp_path).stdout) == SearchSpec.model_json_schema()


def test_what_is_no_command_is_a_usage_error(tmp_path: Path) -> None:
    assert "No such command" in refused("sarch", cwd=tmp_path, usage=True)
    assert "--parallelism" in refused("run", "x.yaml", "--parallelism", "0", cwd=tmp_path, usage=True)


def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path) -> None:
    command = f"{RCASCTL} schema | head -c 10"
    done = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert len(done.stdout) == 10
    assert done.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_for_the_shell(tmp_path: Path, shell: str) -> None:
    done = rcasctl("completion", shell, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"_RCASCTL_COMPLETE={shell}_complete" in done.stdout
    if shutil.which(shell):
        checked = subprocess.run([shell, "-n"], input=done.stdout, capture_output=True, text=True, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")


def completed_in_bash(line: list[str], cwd: Path) -> list[str]:
    """What bash offers for the last word of `line` after it has read the completion script."""
    words = " ".join(f"'{word}'" for word in line)
    script = f"""
        eval "$({RCASCTL} completion bash)"
        COMP_WORDS=({words}); COMP_CWORD={len(line) - 1}
        _rcasctl_completion {RCASCTL}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        ["bash", "-c", script], cwd=cwd, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes_commands(tmp_path: Path) -> None:
    assert completed_in_bash(["rcasctl", "va"], tmp_path) == ["validate"]
    assert set(completed_in_bash(["rcasctl", ""], tmp_path)) >= {"run", "demo", "status", "result", "explain"}


def test_bash_completes_the_searches_of_the_store(finished: Finished) -> None:
    assert completed_in_bash(["rcasctl", "status", "t"], finished.folder) == ["tiny"]
    assert completed_in_bash(["rcasctl", "status", "x"], finished.folder) == []


def test_completion_without_a_store_offers_nothing_and_says_nothing(tmp_path: Path) -> None:
    assert completed_in_bash(["rcasctl", "status", ""], tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_version_is_the_packages(tmp_path: Path) -> None:
    from importlib.metadata import version

    assert rcasctl("--version", cwd=tmp_path).stdout == f"rcasctl, version {version('rcas')}\n"
