"""The ledger: one writer at a time, no lost update, and a damaged store is named as such."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.harness import a_protocol
from rcas.errors import Conflict, CorruptState, Fenced, Unavailable
from rcas.evaluation import Result, Seconds
from rcas.search import Search
from rcas.spec import build_spec
from rcas.state import Counters, Head, Ledger, SearchState, head_name, read_head, read_result, result_name
from rcas.stores.base import Store, Stored
from rcas.stores.opening import open_store

KEY = "ab" * 32


def a_state(told: int = 0, **changes: Any) -> SearchState:
    """A search with `told` results."""
    stages = [{"channels": 8, "positions": 3, "start": [1]}, {"channels": 16, "positions": 3, "start": [1]}]
    space = {"skeleton": "custom", "classes": 10, "input": [1, 8, 8], "stages": stages, "head": {"channels": 16}}
    spec = build_spec({"name": "tiny", "space": space, "budget": {"params": "20k"}, "data": {"dataset": "digits"}})
    protocol = a_protocol(spec)
    search = spec.search(protocol.sha256)
    for number in range(told):
        search.tell(search.ask(1)[0].key, correct=50 + number % 7, total=100)
    fields: dict[str, Any] = {"spec": spec, "protocol": protocol, "created": 1.5, "search": search.snapshot()}
    return SearchState(**fields | changes)


def counted(number: int) -> SearchState:
    return a_state(counters=Counters(trained=number))


def a_result() -> Result:
    return Result(
        key=KEY,
        network="1 / 1",
        protocol_sha256="0" * 64,
        correct=5,
        correct_top5=8,
        total=10,
        loss=1.0,
        train_loss=1.0,
        epochs=1,
        diverged=False,
        seconds=Seconds(startup=0, data=0, training=1, validation=0),
        images_per_second=1,
        device="cpu",
        versions={},
        params=1,
        madds=1,
    )


@pytest.fixture(params=["file", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    where = request.getfixturevalue("bucket_url" if request.param == "s3" else "tmp_path")
    return open_store(str(where))


class Wrapped:
    """A store to override a method of."""

    def __init__(self, store: Store) -> None:
        self.get, self.delete, self.names, self._put = store.get, store.delete, store.names, store.put

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        return self._put(name, data, expected=expected)


def stored_bytes(store: Store) -> bytes:
    found = store.get(head_name("tiny"))
    assert found
    return found.data


def test_a_search_that_does_not_exist_is_none(store: Store) -> None:
    assert Ledger(store, "tiny", "a").take_over() is None
    assert read_head(store, "tiny") is None
    assert read_result(store, KEY) is None


def test_what_was_committed_is_what_the_next_writer_takes_over(store: Store) -> None:
    first = Ledger(store, "tiny", "a")
    first.create(counted(0))
    first.commit(counted(1))
    assert Ledger(store, "tiny", "b").take_over() == counted(1)


def test_a_state_with_decisions_in_it_comes_back_equal(store: Store) -> None:
    state = a_state(told=40)
    assert any(rule.path for rule in state.search.rules)
    Ledger(store, "tiny", "a").create(state)
    assert Ledger(store, "tiny", "b").take_over() == state


def test_create_refuses_a_search_that_exists(store: Store) -> None:
    Ledger(store, "tiny", "a").create(counted(0))
    with pytest.raises(Fenced, match="search tiny"):
        Ledger(store, "tiny", "b").create(counted(5))
    assert Ledger(store, "tiny", "c").take_over() == counted(0)


def test_taking_over_raises_the_epoch_and_fences_the_older_writer(store: Store) -> None:
    older = Ledger(store, "tiny", "older")
    older.create(counted(0))
    newer = Ledger(store, "tiny", "newer")
    newer.take_over()
    head = need(read_head(store, "tiny"))
    assert (head.epoch, head.writer) == (2, "newer")
    for _ in range(2):
        with pytest.raises(Fenced, match="another controller has taken over the search tiny"):
            older.commit(counted(1))
    newer.commit(counted(2))
    with pytest.raises(Fenced):
        older.commit(counted(3))
    assert Ledger(store, "tiny", "last").take_over() == counted(2)


def test_of_two_that_take_over_at_the_same_moment_one_is_fenced(store: Store) -> None:
    Ledger(store, "tiny", "a").create(counted(0))
    rival = Ledger(store, "tiny", "rival")

    class Overtaken(Wrapped):
        def put(self, name: str, data: bytes, *, expected: str | None) -> str:
            rival.take_over()
            return super().put(name, data, expected=expected)

    with pytest.raises(Fenced):
        Ledger(Overtaken(store), "tiny", "late").take_over()
    head = need(read_head(store, "tiny"))
    assert head.writer == "rival"
    rival.commit(counted(1))


class LosesAnswers(Wrapped):
    """Writes, then says that it did not: what a network that dies after the write looks like."""

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:
        super().put(name, data, expected=expected)
        raise Conflict("the answer was lost and the request sent again")


def test_a_lost_answer_to_a_write_that_succeeded_is_success(store: Store) -> None:
    store = LosesAnswers(store)
    ledger = Ledger(store, "tiny", "a")
    ledger.create(counted(0))
    for number in range(1, 4):
        ledger.commit(counted(number))
    successor = Ledger(store, "tiny", "b")
    assert successor.take_over() == counted(3)
    successor.commit(counted(4))
    with pytest.raises(Fenced):
        ledger.commit(counted(4))


def test_an_own_write_that_is_carried_out_late_is_no_rival(store: Store) -> None:
    Ledger(store, "tiny", "a").create(counted(0))
    ledger = Ledger(store, "tiny", "b")
    ledger.take_over()
    late = copy.copy(ledger)
    ledger.commit(counted(1))
    # The answer to that commit was lost, the write given up: the next one finds bytes of its own writer.
    with pytest.raises(Unavailable, match="carried out late"):
        late.commit(counted(2))
    again = Ledger(store, "tiny", "b")
    assert again.take_over() == counted(1)
    again.commit(counted(2))


def test_every_write_carries_the_hash_of_the_one_before(store: Store) -> None:
    written = list[bytes]()
    for writer in ("a", "b"):
        ledger = Ledger(store, "tiny", writer)
        if ledger.take_over() is None:
            ledger.create(counted(0))
        written.append(stored_bytes(store))
        for number in range(15):
            ledger.commit(counted(number))
            written.append(stored_bytes(store))
    heads = [json.loads(data) for data in written]
    hashes = [None, *(hashlib.sha256(data).hexdigest() for data in written[:-1])]
    assert [head["previous_sha256"] for head in heads] == hashes
    assert [head["seq"] for head in heads] == list(range(1, 33))
    assert [head["epoch"] for head in heads] == [1] * 16 + [2] * 16
    assert len({head["put_id"] for head in heads}) == 32


def test_the_head_of_another_search_is_corrupt(store: Store) -> None:
    Ledger(store, "tiny", "a").create(counted(0))
    store.put(head_name("other"), stored_bytes(store), expected=None)
    for read in (lambda: read_head(store, "other"), Ledger(store, "other", "b").take_over):
        with pytest.raises(CorruptState, match=r"searches/other/state\.json belongs to another search, tiny"):
            read()


def test_the_result_of_another_evaluation_is_corrupt(store: Store) -> None:
    other = "cd" * 32
    store.put(result_name(other), a_result().model_dump_json().encode(), expected=None)
    with pytest.raises(CorruptState, match=f"results/{other}.json is the result of another evaluation, {KEY}"):
        read_result(store, other)


def test_nothing_is_written_over_a_corrupt_head(store: Store) -> None:
    store.put(head_name("tiny"), b"{}", expected=None)
    with pytest.raises(CorruptState, match=r"searches/tiny/state\.json is not a search"):
        Ledger(store, "tiny", "a").take_over()
    assert stored_bytes(store) == b"{}"


class Holding:
    """A store that holds these bytes under every name."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def get(self, name: str) -> Stored:  # noqa: ARG002
        return Stored(self._data, "1")

    def put(self, name: str, data: bytes, *, expected: str | None) -> str:  # noqa: ARG002
        return "2"

    def delete(self, name: str) -> None: ...

    def names(self, prefix: str) -> list[str]:
        return [prefix]


def a_head() -> bytes:
    class Kept(Holding):
        def put(self, name: str, data: bytes, *, expected: str | None) -> str:  # noqa: ARG002
            self.data = data
            return "1"

    kept = Kept(b"")
    Ledger(kept, "tiny", "a").create(a_state(told=40))
    return kept.data


HEAD, RESULT = a_head(), a_result().model_dump_json().encode()


def refused_by_name(data: bytes) -> None:
    """Reading `data` as a head and as a result either works or raises CorruptState with the object's name."""
    complaint(lambda: Search.from_snapshot(need(read_head(Holding(data), "tiny")).state.search))
    line = complaint(lambda: read_result(Holding(data), KEY))
    assert line == "" or line.startswith(result_name(KEY))


def complaint(read: Callable[[], object]) -> str:
    """The one line that CorruptState says, nothing if it is not raised; every other error is the test's."""
    try:
        read()
    except CorruptState as error:
        line = str(error)
    else:
        line = ""
    assert "\n" not in line
    return line


def need(head: Head | None) -> Head:
    assert head
    return head


def test_undamaged_objects_are_read() -> None:
    assert read_head(Holding(HEAD), "tiny")
    assert read_result(Holding(RESULT), KEY) == a_result()


@pytest.mark.parametrize("data", [b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b"\x80" * 9, b"NaN"])
def test_what_is_no_object_of_ours_is_corrupt(data: bytes) -> None:
    with pytest.raises(CorruptState, match=r"^searches/tiny/state\.json is not a search: [^\n]+$"):
        read_head(Holding(data), "tiny")
    with pytest.raises(CorruptState, match=f"^results/{KEY}.json is not a result: [^\n]+$"):
        read_result(Holding(data), KEY)


def edited(document: bytes, old: str, new: str) -> bytes:
    text = document.decode()
    assert text.count(old) == 1
    return text.replace(old, new).encode()


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ('"correct":5', '"correct":5,"correct":6', "the key 'correct' appears twice"),
        ('"correct":5', '"correct":6,"correct":5', "the key 'correct' appears twice"),
        ('"startup":0.0', '"startup":0.0,"startup":0.0', "the key 'startup' appears twice"),
        ('"startup":0.0', '"startup":NaN', "NaN is no number of JSON"),
        ('"startup":0.0', '"startup":-Infinity', "-Infinity is no number of JSON"),
        ('"startup":0.0', '"startup":1e999', "1e999 is too large a number"),
    ],
)
def test_a_result_that_could_be_read_in_two_ways_is_corrupt(old: str, new: str, problem: str) -> None:
    with pytest.raises(CorruptState, match=f"^results/{KEY}.json is not a result: {problem}$"):
        read_result(Holding(edited(RESULT, old, new)), KEY)


def test_a_head_with_two_equal_keys_is_corrupt() -> None:
    for old, new in (('"epoch":1', '"epoch":1,"epoch":2'), ('"failures":0', '"failures":0,"failures":1')):
        with pytest.raises(
            CorruptState, match=r"^searches/tiny/state\.json is not a search: the key .* appears twice$"
        ):
            read_head(Holding(edited(HEAD, old, new)), "tiny")


def test_a_result_over_64_kib_is_corrupt_before_it_is_parsed() -> None:
    longest = RESULT + b" " * (65_536 - len(RESULT))
    assert read_result(Holding(longest), KEY) == a_result()
    for data in (longest + b" ", b"[" * 10_000_000):
        with pytest.raises(CorruptState, match=f"^results/{KEY}.json is not a result: [0-9,]+ bytes, at most 65,536"):
            read_result(Holding(data), KEY)


@settings(deadline=None)
@given(st.data())
def test_a_truncated_object_is_corrupt(data: st.DataObject) -> None:
    head = HEAD[: data.draw(st.integers(0, len(HEAD) - 1))]
    result = RESULT[: data.draw(st.integers(0, len(RESULT) - 1))]
    with pytest.raises(CorruptState, match=r"^searches/tiny/state\.json is not a search: [^\n]+$"):
        read_head(Holding(head), "tiny")
    with pytest.raises(CorruptState, match=f"^results/{KEY}.json is not a result: [^\n]+$"):
        read_result(Holding(result), KEY)


def places(node: Any) -> list[list[Any]]:
    """Paths to every value inside a JSON tree."""
    inside = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [[], *([key, *rest] for key, value in inside for rest in places(value))]


def with_replaced(tree: Any, path: list[Any], value: Any) -> Any:
    tree = copy.deepcopy(tree)
    node = tree
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return tree


NASTY = st.sampled_from(
    [
        None,
        True,
        -1,
        0,
        10**400,
        1e308,
        "",
        "x",
        "1/0",
        "1e9",
        "1 / 1",
        "-",
        [],
        {},
        [[]],
        {"a": 1},
        "\ud800",
        KEY,
        [0, 0],
    ]
)
TREES = {"head": json.loads(HEAD), "result": json.loads(RESULT)}
PLACES = {name: places(tree)[1:] for name, tree in TREES.items()}


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_replaced_value_is_read_or_corrupt(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["head", "head", "result"]))
    tree = TREES[name]
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PLACES[name]))
        try:
            tree = with_replaced(tree, path, data.draw(NASTY | st.integers() | st.text(max_size=5)))
        except (KeyError, IndexError, TypeError):
            continue
    refused_by_name(json.dumps(tree).encode())


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_overwritten_bytes_are_read_or_corrupt(data: st.DataObject) -> None:
    document = bytearray(HEAD if data.draw(st.booleans()) else RESULT)
    at = data.draw(st.integers(0, len(document) - 1))
    document[at : at + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=4))
    refused_by_name(bytes(document))
