"""The bill of materials of an image names exactly what the image is installed from."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
SCRIPT = REQUIREMENTS / "sbom.py"


def made(name: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, SCRIPT, name], capture_output=True, text=True, check=True)
    assert done.stdout == subprocess.run([sys.executable, SCRIPT, name], capture_output=True, text=True).stdout
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", ["controller", "trainer", "build", "dev"])
def test_every_pinned_package_is_named_with_its_hashes_and_no_other(name: str) -> None:
    text = (REQUIREMENTS / f"{name}.txt").read_text(encoding="utf-8")
    found = made(name)
    pinned = set(re.findall(r"(?m)^([\w.-]+)==([^\s;\\]+)", text))
    assert {(one["name"], one["version"]) for one in found["components"]} == pinned
    hashes = [content["content"] for one in found["components"] for content in one["hashes"]]
    assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", text))
    refs = [one["bom-ref"] for one in found["components"]]
    assert len(set(refs)) == len(refs)
    known = {"rcas", *refs}
    assert all({one["ref"], *one["dependsOn"]} <= known for one in found["dependencies"])


def test_whoever_is_there_is_needed_by_somebody() -> None:
    found = made("controller")
    needs = {one["ref"]: one["dependsOn"] for one in found["dependencies"]}
    reached, new = set[str](), {"rcas"}
    while new:
        reached |= new
        new = {other for one in new for other in needs[one]} - reached
    assert reached == set(needs)
    assert any(ref.startswith("pkg:pypi/boto3@") for ref in needs["rcas"])


def test_a_file_that_is_none_is_refused_in_one_line() -> None:
    for arguments in ([], ["../pyproject"]):
        done = subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)
        assert (done.returncode, done.stdout) == (1, "")
        assert len(done.stderr.splitlines()) == 1


def test_a_marker_is_kept_and_a_name_is_normalised() -> None:
    packages = runpy.run_path(str(SCRIPT))["packages"]
    (one,) = packages(
        f"Some_Thing.x==1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:{'a' * 64}\n    # via rcas\n"
    )
    assert one.purl == "pkg:pypi/some-thing-x@1.0"
    assert one.marker == "sys_platform == 'linux'"
