"""What `rcasctl run` shows on a terminal: a real one, with a real search behind it."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from pathlib import Path

from cli.conftest import RCASCTL, SPEC, environment

LONGER = SPEC.replace("epochs: 2", "epochs: 4").replace("rules: [UC, APR]", "rules: [UC]\nmax_blocks: 1")
LONGER = LONGER.replace("block_types: [1, 5]", "block_types: [1]")
"""Few trainings, each long enough to be seen."""


def on_a_terminal(*arguments: str, cwd: Path) -> tuple[int, str]:
    """(exit code, everything written) of a command whose output is a terminal."""
    ours, theirs = pty.openpty()
    changes = {"TERM": "xterm-256color", "COLUMNS": "160", "LINES": "50"}
    process = subprocess.Popen([RCASCTL, *arguments], cwd=cwd, env=environment(**changes), stdout=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            chunk = os.read(ours, 65536)
        except OSError:  # Linux's way to say that the other side is closed.
            break
        if not chunk:
            break
        written += chunk
    os.close(ours)
    return process.wait(60), written.decode()


def test_run_shows_path_budgets_trainings_with_their_epochs_rate_and_what_is_left(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(LONGER)
    code, written = on_a_terminal("run", "tiny.yaml", cwd=tmp_path)
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert code == 0
    assert re.search(r"training +epoch \d/4 +\d+\.\d\d% so far +\d", plain)
    assert re.search(r"UC +measuring the start network and the first blocks", plain)
    assert re.search(r"UC \+ type \d in stage \d .*: \d+\.\d\d% \([+-]\d+\.\d\d\)", plain)
    assert re.search(r"\d+\.\d+k / 10\.0k +━+", plain)
    assert re.search(r"\d+ evaluations done, 1 running, \d+ avoided; about \d+ left, \d+ a minute, .* to go; ", plain)
    assert "Search tiny: done" in plain
