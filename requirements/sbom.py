"""Writes what an image has in it as CycloneDX JSON: `python requirements/sbom.py controller > sbom.json`.

Made from the hashed requirements that the image is installed from, so it needs neither the image nor a network, and
the same requirements give the same bytes.
"""

from __future__ import annotations

import json
import re
import sys
import uuid
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
FILES = ("controller", "trainer", "build", "dev")
_PINNED = re.compile(
    r"(?m)^(?P<name>[\w.-]+)==(?P<version>[^\s;\\]+)(?: ; (?P<marker>[^\\\n]+?))? \\\n(?P<rest>(?: +.*\n?)+)"
)


class Package(NamedTuple):
    """One pinned package. `asked_by`: who needs it. `marker`: where it is installed; empty: everywhere."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]
    asked_by: tuple[str, ...]

    @property
    def purl(self) -> str:
        """Its package URL, which scanners look it up by."""
        return f"pkg:pypi/{re.sub('[-_.]+', '-', self.name).lower()}@{self.version}"


def packages(text: str) -> list[Package]:
    """What a file of requirements pins, as `uv pip compile --generate-hashes` writes it."""
    found = list[Package]()
    for match in _PINNED.finditer(text):
        told = re.findall(r"(?m)^ +#(?: via|  ) ([\w.-]+)(?: \(.+\))?$", match["rest"])
        hashes = tuple(re.findall(r"--hash=sha256:([0-9a-f]{64})", match["rest"]))
        found.append(Package(match["name"], match["version"], match["marker"] or "", hashes, tuple(told)))
    return found


def sbom(name: str) -> dict[str, Any]:
    """The bill of materials of the image `name`."""
    text = (HERE / f"{name}.txt").read_text(encoding="utf-8")
    found = packages(text)
    needs = {one.purl: sorted({other.purl for other in found if one.name in other.asked_by}) for one in found}
    asked = sorted({one.purl for one in found if "rcas" in one.asked_by or not one.asked_by})
    root = {
        "type": "application",
        "name": f"rcas-{name}",
        "bom-ref": "rcas",
        "licenses": [{"license": {"id": "Apache-2.0"}}],
    }
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, text)}",
        "version": 1,
        "metadata": {"component": root},
        "components": [_component(one) for one in found],
        "dependencies": [
            {"ref": "rcas", "dependsOn": asked},
            *({"ref": ref, "dependsOn": on} for ref, on in needs.items()),
        ],
    }


def _component(one: Package) -> dict[str, Any]:
    made: dict[str, Any] = {
        "type": "library",
        "bom-ref": one.purl,
        "name": one.name,
        "version": one.version,
        "purl": one.purl,
        "hashes": [{"alg": "SHA-256", "content": content} for content in one.hashes],
    }
    return made | ({"properties": [{"name": "python:marker", "value": one.marker}]} if one.marker else {})


if __name__ == "__main__":
    if sys.argv[1:2] == [] or sys.argv[1] not in FILES:
        sys.exit(f"usage: python requirements/sbom.py {{{','.join(FILES)}}}")
    json.dump(sbom(sys.argv[1]), sys.stdout, indent=1)
    print()
