"""Writes the reference pages from the code: `python docs/generate.py`. A test fails when they are stale."""

from __future__ import annotations

import inspect
import json
import re
import runpy
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import click
from prometheus_client.metrics import MetricWrapperBase

from rcas.cli import main as rcasctl
from rcas.controller.metrics import Metrics
from rcas.crd import described
from rcas.spec import SearchSpec

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/generate.py. Edit the code that it reads. -->"


def pages() -> dict[str, str]:
    """The generated files by their path from docs/."""
    chart = runpy.run_path(str(DOCS / "chart.py"))
    return {
        "spec.md": spec_page(),
        "spec.schema.json": schema_text(),
        "cli.md": cli_page(),
        "metrics.md": metrics_page(),
        **chart["pages"](),
    }


def schema_text() -> str:
    """The JSON Schema of a spec."""
    return json.dumps(SearchSpec.model_json_schema(), indent=2) + "\n"


def spec_page() -> str:
    """The reference of the spec: what `rcasctl init` writes, then every field."""
    schema = SearchSpec.model_json_schema()
    template = files("rcas").joinpath("template.yaml").read_text(encoding="utf-8")
    parts = [
        "# The search spec",
        NOTE,
        "YAML or JSON. An unknown field is an error, and so are a key that appears twice, an alias, and a number\n"
        "that is not finite. `rcasctl validate SPEC` checks a file without running anything;\n"
        "[spec.schema.json](spec.schema.json) lets an editor do it while you type.",
        "Counts in `budget` are whole numbers or text such as `3.4M`, `300k` and `2_400_000` (suffixes k, M and G\n"
        "for 10^3, 10^6 and 10^9; B is G).",
        "`rcasctl init` writes this one:",
        f"```yaml\n{template}```",
        *section("spec", schema, schema["$defs"]),
    ]
    return "\n\n".join(parts) + "\n"


def metrics_page() -> str:
    """The reference of the controller's metrics, from its registry."""
    rows = list[str]()
    for family in vars(Metrics()).values():
        if isinstance(family, MetricWrapperBase):
            (metric,) = family.describe()
            name = metric.name + {"counter": "_total", "info": "_info"}.get(metric.type, "")
            labels = ", ".join(f"`{label}`" for label in family._labelnames)
            rows.append(f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |")
    parts = [
        "# Metrics",
        NOTE,
        "What the controller serves on `/metrics`. `search` is the name of a Search, the only label that grows.",
        "\n".join(["| metric | type | labels | meaning |", "|---|---|---|---|", *sorted(rows)]),
    ]
    return "\n\n".join(parts) + "\n"


def section(path: str, node: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    """The table of an object of the schema, and after it those of the objects inside."""
    text, attributes = described(node.get("description", ""))
    rows, inner = list[str](), list[str]()
    for name, field in node["properties"].items():
        meaning = field.get("description") or attributes.get(name, "")
        default = "required" if name in node.get("required", []) else f"`{json.dumps(field.get('default'))}`"
        if "$ref" in json.dumps(field) and default.startswith("`{"):
            default = "its fields'"
        rows.append(f"| `{name}` | {kind(field)} | {default} | {meaning.replace('|', chr(92) + '|')} |")
        target = re.search(r'"\$ref": "#/\$defs/(\w+)"', json.dumps(field))
        if target:
            at = f"{path}.{name}".removeprefix("spec.") + ("[]" if "items" in json.dumps(field) else "")
            inner += section(at, definitions[target[1]], definitions)
    table = "\n".join(["| field | value | default | meaning |", "|---|---|---|---|", *rows])
    return [f"## {path}", *([text] if text else []), table, *inner]


def kind(field: dict[str, Any]) -> str:
    """The values that a field takes, in words."""
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(kind(option) for option in field["anyOf"]))
    if "$ref" in field:
        return "mapping, see below"
    if "enum" in field:
        return ", ".join(f"`{value}`" for value in field["enum"])
    if "const" in field:
        return f"`{field['const']}`"
    if "prefixItems" in field:
        return f"list of {len(field['prefixItems'])}: {kind(field['prefixItems'][0])}"
    if "items" in field:
        return f"list of: {kind(field['items'])}"
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
        "object": "mapping",
    }
    return names[field["type"]] + bounds(field)


def bounds(field: dict[str, Any]) -> str:
    """The limits of a number or the pattern of a text."""
    words = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}
    found = [f"{word} {field[limit]:,}" for limit, word in words.items() if limit in field]
    return " " + " ".join(found) if found else ""


def cli_page() -> str:
    """The reference of the commands."""
    parts = [
        "# rcasctl",
        NOTE,
        inspect.cleandoc(rcasctl.help or ""),
        "Exit codes: 0 done; 1 not now or not possible, the message says why; 2 bad input, with the field, the\n"
        "value and what is allowed; 130 stopped by Ctrl-C or SIGTERM. An error is one line on standard error. See\n"
        "[operations.md](operations.md).",
    ]
    for name, command in commands(rcasctl):
        with click.Context(command, info_name=f"rcasctl {name}") as context:
            usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
        parts += [f"## {name}", f"```\n{usage}\n```", inspect.cleandoc(command.help or "")]
        options = [option_row(option) for option in command.params if isinstance(option, click.Option)]
        if options:
            parts.append("\n".join(["| option | meaning |", "|---|---|", *options]))
    return "\n\n".join(parts) + "\n"


def commands(group: click.Group, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """(name as it is typed, command) of all, those of a group after it."""
    for name in sorted(group.commands):
        command = group.commands[name]
        yield prefix + name, command
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")


def option_row(option: click.Option) -> str:
    """One option with what it takes and its default."""
    value = "" if option.is_flag else f" {choices(option)}"
    extra = [f"default: `{option.default}`"] if option.show_default else []
    extra += [f"environment: `{option.envvar}`"] if option.show_envvar else []
    meaning = " ".join([option.help or "", *([f"({'; '.join(extra)})"] if extra else [])]).strip()
    return f"| `{', '.join(option.opts)}{value}` | {meaning} |"


def choices(option: click.Option) -> str:
    """What stands after the option."""
    if isinstance(option.type, click.Choice):
        return "{" + ",".join(map(str, option.type.choices)) + "}"
    return option.metavar or {"integer range": "N", "path": "PATH"}.get(option.type.name, option.type.name.upper())


if __name__ == "__main__":
    for file_name, content in pages().items():
        (DOCS / file_name).write_text(content, encoding="utf-8")
