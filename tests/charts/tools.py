"""helm, kubectl and promtool as the tests find them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "rcas"
STORE = "s3://bucket/prefix"
_PATH = f"{os.environ.get('PATH', '')}:/var/cache/rcas-cluster/bin"

Object = dict[str, Any]


def tool(name: str) -> str:
    """Path of a program; without it the test is skipped, or fails where nothing may be skipped."""
    found = shutil.which(name, path=_PATH)
    if found is None:
        missing = f"needs {name}"
        pytest.fail(missing) if os.environ.get("RCAS_NO_SKIPS") else pytest.skip(missing)
    return found


def run(name: str, *arguments: str | Path, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with `given` on its standard input."""
    command = [tool(name), *map(str, arguments)]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def template(
    *arguments: str | Path, release: str = "rcas", values: str = "", chart: Path = CHART
) -> subprocess.CompletedProcess[str]:
    """`helm template`, in the namespace `lab`."""
    # A helm that was built without its version takes the cluster for an old one.
    fixed = ("--namespace", "lab", "--kube-version", "1.34.0")
    return run("helm", "template", release, chart, *fixed, *arguments, given=values)


def render(values: Object | None = None, *arguments: str, release: str = "rcas") -> dict[str, Object]:
    """The chart's objects by `Kind/name`, with a store unless `values` name one."""
    given = {"store": {"url": STORE}, **(values or {})}
    done = template("--values", "-", *arguments, release=release, values=yaml.safe_dump(given))
    assert done.returncode == 0, done.stderr
    return objects(done.stdout)


def refused(values: Object) -> str:
    """What helm says to values that it must refuse."""
    done = template("--values", "-", values=yaml.safe_dump(values))
    assert done.returncode != 0, done.stdout
    return done.stderr


def objects(text: str) -> dict[str, Object]:
    """The objects of a YAML stream by `Kind/name`."""
    found = [made for made in yaml.safe_load_all(text) if made]
    named = {f"{made['kind']}/{made['metadata']['name']}": made for made in found}
    assert len(named) == len(found), "two objects of one name"
    return named
