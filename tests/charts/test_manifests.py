"""The manifests without Helm are the chart's, and the example overlay is one that the controller can read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts.tools import ROOT, Object, objects, render, run
from rcas.controller.config import read_config
from rcas.crd import crd
from rcas.resource import DEFAULTS_KEY, DEFAULTS_LABEL
from rcas.spec import build_spec

HELMS_OWN = {"app.kubernetes.io/managed-by", "helm.sh/chart", "namespace", "annotations"}


def kustomize(folder: str) -> dict[str, Object]:
    done = run("kubectl", "kustomize", ROOT / "k8s" / folder)
    assert done.returncode == 0, done.stderr
    # The hash that follows the configuration's name is the checksum that the chart puts into an annotation.
    return objects(re.sub(r"rcas-config-[a-z0-9]{10}\b", "rcas-config", done.stdout))


def plain(node: Any) -> Any:
    """Without what only Helm adds: its labels, the namespace, the checksum, and the CRD's policy."""
    if isinstance(node, list):
        return [plain(item) for item in node]
    if not isinstance(node, dict):
        return node
    kept = {name: plain(value) for name, value in node.items() if name not in HELMS_OWN}
    if "config.yaml" in kept and isinstance(kept["config.yaml"], str):
        kept["config.yaml"] = yaml.safe_load(kept["config.yaml"])
    return kept


def test_the_base_is_the_chart_with_its_default_values() -> None:
    chart = render()
    del chart["Pod/rcas-doctor"]
    assert plain(kustomize("base")) == plain(chart)


def test_the_base_has_the_codes_crd() -> None:
    assert kustomize("base")["CustomResourceDefinition/searches.rcas.dev"] == crd()


def test_the_example_changes_what_it_says(tmp_path: Path) -> None:
    made = kustomize("overlays/example")
    (container,) = made["Deployment/rcas"]["spec"]["template"]["spec"]["containers"]
    path = tmp_path / "config.yaml"
    path.write_text(made["ConfigMap/rcas-config"]["data"]["config.yaml"], encoding="utf-8")
    config = read_config(path)
    assert config.store == "s3://searches/team-a"
    assert container["image"].endswith("/rcas-controller:0.1.0")
    assert container["envFrom"] == list(config.pod.envFrom) == [{"secretRef": {"name": "rcas-store"}}]
    assert [entry for entry in container["env"] if "value" in entry] == list(config.pod.env)
    assert made["RoleBinding/rcas"]["subjects"][0]["namespace"] == "rcas"
    spaces = {name: each["metadata"].get("namespace") for name, each in made.items() if "Custom" not in name}
    assert set(spaces.values()) == {"rcas"}


def test_a_budget_is_enough_over_the_examples_defaults() -> None:
    defaults = kustomize("overlays/example")["ConfigMap/rcas-defaults"]
    assert defaults["metadata"]["labels"] == {DEFAULTS_LABEL: "true"}
    spec = yaml.safe_load(defaults["data"][DEFAULTS_KEY])
    assert build_spec({**spec, "budget": {"params": "3.4M"}}).space.classes == 100


@pytest.mark.parametrize("name", ["controller", "trainer", "build"])
def test_the_images_have_what_was_tested(name: str) -> None:
    """Versions and hashes of an image's packages are those that CI installs; only the wheel's builder may be more."""
    own, tested = (pins(ROOT / "requirements" / f"{file}.txt") for file in (name, "dev"))
    assert own
    extra = set(own) - set(tested)
    assert not extra or name == "build", extra
    assert {package: own[package] for package in own.keys() - extra} == {
        package: tested[package] for package in own.keys() - extra
    }
    assert all("--hash=sha256:" in text for text in own.values())


def test_only_the_trainings_image_has_torch() -> None:
    assert not any(
        package.startswith(("torch", "nvidia")) for package in pins(ROOT / "requirements" / "controller.txt")
    )
    assert any(package.startswith("torch==") for package in pins(ROOT / "requirements" / "trainer.txt"))


def pins(path: Path) -> dict[str, str]:
    """Each `package==version ; marker` with its hashes."""
    text = re.sub(r"(?m)^\s*#.*\n", "", path.read_text(encoding="utf-8"))
    entries = re.findall(r"(?m)^(\S+==\S+[^\\\n]*)\\?\n((?:    --hash.*\n)*)", text)
    return {" ".join(package.split()): hashes.replace("\\", "") for package, hashes in entries}
