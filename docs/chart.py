"""The generated files of the chart and the manifests: the CRD, the values' schema, and the chart's README."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from rcas.crd import crd_text
from rcas.resource import ResourceSpec

CHART = Path(__file__).parents[1] / "charts" / "rcas"
HEADER = "# Written by docs/generate.py from the models in controller/rcas. Edit those.\n"
KEPT = {"helm.sh/resource-policy": "keep"}
"""Uninstalling the chart must not delete every search of the cluster."""

# Members of a list are taken as they are. Other objects are merged with what a user submits: nothing is required.
WHOLE = {"Stage"}


def pages() -> dict[str, str]:
    """The generated files by their path from docs/."""
    return {
        "../charts/rcas/files/crd.yaml": HEADER + crd_text(KEPT),
        "../k8s/base/crd.yaml": HEADER + crd_text(),
        "../charts/rcas/values.schema.json": values_schema(),
        "../charts/rcas/README.md": readme(),
    }


def values_schema() -> str:
    """The schema as it stands, with the parts that are models of the code."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    search = copy.deepcopy(ResourceSpec.model_json_schema())
    definitions = search.pop("$defs")
    for name in ("name", "pause", "cancel"):
        del search["properties"][name]
    for name, definition in {**definitions, "Search": search}.items():
        if name not in WHOLE:
            definition.pop("required", None)
    schema["$defs"] = {**definitions, "Search": search}
    schema["properties"]["trainer"] = {"$ref": "#/$defs/PodSpec"}
    schema["properties"]["searchDefaults"] = {"$ref": "#/$defs/Search"}
    return json.dumps(schema, indent=2) + "\n"


def readme() -> str:
    """The chart's README.md, as helm-docs would write it from README.md.gotmpl and the comments of values.yaml."""
    about = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    rows = [f"| {key} | {kind} | `{default}` | {text} |" for key, kind, default, text in values()]
    sections = {
        "header": f"# {about['name']}\n\n<!-- Written by docs/generate.py from README.md.gotmpl and values.yaml. -->",
        "description": about["description"],
        "valuesSection": "\n".join(
            ["## Values", "", "| Key | Type | Default | Description |", "|---|---|---|---|", *rows]
        ),
    }
    text = (CHART / "README.md.gotmpl").read_text(encoding="utf-8")
    return re.sub(r'\{\{ template "chart\.(\w+)" \. \}\}', lambda match: sections[match[1]], text)


def values() -> Iterator[tuple[str, str, str, str]]:
    """Every value with a `# --` comment: its key, type, default and meaning."""
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    defaults, path, comment = yaml.safe_load(text), list[str](), list[str]()
    for line in text.splitlines():
        if match := re.match(r"( *)# (-- )?(.*)", line):
            comment = [match[3]] if match[2] else [*comment, match[3]] if comment else []
        elif match := re.match(r"( *)(\w+):", line):
            path = [*path[: len(match[1]) // 2], match[2]]
            if comment:
                default = defaults
                for name in path:
                    default = default[name]
                yield ".".join(path), type_name(default), json.dumps(default), " ".join(comment).replace("|", "\\|")
            comment = []
        else:
            comment = []


def type_name(value: Any) -> str:
    """The type as helm-docs names it."""
    return {str: "string", bool: "bool", int: "int", dict: "object", list: "list"}[type(value)]
