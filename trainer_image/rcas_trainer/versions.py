"""Which code trains: part of the protocol, because it can change an accuracy."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

TRAINER_VERSION = "1"
"""Raise it with every change after which the same task may give another accuracy."""


def versions() -> dict[str, str]:
    """Versions of the trainer, torch and torchvision, without build suffixes such as +cpu.

    Read from the installed metadata: importing torchvision takes 1.6 s.
    """
    return {
        "rcas_trainer": TRAINER_VERSION,
        "torch": installed("torch"),
        "torchvision": installed("torchvision"),
    }


def installed(package: str) -> str:
    """Version of an installed package without its build suffix, or `absent`."""
    try:
        return version(package).split("+")[0]
    except PackageNotFoundError:
        return "absent"
