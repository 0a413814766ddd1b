"""Commands against a cluster, as far as they can be judged without one; tests/cluster has the rest."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from cli.conftest import SPEC, Finished, environment, rcasctl, refused
from rcas.cli.cluster import Target
from rcas.cli.submit import complete_spec, with_flags
from rcas.errors import InvalidSpec

WHOLE: dict[str, Any] = yaml.safe_load(SPEC)
COMMANDS = (
    ["submit", "-f", "tiny.yaml"],
    ["logs", "tiny"],
    ["pause", "tiny"],
    ["resume", "tiny"],
    ["set", "tiny", "--parallelism", "3"],
    ["cancel", "tiny"],
    ["delete", "tiny", "--yes"],
)
LOOKING = (
    ["list"],
    ["status", "tiny"],
    ["watch", "tiny"],
    ["result", "tiny"],
    ["explain", "tiny"],
    ["forecast", "tiny"],
)


def namespace(defaults: dict[str, Any] | None) -> Any:
    """What `complete_spec` asks of a cluster: the namespace's defaults."""
    return SimpleNamespace(namespace="lab", defaults=lambda: None if defaults is None else yaml.safe_dump(defaults))


def completed(given: dict[str, Any], defaults: dict[str, Any] | None = None) -> dict[str, Any]:
    spec = complete_spec(given, cast(Any, namespace(defaults)))
    return spec.model_dump(mode="json", exclude_unset=True)


def test_a_budget_is_enough_where_the_namespace_has_defaults() -> None:
    rest = {name: value for name, value in WHOLE.items() if name not in {"name", "budget"}}
    spec = completed(with_flags({}, {"budget_params": "12k"}), rest)
    assert spec["budget"] == {"params": 12_000}
    assert spec["rules"] == ["UC", "APR"]
    assert spec["name"].startswith("search-")
    assert len(spec["name"]) == len("search-") + 5


def test_two_searches_without_a_name_are_two_searches() -> None:
    assert completed({**WHOLE, "name": None})["name"] != completed({**WHOLE, "name": None})["name"]


def test_what_the_user_says_stands_and_the_defaults_fill_what_is_silent() -> None:
    defaults = {**WHOLE, "name": "ours", "training": {"epochs": 9, "batch_size": 8}}
    spec = completed({"name": "mine", "training": {"epochs": 1, "milestones": [1]}, "rules": ["AMR"]}, defaults)
    assert (spec["name"], spec["rules"]) == ("mine", ["AMR"])
    assert spec["training"] == {"epochs": 1, "batch_size": 8, "milestones": [1]}


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "space, budget, data"),
        ({"budget": {"params": "3.4M"}}, "space, data"),
        ({"budget": {"params": "3.4M"}, "space": {"classes": 10}}, "data"),
    ],
)
def test_without_defaults_it_says_what_is_missing(given: dict[str, Any], missing: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        completed(given)
    assert error.value.allowed.startswith(f"-f SPEC with {missing}: the namespace lab has no defaults")


def test_a_mistake_in_the_defaults_names_its_field() -> None:
    with pytest.raises(InvalidSpec, match=r"^training\.epochs: got 'many'"):
        completed({"name": "mine"}, {**WHOLE, "training": {"epochs": "many"}})
    with pytest.raises(InvalidSpec, match="the namespace's defaults"):
        complete_spec(WHOLE, cast(Any, SimpleNamespace(namespace="lab", defaults=lambda: "[1, 2]")))


def test_flags_take_their_places_and_leave_their_neighbours() -> None:
    flags = {"budget_madds": "300k", "image": "mine:1", "max_evaluations": 7, "max_hours": 1.5, "parallelism": 4}
    fields = {"budget": {"params": "1k"}, "pod": {"priorityClassName": "low"}, "limits": {"gpu_hours": 3}}
    before = yaml.safe_dump(fields)
    assert with_flags(fields, {**flags, "budget_params": None}) == {
        "budget": {"params": "1k", "madds": "300k"},
        "pod": {"priorityClassName": "low", "image": "mine:1"},
        "limits": {"gpu_hours": 3, "evaluations": 7, "hours": 1.5},
        "parallelism": 4,
    }
    assert yaml.safe_dump(fields) == before


def test_a_flag_inside_of_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(InvalidSpec, match=r"^budget: got 'large', allowed: a mapping"):
        with_flags({"budget": "large"}, {"budget_params": "1k"})


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: arguments[0])
def test_without_a_kubeconfig_it_is_one_line(folder: Path, arguments: list[str]) -> None:
    line = refused(*arguments, cwd=folder)
    assert line.startswith("kubeconfig: got 'the default', allowed: a kubeconfig with a usable context")
    line = refused(*arguments, "--kubeconfig", "mine", cwd=folder)
    assert line.startswith("kubeconfig: got 'mine', allowed: ")


@pytest.mark.parametrize("arguments", [*COMMANDS, *LOOKING], ids=lambda arguments: arguments[0])
def test_without_the_kubernetes_client_it_says_what_to_install(folder: Path, arguments: list[str]) -> None:
    (folder / "kubernetes").mkdir()
    raises = 'raise ModuleNotFoundError("No module named \'kubernetes\'", name="kubernetes")'
    (folder / "kubernetes/__init__.py").write_text(raises)
    path = ":".join(filter(None, [str(folder), environment().get("PYTHONPATH")]))
    line = refused(*arguments, "-n", "lab", cwd=folder, PYTHONPATH=path)
    assert line == "cluster: got 'no module kubernetes', allowed: first: pip install 'rcas[controller]'"


def test_a_context_that_is_not_there_is_one_line(folder: Path) -> None:
    (folder / "config").write_text(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n"
        "clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n"
        "users: [{name: u, user: {token: t}}]\n"
        "contexts: [{name: here, context: {cluster: c, user: u, namespace: lab}}]\n"
    )
    line = refused("list", "--context", "there", cwd=folder, KUBECONFIG=str(folder / "config"))
    assert "there" in line
    line = refused("list", cwd=folder, code=1, KUBECONFIG=str(folder / "config"))
    assert line.startswith("the API server does not answer: ")


@pytest.mark.parametrize("arguments", LOOKING, ids=lambda arguments: arguments[0])
def test_looking_commands_choose_store_then_cluster(finished: Finished, folder: Path, arguments: list[str]) -> None:
    """A store that is named; else a cluster that is named; else ./rcas-store; else the kubeconfig's cluster."""
    store = str(finished.folder / "rcas-store")
    assert rcasctl(*arguments, "--store", store, "-n", "lab", cwd=folder).returncode == 0
    assert rcasctl(*arguments, cwd=folder, RCAS_STORE=store).returncode == 0
    assert refused(*arguments, "-n", "lab", cwd=finished.folder).startswith("kubeconfig: ")
    assert rcasctl(*arguments, cwd=finished.folder).returncode == 0
    line = refused(*arguments, cwd=folder)
    assert line.startswith("store: got 'rcas-store', allowed: a folder that a search was run in; for a cluster ")


def test_hints_repeat_the_options_that_lead_there() -> None:
    target = Target(namespace="lab", context="a b")
    assert target.command("watch", "tiny") == "rcasctl watch tiny -n lab --context 'a b'"
    assert Target().command("watch", "tiny") == "rcasctl watch tiny"


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        (["--parallelism", "0"], "0 is not in the range"),
        (["--max-hours", "-1"], "-1.0 is not in the range"),
        (["--max-evaluations", "some"], "'some' is not a valid integer"),
    ],
)
def test_a_number_that_none_is_refused_before_the_cluster_is_asked(
    folder: Path, flags: list[str], complaint: str
) -> None:
    assert complaint in refused("set", "tiny", *flags, cwd=folder, usage=True)
    assert complaint in refused("submit", "-f", "tiny.yaml", *flags, cwd=folder, usage=True)


def test_set_wants_something_to_set(folder: Path) -> None:
    assert refused("set", "tiny", cwd=folder).startswith("set: got 'nothing', allowed: --parallelism, ")
