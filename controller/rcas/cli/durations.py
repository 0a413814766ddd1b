"""How long trainings took that were the same but for their networks: in a store, or in a cluster's searches."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from rcas.errors import CorruptState, RcasError
from rcas.evaluation import Result, evaluation_key
from rcas.rehearsal import Durations, fit_durations
from rcas.spec import SearchSpec
from rcas.state import Head, parse_head, read_head, read_result, search_names
from rcas.stores.base import Store
from rcas.stores.opening import open_store

if TYPE_CHECKING:
    from rcas.runtimes.kubernetes.remote import Remote

READ_RESULTS = 40
"""A line needs no more points, and each is one request to the store."""


class Measured(NamedTuple):
    """Durations of trainings. `source`: for people, where they come from."""

    durations: Durations
    source: str


def durations_in_store(spec: SearchSpec, url: str) -> Measured | None:
    """Fitted to results of the newest search in the store that trains as `spec` does; None if there is none."""
    store = open_store(url, create=False)
    heads = list[Head]()
    for name in search_names(store):
        with suppress(CorruptState):
            head = read_head(store, name)
            heads += [head] if head and _trains_alike(head.state.spec, spec) else []
    for head in sorted(heads, key=lambda head: -head.state.created):
        found = [(result.madds, _seconds(result)) for result in _results(store, head)]
        if found:
            return Measured(fit_durations(found), f"{len(found)} results of the search {head.name} in {url}")
    return None


def durations_in_cluster(spec: SearchSpec, remote: Remote) -> Measured | None:
    """The mean of the newest search of the namespace that trains as `spec` does; None if there is none."""
    for resource in sorted(remote.searches(), key=lambda search: search.created, reverse=True):
        with suppress(RcasError):
            if not resource.status().evaluations or not _trains_alike(resource.spec(), spec):
                continue
            data = remote.head(resource)
            measured = data and mean_duration(parse_head(data, resource.id))
            if measured:
                return measured._replace(source=f"the mean of the search {resource.name}")
    return None


def mean_duration(head: Head) -> Measured | None:
    """The mean over a search's own trainings; None if none has ended."""
    counters = head.state.counters
    if not counters.trained:
        return None
    return Measured(Durations(counters.busy_seconds / counters.trained), "their mean so far")


def _trains_alike(one: SearchSpec, other: SearchSpec) -> bool:
    """Whether trainings of the two differ in their networks only, as far as a spec can tell."""
    same_images = one.data.draw() == other.data.draw() and one.space.build().input == other.space.build().input
    return same_images and one.training == other.training and one.device == other.device


def _results(store: Store, head: Head) -> list[Result]:
    """Results of a search, evenly over the sizes of its networks."""
    space, protocol = head.state.search.space, head.state.search.protocol
    networks = sorted(map(space.network, head.state.search.results), key=space.madds)
    step = max(1, -(-len(networks) // READ_RESULTS))
    found = list[Result]()
    for network in networks[::step]:
        with suppress(CorruptState):
            result = read_result(store, evaluation_key(space, network, protocol, head.state.search.replicate))
            found += [result] if result else []
    return found


def _seconds(result: Result) -> float:
    return result.seconds.data + result.seconds.training + result.seconds.validation
