"""The command line through its real entry point, and one finished search that the tests share."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

BEGINS = "Search tiny begins in rcas-store: the trainer starts and reads the data ..."
"""What `run` says on standard error about a new search."""
RCASCTL = Path(sys.executable).with_name("rcasctl")
SPEC = """
name: tiny
space:
  skeleton: custom
  classes: 10
  input: [1, 8, 8]
  stem: {channels: 8, block_channels: 4}
  stages:
    - {channels: 4, positions: 2, start: [1]}
    - {channels: 8, positions: 2, stride: 2, start: [1]}
  head: {channels: 16}
  block_types: [1, 5]
budget: {params: 10k, madds: 300k}
rules: [UC, APR]
data: {dataset: digits, validation_per_class: 20, train_per_class: 60}
training: {epochs: 2, batch_size: 32, milestones: [1], pad: 1, flip: false}
threads: 1
parallelism: 1
"""


def environment(**changes: str) -> dict[str, str]:
    """This process's environment without what could change the command line's behaviour."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RCAS", "_RCASCTL"))}
    return {**kept, "OMP_NUM_THREADS": "1", "COLUMNS": "200", "KUBECONFIG": "/nowhere", **changes}


def rcasctl(*arguments: object, cwd: Path, **changes: str) -> subprocess.CompletedProcess[str]:
    """Run the console script to its end. `changes`: environment variables."""
    command = [str(RCASCTL), *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment(**changes), capture_output=True, text=True, timeout=240, check=False
    )


def refused(*arguments: object, cwd: Path, code: int = 2, usage: bool = False, **changes: str) -> str:
    """The one line on standard error of a command that ends with `code` and prints nothing else."""
    done = rcasctl(*arguments, cwd=cwd, **changes)
    assert (done.returncode, done.stdout) == (code, ""), done
    lines = [line for line in done.stderr.splitlines() if line != BEGINS]
    assert "Traceback" not in done.stderr
    assert len(lines) == 1 or (usage and lines[0].startswith("Usage: ")), done.stderr
    assert lines[-1].startswith("Error: ")
    return lines[-1].removeprefix("Error: ")


@dataclass(frozen=True)
class Finished:
    """A search that ended: the folder with `tiny.yaml` and the store, and what `run` printed."""

    folder: Path
    output: str

    def copy(self, to: Path) -> Path:
        """A copy of the folder for a test that changes it."""
        shutil.copytree(self.folder, to, dirs_exist_ok=True)
        return to


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("finished")
    (folder / "tiny.yaml").write_text(SPEC)
    done = rcasctl("run", "tiny.yaml", cwd=folder)
    assert (done.returncode, done.stderr) == (0, f"{BEGINS}\n")
    return Finished(folder, done.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder with `tiny.yaml` in it."""
    (tmp_path / "tiny.yaml").write_text(SPEC)
    return tmp_path
