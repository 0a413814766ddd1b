"""What a malicious trainer may write into the store: its own search fails, in one line, and no other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.harness import a_result
from controller.memory_store import MemoryStore
from rcas.errors import Conflict, CorruptState, InvalidSpec
from rcas.evaluation import Description, Result
from rcas.location import S3Location
from rcas.messages import Assignment, Inquiry
from rcas.runtimes.kubernetes.namespace import jobs_path
from rcas.state import Head, head_name, read_description, read_head, read_result, result_name
from rcas.stores import base
from rcas.stores.base import Store
from rcas.stores.file import FileStore
from rcas.stores.s3 import S3Store
from security.lab import NAMESPACE, Lab, a_description, a_search_spec, honest

KEY = "a" * 64
NESTED = b'{"key":' * 100_000
TWINS = b'{"format": 1, "format": 1}'
ESCAPES = "\x1b]0;owned\x07\x1b[2J\r\n\u202efirst"

LEAVING = [
    "../x",
    "a/../../x",
    "/etc/passwd",
    "a//b",
    "",
    ".",
    "a/./b",
    "a\nb",
    "a\0b",
    "results/../../state.json",
    "a/",
]


@pytest.mark.parametrize("name", LEAVING)
@pytest.mark.parametrize("kind", ["file", "memory", "s3"])
def test_no_name_leaves_the_store(name: str, kind: str, request: pytest.FixtureRequest, tmp_path: Any) -> None:
    """Keys of a stored state, and names of searches, become names of objects."""
    stores: dict[str, Any] = {
        "file": lambda: FileStore(tmp_path / "store"),
        "memory": MemoryStore,
        "s3": lambda: S3Store(S3Location.parse(request.getfixturevalue("bucket_url"))),
    }
    store: Store = stores[kind]()
    for attack in (store.get, lambda name: store.put(name, b"x", expected=None), store.delete):
        with pytest.raises(InvalidSpec, match="object name"):
            attack(name)
    assert not list(tmp_path.rglob("*x*"))


@pytest.mark.parametrize(
    "url", ["s3://bucket/a/../b", "s3://bucket/./a", "s3://bucket/a//b", "s3://../a", "s3://b u/a"]
)
def test_no_url_leaves_its_prefix(url: str) -> None:
    with pytest.raises(InvalidSpec):
        S3Location.parse(url)


READERS = {
    "result": (result_name(KEY), lambda store: read_result(store, KEY)),
    "description": ("searches/s/description.json", lambda store: read_description(store, "s")),
    "head": (head_name("s"), lambda store: read_head(store, "s")),
}


@pytest.mark.parametrize("content", [NESTED, b"[" * 100_000, TWINS, b"\xff", b"null", b'"x"', b"{}", b"1e999", b""])
@pytest.mark.parametrize("kind", READERS)
def test_what_is_no_object_of_ours_is_refused_in_one_short_line(kind: str, content: bytes) -> None:
    name, read = READERS[kind]
    store = MemoryStore()
    store.objects[name] = content
    with pytest.raises(CorruptState) as caught:
        read(store)
    assert len(str(caught.value)) < 600
    assert str(caught.value).isprintable()
    assert name in str(caught.value)


def test_a_result_that_says_two_things_is_refused() -> None:
    store = MemoryStore()
    store.objects[result_name(KEY)] = (
        json.dumps(RESULT).replace('"correct": 5', '"correct": 5, "correct": 6').encode()
    )
    with pytest.raises(CorruptState, match="'correct' appears twice"):
        read_result(store, KEY)


@pytest.mark.parametrize("kind", ["result", "description"])
def test_what_a_trainer_writes_is_small(kind: str) -> None:
    name, read = READERS[kind]
    store = MemoryStore()
    store.objects[name] = b" " * 70_000 + b"{}"
    with pytest.raises(CorruptState, match="70,002 bytes, at most 65,536"):
        read(store)


@pytest.mark.parametrize("kind", ["file", "s3"])
def test_an_object_that_would_fill_the_memory_is_not_read(
    kind: str, request: pytest.FixtureRequest, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "OBJECT_LIMIT_BYTES", 1000)
    if kind == "file":
        store: Store = FileStore(tmp_path)
    else:
        from botocore.response import StreamingBody

        store = S3Store(S3Location.parse(request.getfixturevalue("bucket_url")))
        monkeypatch.setattr(StreamingBody, "read", lambda *_: pytest.fail("its body was read"))
    store.put("large", b"x" * 1001, expected=None)
    with pytest.raises(CorruptState, match="large is not an object of rcas: 1,001 bytes, at most 1,000"):
        store.get("large")


DESCRIPTIONS: dict[str, dict[str, Any]] = {
    "many versions": {"versions": {str(number): "1" for number in range(51)}},
    "a long version": {"versions": {"torch": "9" * 201}},
    "a long name": {"versions": {"t" * 101: "9"}},
    "many classes": {"num_classes": 10**16},
    "no classes": {"num_classes": 0},
    "negative images": {"train_images": -1},
    "many GPUs": {"gpus": 10**30},
    "a huge input": {"input": [10**4000, 1, 1]},
    "another hash": {"data_sha256": "D" * 64},
    "a hash with a line feed": {"data_sha256": "d" * 64 + "\n"},
    "more": {"more": 1},
}


@pytest.mark.parametrize("changes", DESCRIPTIONS.values(), ids=DESCRIPTIONS)
def test_a_description_that_no_trainer_writes_fails_its_search_alone(changes: dict[str, Any]) -> None:
    content = json.dumps({**a_description().model_dump(mode="json"), **changes}).encode()
    lab = Lab(lambda order: content if isinstance(order, Inquiry) and "/bad/" in order.answer else honest(order))
    lab.submit("bad", a_search_spec())
    lab.submit("good", a_search_spec())
    lab.run("good")
    assert lab.phase("bad") == "Failed"
    assert "CorruptState: searches/lab/bad/" in lab.why("bad")


RESULTS: dict[str, dict[str, Any]] = {
    "seconds that sum up to no number": {
        "seconds": {"startup": 0, "data": 1e308, "training": 1e308, "validation": 1e308}
    },
    "negative seconds": {"seconds": {"startup": 0, "data": -1, "training": 0, "validation": 0}},
    "more images than there can be": {"total": 10**4000},
    "a negative count": {"correct": -1},
    "more right than there are": {"correct": 1001},
    "no images": {"total": 0, "correct": 0, "correct_top5": 0},
    "a fraction": {"correct": 0.5},
    "the key of another": {"key": "b" * 64},
    "a key that leaves": {"key": "../" + "b" * 61},
    "another network": {"network": "1 / 1,1,1"},
    "a huge network": {"network": "1," * 30_000},
    "a network for terminals": {"network": ESCAPES},
    "another protocol": {"protocol_sha256": "b" * 64},
    "too few epochs": {"epochs": 1},
    "cheaper than it is": {"params": 1},
    "many versions": {"versions": {str(number): "1" for number in range(51)}},
    "a field of its own": {ESCAPES: ESCAPES},
    "another format": {"format": 2},
    "an end before its beginning": {"began": 10.0, "ended": 9.0},
    "a beginning before there were clocks": {"began": -1.0},
    "an end of all times": {"ended": 1e12},
}


@pytest.mark.parametrize("changes", RESULTS.values(), ids=RESULTS)
def test_a_result_that_no_trainer_writes_fails_its_search_alone(changes: dict[str, Any]) -> None:
    def trainer(order: Assignment | Inquiry) -> bytes | None:
        if isinstance(order, Inquiry) or "malicious" not in order.task.protocol.versions:
            return b_description(order) if isinstance(order, Inquiry) else honest(order)
        return json.dumps({**a_result(order.task).model_dump(mode="json"), **changes}).encode()

    def b_description(order: Inquiry) -> bytes:
        versions = {"malicious": "1"} if "/bad/" in order.answer else {"rcas_trainer": "1"}
        return a_description(versions=versions).model_dump_json().encode()

    lab = Lab(trainer)
    lab.submit("bad", a_search_spec())
    lab.submit("good", a_search_spec())
    lab.run("good")
    assert lab.phase("bad") == "Failed"
    assert "CorruptState: results/" in lab.why("bad")
    assert lab.why("bad").isprintable()
    head = lab.store.get(head_name(f"{NAMESPACE}/bad/{lab.search('bad')['metadata']['uid']}"))
    assert head is not None
    assert len(head.data) < 20_000, "nothing of it went into the state"


ATTEMPTS = {
    "a number that is none": "0123456789abcdef-x",
    "no number": "0123456789abcdef",
    "a path to another Job": "0123456789abcdef-1/../other",
    "a path to a pod": "../../../../../api/v1/namespaces/lab/pods/other",
    "a number too large": "0123456789abcdef-" + "9" * 50,
}


@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS)
@pytest.mark.parametrize("outcome", ["Complete", "Failed"])
def test_a_job_that_somebody_else_has_labelled_as_ours_is_not_believed(attempt: str, outcome: str) -> None:
    """Its annotations would become a path at the API server, and a number."""
    lab = Lab()
    lab.submit("victim", a_search_spec(parallelism=1))
    lab.turn(2)
    (ours,) = lab.jobs()
    forged = json.loads(json.dumps(ours))
    metadata = forged["metadata"]
    metadata["name"] = f"{metadata['name'].rpartition('-')[0]}-x" if "/" not in attempt else "forged"
    metadata["annotations"]["rcas.dev/attempt"] = attempt
    forged["status"] = {"conditions": [{"type": outcome, "status": "True", "reason": "x"}]}
    lab.server.add(jobs_path(NAMESPACE), forged)
    other = {"metadata": {"name": "other", "labels": {}}, "spec": {}, "status": {"conditions": []}}
    lab.server.add(jobs_path(NAMESPACE), other)
    for _ in range(3):
        lab.operator.turn()
        lab.clock.now_s += 20
    assert "InternalError" not in lab.why("victim")
    assert "other" in lab.server.all(jobs_path(NAMESPACE))
    names = set(lab.server.all(jobs_path(NAMESPACE)))
    deleted = [path for verb, path in lab.requests if verb == "delete"]
    assert all(path.startswith(f"{jobs_path(NAMESPACE)}/victim-") and ".." not in path for path in deleted), names


KEYS = st.sampled_from(sorted({*Result.model_fields, *Description.model_fields, *Head.model_fields})) | st.text(
    max_size=6
)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, -(10**400), 2**63, -1, 0])
    | st.floats(allow_nan=False)
    | st.text(max_size=20)
    | st.sampled_from([ESCAPES, "\ud800", "x" * 70_000, "0" * 64])
)
TREES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=10
)
RESULT: dict[str, Any] = {
    "key": KEY,
    "network": "1 / 1",
    "protocol_sha256": "b" * 64,
    "correct": 5,
    "correct_top5": 6,
    "total": 10,
    "loss": 1.0,
    "train_loss": 1.0,
    "epochs": 10,
    "diverged": False,
    "seconds": {"startup": 0, "data": 0, "training": 1, "validation": 0},
    "images_per_second": 1.0,
    "device": "x",
    "versions": {"torch": "2"},
    "params": 5,
    "madds": 7,
}


def written(value: Any) -> bytes:
    return json.dumps(value).encode("utf-8", "surrogatepass")


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(RESULT)), TREES)
def test_any_value_in_a_result_is_read_or_corrupt(field: str, value: Any) -> None:
    store = MemoryStore()
    store.objects[result_name(KEY)] = written({**RESULT, field: value})
    line = ""
    try:
        read_result(store, KEY)
    except CorruptState as error:
        line = str(error)
    assert line == "" or (line.isprintable() and len(line) < 600)


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(Description.model_fields)), TREES)
def test_any_description_begins_a_search_or_fails_it(field: str, value: Any) -> None:
    content = written({**a_description().model_dump(mode="json"), field: value})
    lab = Lab(lambda order: content if isinstance(order, Inquiry) else honest(order))
    lab.submit("odd", a_search_spec())
    lab.turn(4)
    assert lab.phase("odd") in {"Running", "Complete", "Failed"}
    assert "InternalError" not in lab.why("odd")
    assert lab.why("odd").isprintable()


@settings(deadline=None, max_examples=200)
@given(st.binary(max_size=200) | TREES.map(written))
def test_any_bytes_as_a_description_fail_the_search_alone(content: bytes) -> None:
    lab = Lab(lambda order: content if isinstance(order, Inquiry) else honest(order))
    lab.submit("odd", a_search_spec())
    lab.turn(4)
    assert lab.phase("odd") == "Failed"
    assert lab.why("odd").startswith("CorruptState: ")


@settings(deadline=None, max_examples=200)
@given(st.data())
def test_any_change_of_a_stored_state_goes_on_or_fails_the_search_alone(data: st.DataObject) -> None:
    """Who writes a state writes the search; but not the controller's end."""
    lab = Lab()
    lab.submit("odd", a_search_spec())
    lab.turn(3)
    (name,) = [name for name in lab.store.names("searches/") if name.endswith("state.json")]
    stored = lab.store.get(name)
    assert stored
    head = json.loads(stored.data)
    places = list(inside(head))
    *path, last = data.draw(st.sampled_from(places))
    node: Any = head
    for part in path:
        node = node[part]
    node[last] = data.draw(TREES)
    lab.store.put(name, written(head), expected=stored.version)
    successor = Lab(store=lab.store)
    successor.server._collections = lab.server._collections
    successor.operator.searches_changed.set()
    for _ in range(2):
        successor.turn()
    assert successor.phase("odd") in {
        "Running",
        "Complete",
        "Failed",
        "LimitReached",
        "Paused",
        "Pending",
        "Cancelled",
    }
    assert "InternalError" not in successor.why("odd"), successor.why("odd")
    assert successor.why("odd").isprintable()


def inside(node: Any, path: tuple[Any, ...] = ()) -> Any:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in entries:
        yield (*path, key)
        yield from inside(value, (*path, key))


def test_a_result_is_written_once_whoever_asks(bucket_url: str) -> None:
    """The controller's own store refuses to replace what it has not read."""
    store = S3Store(S3Location.parse(bucket_url))
    store.put(result_name(KEY), b"first", expected=None)
    with pytest.raises(Conflict):
        store.put(result_name(KEY), b"second", expected=None)
    found = store.get(result_name(KEY))
    assert found
    assert found.data == b"first"
