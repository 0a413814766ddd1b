"""The examples are run as their readers would run them."""

import subprocess
import sys
from pathlib import Path

import pytest

from rcas.cli.options import read_spec

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize("script", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_scripts_end_well_and_say_something(script):
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("spec", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_specs_are_valid(spec):
    assert read_spec(spec).name == spec.stem
