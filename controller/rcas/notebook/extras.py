"""Libraries that only the tables and figures of a notebook need: imported when they are used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from rcas.errors import InvalidSpec


def needed(name: str) -> Any:
    """The module `name`.

    Raises:
        InvalidSpec: it is not installed.
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name.partition(".")[0]:
            raise
        raise InvalidSpec(name, got="not installed", allowed="first: pip install 'rcas[notebook]'") from None
