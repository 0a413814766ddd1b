"""The state of a search as stored, and the ledger that is its only writer.

One head object per search. Each write names the version that it replaces and carries the hash of the one
before, so a lost update is impossible and a broken chain is seen. Taking over raises the epoch, which fences
every older writer.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import Field, ValidationError

from rcas.baselines.methods import METHODS
from rcas.baselines.record import Record
from rcas.errors import Conflict, CorruptState, Fenced, Unavailable, one_line
from rcas.evaluation import RESULT_LIMIT_BYTES, Attempts, Description, Model, Natural, Protocol, Result
from rcas.final import FinalResult, Finals
from rcas.snapshot import Snapshot
from rcas.spec import SearchSpec
from rcas.stores.base import Store

M = TypeVar("M", bound=Model)
Phase = Literal["Running", "Paused", "LimitReached", "Cancelled", "Complete", "Failed"]
ENDED: tuple[Phase, ...] = ("Complete", "Cancelled")
"""Phases that a search does not leave."""


class Counters(Model):
    """What the search did, over all controllers that worked on it.

    Attributes:
        trained: evaluations whose result came from an attempt of this search.
        reused: evaluations whose result was there already, from another search or an earlier run.
        failures: attempts that failed. interruptions: attempts that were stopped and go on elsewhere.
        busy_seconds: wall time of the trained evaluations, summed.
        gpu_seconds: GPUs times the seconds that attempts which have ended held them.
    """

    trained: Natural = 0
    reused: Natural = 0
    failures: Natural = 0
    interruptions: Natural = 0
    busy_seconds: float = 0
    gpu_seconds: float = 0

    def add(self, **amounts: float) -> Counters:
        """These counters with `amounts` added."""
        return self.model_copy(update={name: getattr(self, name) + amount for name, amount in amounts.items()})


class SearchState(Model):
    """Everything that a controller must know to go on."""

    spec: SearchSpec
    protocol: Protocol
    created: float
    phase: Phase = "Running"
    message: str = ""
    search: Snapshot
    attempts: dict[str, Attempts] = Field(default_factory=dict[str, Attempts])
    counters: Counters = Counters()


class Head(Model):
    """The envelope of the state in the store.

    Attributes:
        epoch: how many controllers have taken over. seq: writes so far; both only rise.
        writer: who wrote it. put_id: unique to this write.
        previous_sha256: hash of the object that this one replaced; None for the first.
    """

    format: Literal[1] = 1
    name: str
    epoch: Natural
    seq: Natural
    writer: str
    put_id: str
    previous_sha256: str | None
    state: SearchState


def head_name(search: str) -> str:
    """Object name of the head of `search`."""
    return f"searches/{search}/state.json"


def result_name(key: str) -> str:
    """Object name of the result of an evaluation; searches that share a store share it."""
    return f"results/{key}.json"


def description_name(search: str) -> str:
    """Object name of what a trainer found in the data of `search`."""
    return f"searches/{search}/description.json"


def final_description_name(search: str, generation: int) -> str:
    """Object name of what a trainer found in the data of the final training that this generation asks for."""
    return f"searches/{search}/finals-{generation}.description.json"


def checkpoint_name(key: str) -> str:
    """Object name of the checkpoint of an evaluation under way."""
    return f"checkpoints/{key}.pt"


def search_names(store: Store) -> list[str]:
    """Names of the searches in `store`; those of a cluster are `namespace/name/uid`."""
    suffix = head_name("").removeprefix("searches/")
    names = (name.removeprefix("searches/") for name in store.names("searches/"))
    return [name.removesuffix(suffix) for name in names if name.endswith(suffix)]


def baseline_name(search: str, method: str, seed: int) -> str:
    """Object name of the record of a baseline of `search`."""
    return f"{_baselines(search)}{method}-{seed}.json"


def _baselines(search: str) -> str:
    return f"searches/{search}/baselines/"


def finals_name(search: str) -> str:
    """Object name of the index of the final trainings of `search`."""
    return f"searches/{search}/finals.json"


def final_name(key: str) -> str:
    """Object name of the result of a final training."""
    return f"finals/{key}.json"


def weights_name(key: str) -> str:
    """Object name of the weights of a final training: safetensors with an `Architecture` in its metadata."""
    return f"finals/{key}.safetensors"


def final_checkpoint_name(key: str) -> str:
    """Object name of the checkpoint of a final training under way."""
    return f"finals/{key}.pt"


def read_head(store: Store, search: str) -> Head | None:
    """The head of `search`, or None if there is none.

    Raises:
        CorruptState: it is not what a controller wrote.
    """
    stored = store.get(head_name(search))
    return None if stored is None else parse_head(stored.data, search)


def read_result(store: Store, key: str) -> Result | None:
    """The result of an evaluation, or None if there is none yet.

    Raises:
        CorruptState: the object there is not a result of this key, or larger than 64 KiB.
    """
    result = _read_small(store, Result, result_name(key), "a result")
    if result and result.key != key:
        raise CorruptState(f"{result_name(key)} is the result of another evaluation, {result.key}")
    return result


def read_description(store: Store, search: str) -> Description | None:
    """What a trainer found in the data of `search`, or None if nothing is known yet.

    Raises:
        CorruptState: the object there is not a description, or larger than 64 KiB.
    """
    return read_description_at(store, description_name(search))


def read_description_at(store: Store, name: str) -> Description | None:
    """What a trainer wrote of data into the object `name`; see `read_description`."""
    return _read_small(store, Description, name, "a description")


def read_baselines(store: Store, search: str) -> list[Record]:
    """Records of the baselines of `search` that have ended, by method and seed.

    Raises:
        CorruptState: an object among them is no such record.
    """
    names = [name for name in store.names(_baselines(search)) if name.endswith(".json")]
    records = [
        record for name in names if (stored := store.get(name)) and (record := parse_baseline(stored.data, name))
    ]
    return sorted((record for record in records if record.stopped), key=lambda r: (METHODS.index(r.method), r.seed))


def parse_baseline(data: bytes, name: str) -> Record:
    """The record in the bytes of the object `name`.

    Raises:
        CorruptState: it is not what a baseline wrote.
    """
    record = _parse(Record, data, name, "the record of a baseline")
    if baseline_name(record.search, record.method, record.seed) != name:
        raise CorruptState(f"{name} is the record of another baseline")
    return record


def read_finals(store: Store, search: str) -> Finals | None:
    """The index of the final trainings of `search`, or None if none was asked for.

    Raises:
        CorruptState: the object there is not such an index.
    """
    stored = store.get(finals_name(search))
    return None if stored is None else parse_finals(stored.data, search)


def parse_finals(data: bytes, search: str) -> Finals:
    """The index of the final trainings of `search` in the bytes of its object.

    Raises:
        CorruptState: it is not such an index.
    """
    finals = _parse(Finals, data, finals_name(search), "an index of final trainings")
    if finals.search != search:
        raise CorruptState(f"{finals_name(search)} belongs to another search, {finals.search}")
    return finals


def read_final(store: Store, key: str) -> FinalResult | None:
    """The result of a final training, or None if there is none yet.

    Raises:
        CorruptState: the object there is not a result of this key, or larger than 64 KiB.
    """
    result = _read_small(store, FinalResult, final_name(key), "a result of a final training")
    if result and result.key != key:
        raise CorruptState(f"{final_name(key)} is the result of another final training, {result.key}")
    return result


def read_weights(store: Store, result: FinalResult) -> bytes:
    """The safetensors file that belongs to a result.

    Raises:
        CorruptState: it is gone, or is not the one that the result names.
    """
    name = weights_name(result.key)
    stored = store.get(name)
    if stored is None:
        raise CorruptState(f"{name} is gone, although the result of this final training is there")
    if hashlib.sha256(stored.data).hexdigest() != result.weights_sha256:
        raise CorruptState(f"{name} is not what the result of this final training names: its checksum is another")
    return stored.data


def _read_small(store: Store, model: type[M], name: str, what: str) -> M | None:
    """An object that a trainer wrote."""
    stored = store.get(name)
    if stored is None:
        return None
    if len(stored.data) > RESULT_LIMIT_BYTES:
        raise CorruptState(f"{name} is not {what}: {len(stored.data):,} bytes, at most 65,536 allowed")
    return _parse(model, stored.data, name, what)


class Ledger:
    """The one writer of a search's head.

    Args:
        store: where the head lies.
        search: its name.
        writer: unique to this process; tells a lost answer from a lost race.
    """

    def __init__(self, store: Store, search: str, writer: str) -> None:
        self.store, self.search, self.writer = store, search, writer
        self._head: Head | None = None
        self._version: str | None = None

    def take_over(self) -> SearchState | None:
        """Read the state and raise the epoch; None if the search does not exist.

        Raises:
            CorruptState: what is there is not a head.
            Fenced: another controller took over at the same moment.
        """
        stored = self.store.get(head_name(self.search))
        if stored is None:
            return None
        head = parse_head(stored.data, self.search)
        self._version = stored.version
        self._write(head.state, head.epoch + 1, head.seq + 1, hashlib.sha256(stored.data).hexdigest())
        return head.state

    def create(self, state: SearchState) -> None:
        """Write the first head.

        Raises:
            Fenced: the search exists already.
        """
        self._write(state, epoch=1, seq=1, previous_sha256=None)

    def commit(self, state: SearchState) -> None:
        """Replace the state.

        Raises:
            Fenced: another controller has written since.
        """
        assert self._head is not None
        previous = hashlib.sha256(_encode(self._head)).hexdigest()
        self._write(state, self._head.epoch, self._head.seq + 1, previous)

    def _write(self, state: SearchState, epoch: int, seq: int, previous_sha256: str | None) -> None:
        head = Head(
            name=self.search,
            epoch=epoch,
            seq=seq,
            writer=self.writer,
            put_id=f"{self.writer}-{epoch}-{seq}",
            previous_sha256=previous_sha256,
            state=state,
        )
        try:
            self._version = self.store.put(head_name(self.search), _encode(head), expected=self._version)
        except Conflict:
            self._version = self._version_if_mine(head)
        self._head = head

    def _version_if_mine(self, head: Head) -> str:
        """A refused write whose bytes are there succeeded before: only the answer was lost."""
        stored = self.store.get(head_name(self.search))
        if stored and stored.data == _encode(head):
            return stored.version
        if stored and parse_head(stored.data, self.search).writer == self.writer:
            # An older write, given up as unavailable, was carried out late. Nobody has taken over: read it and go on.
            raise Unavailable(f"an older write of the search {self.search} was carried out late")
        raise Fenced(f"another controller has taken over the search {self.search}")


def _encode(head: Head) -> bytes:
    return head.model_dump_json().encode()


def parse_head(data: bytes, search: str) -> Head:
    """The head of `search` in the bytes of its object.

    Raises:
        CorruptState: it is not what a controller wrote.
    """
    head = _parse(Head, data, head_name(search), "a search")
    if head.name != search:
        raise CorruptState(f"{head_name(search)} belongs to another search, {head.name}")
    return head


def _parse(model: type[M], data: bytes, name: str, what: str) -> M:
    try:
        # The model's own parser takes the last of equal keys, and reads 1e999 as infinity.
        json.loads(data, object_pairs_hook=_without_twins, parse_constant=_refuse_constant, parse_float=_finite)
        return model.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = one_line(".".join(map(str, problem["loc"])) or "object", 100)
        raise CorruptState(f"{name} is not {what}: {where}: {one_line(problem['msg'])}") from None
    except (ValueError, RecursionError) as error:
        raise CorruptState(f"{name} is not {what}: {one_line(error)}") from None


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"the key {next(key for key in keys if keys.count(key) > 1)[:80]!r} appears twice")
    return found


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number of JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:80]} is too large a number")
    return number
