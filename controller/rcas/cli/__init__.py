"""The command line: `rcasctl`."""

from __future__ import annotations

from rcas.cli.main import main

__all__ = ["main"]
