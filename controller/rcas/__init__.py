"""rcas: resource constrained architecture search."""

from rcas.budget import Budget
from rcas.errors import Conflict, CorruptState, Fenced, InvalidSpec, RcasError, SearchFailed, Unavailable
from rcas.latency import LatencyTable
from rcas.search import Evaluation, Point, RulePath, Search, SearchResult
from rcas.space import Element, Head, Network, Space, Stage, Stem

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
]
