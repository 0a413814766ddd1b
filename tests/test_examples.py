"""The examples are run as their readers would run them."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from rcas.cli.options import read_spec

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_scripts_end_well_and_say_something(script):
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("spec", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_specs_are_valid(spec):
    assert read_spec(spec).name == spec.stem


@pytest.mark.parametrize("notebook", sorted(EXAMPLES.glob("*.ipynb")), ids=lambda path: path.name)
def test_notebooks_run_and_show_what_they_are_kept_with(notebook, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    kept = json.loads(notebook.read_text(encoding="utf-8"))
    done = runpy.run_path(str(ROOT / "docs/execute.py"))["executed"](kept)
    for before, after in zip(kept["cells"], done["cells"], strict=True):
        assert kinds(before) == kinds(after), "".join(before["source"])
    assert notebook.stat().st_size < 150_000, "what is kept should be small"


def kinds(cell):
    """What a cell shows, without the numbers, which differ between machines."""
    return [(output["output_type"], sorted(output.get("data", ()))) for output in cell.get("outputs", ())]
