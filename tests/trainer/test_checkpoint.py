import json
from pathlib import Path

import pytest
import torch

from rcas_trainer import checkpoint
from rcas_trainer.checkpoint import Checkpoint, Unusable
from rcas_trainer.objects import LocalFile

CPU = torch.device("cpu")


@pytest.fixture
def saved(tmp_path: Path) -> Checkpoint:
    found = Checkpoint(LocalFile(tmp_path / "c.pt"), "a" * 64, "b" * 64)
    found.save({"weights": torch.arange(5.0), "progress": {"epoch": 2, "loss_sum": 0.1}})
    return found


def path_of(checkpoint: Checkpoint) -> Path:
    return Path(checkpoint.stored.place)


def test_a_state_comes_back_exactly(saved: Checkpoint) -> None:
    state = saved.load(CPU)
    assert state is not None
    assert torch.equal(state["weights"], torch.arange(5.0))
    assert state["progress"] == {"epoch": 2, "loss_sum": 0.1}


def test_none_there_is_no_state_and_no_noise(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert Checkpoint(LocalFile(tmp_path / "none.pt"), "a" * 64, "b" * 64).load(CPU) is None
    assert capsys.readouterr().err == ""


def spoil(path: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = path.read_bytes()
    header, _, payload = content.partition(b"\n")
    match how:
        case "empty":
            path.write_bytes(b"")
        case "truncated":
            path.write_bytes(content[:-100])
        case "only the header":
            path.write_bytes(header)
        case "one bit":
            path.write_bytes(content[:-200] + bytes([content[-200] ^ 1]) + content[-199:])
        case "another program's":
            path.write_bytes(payload)
        case "not even an object":
            path.write_bytes(b"[1]\n" + payload)
        case "another format":
            monkeypatch.setattr(checkpoint, "FORMAT", 2)
        case "a pickle that runs code":
            import hashlib
            import pickle

            evil = pickle.dumps(print, protocol=2)
            fields = json.loads(header) | {"sha256": hashlib.sha256(evil).hexdigest()}
            path.write_bytes(json.dumps(fields).encode() + b"\n" + evil)
        case "a folder":
            path.unlink()
            path.mkdir()


@pytest.mark.parametrize(
    "how",
    [
        "empty",
        "truncated",
        "only the header",
        "one bit",
        "another program's",
        "not even an object",
        "another format",
        "a pickle that runs code",
        "a folder",
    ],
)
def test_a_spoilt_checkpoint_is_not_used(saved: Checkpoint, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(path_of(saved), how, monkeypatch)
    with pytest.raises(Unusable) as caught:
        saved.load(CPU)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("other", [("c" * 64, "b" * 64), ("a" * 64, "c" * 64)], ids=["key", "protocol"])
def test_another_evaluations_checkpoint_is_not_used(saved: Checkpoint, other: tuple[str, str]) -> None:
    with pytest.raises(Unusable, match="wanted"):
        Checkpoint(saved.stored, *other).load(CPU)
    assert saved.load(CPU) is not None
