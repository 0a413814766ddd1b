"""`--page` and `rcasctl page` as commands: what they refuse, and that they end."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.conftest import RCASCTL, environment, refused
from cli.conftest import folder as folder
from page.site import begun
from rcas.stores.file import FileStore


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody else has."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_port_that_is_taken_is_told_before_anything_is_written(folder: Path, taken: int) -> None:
    said = refused("run", "tiny.yaml", "--page", taken, cwd=folder)
    assert said == f"--page: got '{taken}', allowed: a free port (address already in use); 0 takes any"
    assert [path.name for path in folder.iterdir()] == ["tiny.yaml"]
    assert refused("demo", "--page", taken, cwd=folder) == said


@pytest.mark.parametrize("port", ["tiny.yaml", "70000", "", "²"])
def test_what_is_no_port_is_refused(folder: Path, port: str) -> None:
    said = refused("run", "tiny.yaml", f"--page={port}", cwd=folder)
    assert said.startswith(f"--page: got '{port}', allowed: a port up to 65535")
    assert "SPEC goes before --page" in said


def test_a_store_that_is_not_there_is_refused(folder: Path) -> None:
    assert refused("page", "--store", "nowhere", cwd=folder).startswith("store: got ")
    assert not (folder / "nowhere").exists()


def test_a_store_is_served_here_alone_until_it_is_stopped(tmp_path: Path) -> None:
    begun(FileStore(tmp_path / "store"), steps=5)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    served = subprocess.Popen(
        [str(RCASCTL), "page", "--store", "store", "--port", "0"],
        cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True,
        # A shell starts background jobs with SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    try:
        assert served.stderr
        said = served.stderr.readline()
        address = re.search(r"http://127\.0\.0\.1:(\d+)/", said)
        assert address, said
        with urllib.request.urlopen(f"{address[0]}searches/tiny", timeout=30) as answer:
            assert "<h1>tiny</h1>" in answer.read().decode()
        with pytest.raises(OSError, match="refused"), socket.create_connection(("127.0.0.2", int(address[1])), 5):
            pass
        served.send_signal(signal.SIGINT)
        assert served.wait(60) == 130
    finally:
        served.kill()
        served.wait(60)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before, "it only reads"
