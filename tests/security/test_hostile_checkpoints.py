"""Checkpoints as a fault or a thief leaves them, in files and in S3: the training starts again, and counts it."""

from __future__ import annotations

import hashlib
import io
import json
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from rcas.errors import CorruptState
from rcas.evaluation import RESULT_LIMIT_BYTES, Result
from rcas_trainer.errors import Interrupted
from rcas_trainer.evaluate import evaluate
from rcas_trainer.objects import StoredObject, stored_object
from trainer.builders import a_task, an_assignment, measured

TASK = a_task(epochs=2, batch_size=128)
ran: list[str] = []


def record(what: str) -> str:
    """What a malicious pickle calls."""
    ran.append(what)
    return what


class Evil:
    def __reduce__(self) -> Any:
        return record, ("code of a checkpoint",)


@pytest.fixture(params=["file", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return str(tmp_path) if request.param == "file" else request.getfixturevalue("bucket_url")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Result:
    return run(str(tmp_path_factory.mktemp("undisturbed")))


def run(place: str, stop: Callable[[], bool] = lambda: False) -> Result:
    return evaluate(an_assignment(TASK, place), stop=stop, report=lambda _event: None, startup_s=0.0)


@pytest.fixture
def left(place: str) -> StoredObject:
    """The checkpoint of a training that was stopped in its second epoch."""
    asked = iter(range(100))
    with pytest.raises(Interrupted):
        run(place, lambda: next(asked) == 18)
    return stored_object(f"{place}/a.pt", "checkpoint")


def content(stored: StoredObject) -> tuple[dict[str, Any], bytes]:
    """Header and payload of a checkpoint."""
    found = stored.read()
    assert found
    line, _, payload = found.partition(b"\n")
    return json.loads(line), payload


def packed(header: dict[str, Any], payload: bytes, **changes: Any) -> bytes:
    """With a checksum that is right."""
    fields = {**header, "sha256": hashlib.sha256(payload).hexdigest(), **changes}
    return json.dumps(fields).encode() + b"\n" + payload


def saved(state: Any) -> bytes:
    written = io.BytesIO()
    torch.save(state, written)
    return written.getvalue()


def repacked(payload: bytes, changes: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of torch's with members replaced or added."""
    written = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(payload)) as old, zipfile.ZipFile(written, "w", compression) as new:
        folder = old.namelist()[0].partition("/")[0]
        for name in old.namelist():
            new.writestr(name, changes.get(name.partition("/")[2], old.read(name)))
        for name in changes:
            if f"{folder}/{name}" not in old.namelist():
                new.writestr(f"{folder}/{name}", changes[name])
    return written.getvalue()


def with_state(edit: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any], bytes], bytes]:
    """The checkpoint with its state edited, as one who holds the credential can write it."""

    def spoil(header: dict[str, Any], payload: bytes) -> bytes:
        state = torch.load(io.BytesIO(payload), weights_only=True)
        edited = edit(state)
        return packed(header, saved(state if edited is None else edited))

    return spoil


def progress(**changes: Any) -> Callable[[dict[str, Any], bytes], bytes]:
    return with_state(lambda state: state["progress"].update(changes))


def whole(header: dict[str, Any], payload: bytes) -> bytes:
    return json.dumps(header).encode() + b"\n" + payload


def other_state(payload: bytes) -> bytes:
    state = torch.load(io.BytesIO(payload), weights_only=True)
    state["progress"]["epoch"] = 0
    return saved(state)


SAYS = {
    "half of one write and half of another": "its checksum is wrong",
    "a file that is too large": "bytes, at most",
    "an archive that unpacks to gigabytes": "it unpacks to",
    "a pickle that runs code": "not a zip file",
    "another evaluation's": "its key is",
    "another protocol's": "its protocol_sha256 is",
    "another format": "its format is 99",
}
"""Where several guards would refuse it, the first one does."""
SPOILT: dict[str, Callable[[dict[str, Any], bytes], bytes]] = {
    "empty": lambda _header, _payload: b"",
    "truncated": lambda header, payload: whole(header, payload[:-100]),
    "torn in the header": lambda header, payload: whole(header, payload)[:40],
    "one bit": lambda header, payload: whole(header, payload[:500] + bytes([payload[500] ^ 1]) + payload[501:]),
    "half of one write and half of another": lambda header, payload: whole(header, other_state(payload)),
    "another format": lambda header, payload: packed(header, payload, format=99),
    "another evaluation's": lambda header, payload: packed(header, payload, key="c" * 64),
    "another protocol's": lambda header, payload: packed(header, payload, protocol_sha256="c" * 64),
    "a header nested deep": lambda _header, payload: b"[" * 100_000 + b"\n" + payload,
    "a header that is huge": lambda header, payload: packed(header, payload, key="c" * 1_000_000),
    "no archive": lambda header, _payload: packed(header, b"x" * 1000),
    "a pickle that runs code": lambda header, _payload: packed(header, pickle.dumps(Evil())),
    "an archive with a pickle that runs code": lambda header, payload: packed(
        header, repacked(payload, {"data.pkl": pickle.dumps(Evil(), protocol=2)})
    ),
    "a class that torch does not allow": lambda header, payload: packed(
        header, repacked(payload, {"data.pkl": pickle.dumps(Path("/"), protocol=2)})
    ),
    "an archive without its tensors": lambda header, payload: packed(header, repacked(payload, {"data/0": b""})),
    "a file that is too large": lambda header, payload: packed(header, payload + b"\0" * 20_000_000),
    "an archive that unpacks to gigabytes": lambda header, payload: packed(
        header, repacked(payload, {"data/bomb": b"\0" * 100_000_000}, zipfile.ZIP_DEFLATED)
    ),
    "no state": with_state(lambda _state: [1, 2]),
    "a part of a state": with_state(lambda state: {"module": state["module"]}),
    "weights of another network": with_state(
        lambda state: state["module"].update({name: torch.zeros(3, 3) for name in list(state["module"])[:1]})
    ),
    "fewer velocities": with_state(lambda state: state.update(velocities=state["velocities"][1:])),
    "velocities of another form": with_state(lambda state: state["velocities"].__setitem__(0, torch.zeros(7, 5))),
    "further than the end": progress(epoch=99),
    "before the beginning": progress(epoch=-1),
    "a batch that is no number": progress(batch="1"),
    "resumed too often": progress(resumed=10**30),
    "truth for a number": progress(epoch=True),
    "time that never ends": progress(seconds={"data": 0.0, "training": math.inf, "validation": 0.0}),
    "negative time": progress(seconds={"data": 0.0, "training": -1.0, "validation": 0.0}),
    "other activities": progress(seconds={"sleep": 0.0}),
    "more fields": progress(extra=1),
    "diverged in words": progress(diverged="no"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_a_spoilt_checkpoint_starts_the_training_again(
    left: StoredObject, place: str, undisturbed: Result, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    spoilt = SPOILT[how](*content(left))
    left.replace(spoilt)
    capsys.readouterr()
    result = run(place)
    told = [line for line in capsys.readouterr().err.splitlines() if "checkpoint" in line]
    assert len(told) == 1
    assert f"checkpoint {left.place} is not used, training starts again: " in told[0]
    assert SAYS.get(how, "") in told[0]
    assert len(told[0]) < 600
    assert (result.resumed, result.restarted) == (0, 1)
    assert measured(result) == measured(undisturbed)
    assert left.read() is None
    assert not ran


def test_a_whole_checkpoint_is_gone_on_from_and_remembers_that_it_began_anew(
    left: StoredObject, place: str, undisturbed: Result
) -> None:
    left.replace(b"torn")
    asked = iter(range(100))
    with pytest.raises(Interrupted):
        run(place, lambda: next(asked) == 18)
    result = run(place)
    assert (result.resumed, result.restarted) == (1, 1)
    assert measured(result) == measured(undisturbed)


def test_weights_that_are_no_numbers_make_a_training_that_diverged(left: StoredObject, place: str) -> None:
    """Who may write checkpoints can change what comes of trainings under way, and no guard of ours can see it."""

    def poison(state: dict[str, Any]) -> None:
        for tensor in state["module"].values():
            if tensor.is_floating_point():
                tensor.fill_(math.nan)

    left.replace(with_state(poison)(*content(left)))
    assert run(place).diverged


def test_an_object_in_the_results_place_that_is_too_large_is_not_read(place: str) -> None:
    stored_object(f"{place}/a.json", "result").replace(b" " * (RESULT_LIMIT_BYTES + 1))
    with pytest.raises(CorruptState, match="not a readable result"):
        run(place)
