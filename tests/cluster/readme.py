"""The README's three lines from nothing to a finished search, run as they stand there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

import yaml

from cluster.images import ROOT
from cluster.installation import RCASCTL, Installation
from cluster.machine import KUBECONFIG, environment

INSTALL, SUBMIT, WATCH = "helm install", "rcasctl submit", "rcasctl watch"


def line(beginning: str) -> str:
    """The README's line that begins so."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = re.search(rf"^{beginning} .*$", text, re.MULTILINE)
    assert found, f"the README has no line that begins with {beginning}"
    return found[0].partition(" #")[0]


def run(beginning: str, installation: Installation, *, name: str = "", within_s: float = 120) -> str:
    """Run a line of the README as a user does: in a clone, with a values.yaml and a kubeconfig with a namespace.

    `name` stands where the README says NAME.
    """
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder)
        (clone / "charts").symlink_to(ROOT / "charts")
        (clone / "values.yaml").write_text(yaml.safe_dump(installation.values))
        config = yaml.safe_load(KUBECONFIG.read_text())
        config["contexts"][0]["context"]["namespace"] = installation.namespace
        (clone / "kubeconfig").write_text(json.dumps(config))
        variables = {
            **environment(),
            "KUBECONFIG": str(clone / "kubeconfig"),
            "PATH": f"{RCASCTL.parent}{os.pathsep}{environment()['PATH']}",
        }
        command = line(beginning).replace("NAME", name)
        done = subprocess.run(
            command,
            shell=True,
            cwd=clone,
            env=variables,
            capture_output=True,
            text=True,
            timeout=within_s,
            check=False,
        )
    assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def submitted(said: str) -> str:
    """The name of the search out of what `rcasctl submit` said."""
    found = re.search(r"Search (\S+) is submitted", said)
    assert found, said
    return found[1]
