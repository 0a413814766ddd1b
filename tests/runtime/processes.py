"""What runs on this machine, read from /proc."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

DEADLINE_S = 60.0


def _stat(pid: int) -> list[str]:
    """State, parent, ... of a process; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def alive(pid: int) -> bool:
    """Whether it runs; a zombie that nobody has waited for does not."""
    return _stat(pid)[:1] not in ([], ["Z"], ["X"])


def workers_of(pid: int) -> list[int]:
    """Living trainer processes that `pid` has started."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    children = [child for child in pids if _stat(child)[1:2] == [str(pid)] and alive(child)]
    return [child for child in children if b"serve" in Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0")]


def until(happened: Callable[[], object], what: str) -> None:
    """Wait for something that must come; a generous deadline turns its absence into a failure."""
    deadline = time.monotonic() + DEADLINE_S
    while not happened():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S:.0f} s in vain: {what}"
        time.sleep(0.02)
