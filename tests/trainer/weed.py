"""Outages of a real S3 service."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

from contracts import seaweed


class Weed:
    """The SeaweedFS that this process has started in `folder`."""

    def __init__(self, folder: Path, endpoint: str) -> None:
        self.endpoint, self._log = endpoint, folder / "log"
        self._pid, self._command = _child(folder)
        self._again: subprocess.Popen[bytes] | None = None
        self._killed = False

    def __enter__(self) -> Weed:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._again:
            self._again.kill()
            self._again.wait(timeout=60)

    def pause(self) -> None:
        os.kill(self._pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._killed = True

    def be_up(self) -> None:
        """Go on if it is paused, start again if it was killed; ten seconds then."""
        if not self._killed:
            self.go_on()
            return
        if self._again:
            self._again.wait(timeout=60)
        with self._log.open("ab") as log:
            self._again = subprocess.Popen(self._command, stdout=log, stderr=log)
        self._pid, self._killed = self._again.pid, False
        seaweed.wait_for(self.endpoint, self._again, self._log)


def _child(folder: Path) -> tuple[int, list[str]]:
    """Process id and command of our own child that works in `folder`."""
    for found in Path("/proc").glob("[0-9]*"):
        try:
            command = (found / "cmdline").read_bytes().decode().rstrip("\0").split("\0")
            parent = (found / "stat").read_text().rpartition(")")[2].split()[1]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == os.getpid() and f"-dir={folder / 'data'}" in command:
            return int(found.name), command
    raise AssertionError("the service's process is not there")


def keys(endpoint: str, url: str) -> list[str]:
    """Names of the objects below `url`."""
    prefix = url.removeprefix(f"s3://{seaweed.BUCKET}/") + "/"
    page = seaweed.client(endpoint).list_objects_v2(Bucket=seaweed.BUCKET, Prefix=prefix)
    return sorted(one["Key"].removeprefix(prefix) for one in page.get("Contents", []))


def content(endpoint: str, url: str) -> bytes:
    key = url.removeprefix(f"s3://{seaweed.BUCKET}/")
    found: Any = seaweed.client(endpoint).get_object(Bucket=seaweed.BUCKET, Key=key)
    return found["Body"].read()


def put(endpoint: str, url: str, body: bytes) -> None:
    key = url.removeprefix(f"s3://{seaweed.BUCKET}/")
    seaweed.client(endpoint).put_object(Bucket=seaweed.BUCKET, Key=key, Body=body)


def upload(endpoint: str, folder: Path, url: str) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            put(endpoint, f"{url}/{path.relative_to(folder).as_posix()}", path.read_bytes())
