"""rcas: resource constrained architecture search."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from rcas.budget import Budget
from rcas.errors import Conflict, CorruptState, Fenced, InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.latency import LatencyTable
from rcas.search import Evaluation, Point, RulePath, Search, SearchResult
from rcas.space import Element, Head, Network, Space, Stage, Stem

if TYPE_CHECKING:
    from rcas.notebook import LoadedSearch
    from rcas.stores.base import Store

__all__ = [
    "Budget",
    "Conflict",
    "CorruptState",
    "Element",
    "Evaluation",
    "Fenced",
    "Head",
    "InvalidSpec",
    "LatencyTable",
    "Network",
    "Point",
    "RcasError",
    "RulePath",
    "Search",
    "SearchFailed",
    "SearchResult",
    "Space",
    "Stage",
    "Stem",
    "Unavailable",
    "load",
]


def load(store: str | os.PathLike[str] | Store, search: str | None = None) -> LoadedSearch:
    """Read a search from a store, as tables and figures.

    store: a folder, `s3://bucket/prefix`, or a store that is open already. search: its name; of one that ran in a
    cluster the name of its resource, or `namespace/name/uid`. Without it: the only search there.

    Raises:
        InvalidSpec: there is no such store or search.
        CorruptState: something else is in its place.
        Unavailable: the store does not answer.
    """
    from rcas.notebook import load_search

    return load_search(store, search)
