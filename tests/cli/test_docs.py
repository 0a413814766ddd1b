"""The documentation: reference pages are what the code says, and examples run."""

from __future__ import annotations

import contextlib
import io
import re
import runpy
from pathlib import Path
from typing import Any

import click
import pytest

from rcas.cli import main as rcasctl
from rcas.spec import SearchSpec

DOCS = Path(__file__).parents[2] / "docs"
PAGES: dict[str, str] = runpy.run_path(str(DOCS / "generate.py"))["pages"]()


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_reference_page_is_what_the_code_says(name: str) -> None:
    assert (DOCS / name).read_text(encoding="utf-8") == PAGES[name], "stale; run: python docs/generate.py"


def test_every_command_and_option_has_help() -> None:
    groups = [command for command in rcasctl.commands.values() if isinstance(command, click.Group)]
    inside = [command for group in groups for command in group.commands.values()]
    assert "table" in {command.name for command in inside}
    for command in (*rcasctl.commands.values(), *inside):
        assert command.help
        for option in command.params:
            assert not isinstance(option, click.Option) or option.help, f"{command.name} {option.name}"


def test_every_field_of_the_spec_is_in_its_page() -> None:
    def names(node: Any) -> set[str]:
        if isinstance(node, dict):
            inside = set[str]().union(*map(names, node.values()))
            return inside | set(node.get("properties", {}))
        return set[str]().union(*map(names, node)) if isinstance(node, list) else set()

    fields = names(SearchSpec.model_json_schema())
    assert fields >= {"validation_per_class", "milestones", "block_channels"}
    assert [field for field in fields if f"| `{field}` |" not in PAGES["spec.md"]] == []


def test_the_examples_of_the_python_page_run() -> None:
    text = (DOCS / "python.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```(python|output)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [kind for kind, _ in blocks].count("python") == 5
    names: dict[str, Any] = {"__name__": "python_page"}
    printed = ""
    for kind, block in blocks:
        if kind == "output":
            assert printed == block
            continue
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            exec(compile(block, "docs/python.md", "exec"), names)
        printed = output.getvalue()
    assert names["search"].done


@pytest.mark.parametrize("page", sorted(path.name for path in DOCS.glob("*.md")))
def test_links_between_pages_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", (DOCS / page).read_text(encoding="utf-8")):
        assert (DOCS / target).exists(), target
