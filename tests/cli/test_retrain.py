"""`rcasctl retrain`: the plan, the table, more seeds later, another skeleton, and what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rcas.controller.step import new_state
from rcas.evaluation import Protocol
from rcas.spec import parse_spec
from rcas.state import Ledger, read_final, read_finals, read_weights
from rcas.stores.file import FileStore
from rcas.stores.opening import open_store

from .conftest import SPEC, rcasctl, refused

ONTO = """
name: wide
space:
  skeleton: custom
  classes: 10
  input: [1, 8, 8]
  stem: {channels: 8, block_channels: 4}
  stages:
    - {channels: 8, positions: 2, start: [1]}
    - {channels: 16, positions: 2, stride: 2, start: [1]}
  head: {channels: 16}
budget: {params: 20k}
data: {dataset: digits}
training: {batch_size: 50, pad: 0, flip: false}
"""
QUICK = ("--network", "1,5 / 1", "--epochs", 2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a search in its store that has measured nothing."""
    spec = parse_spec(SPEC)
    protocol = Protocol(
        draw=spec.data.draw(), training=spec.training, data_sha256="0" * 64, device="cpu", threads=1, versions={}
    )
    Ledger(FileStore(tmp_path / "rcas-store"), "tiny", "test").create(new_state(spec, protocol, 0))
    (tmp_path / "wide.yaml").write_text(ONTO)
    return tmp_path


def final_of(output: str) -> dict:
    found = [json.loads(line) for line in output.splitlines()]
    assert found[-1]["event"] == "final"
    return found[-1]


def test_the_plan_comes_first_and_more_seeds_train_only_what_is_missing(folder):
    done = rcasctl("retrain", "tiny", *QUICK, "--seeds", 1, cwd=folder)
    assert done.returncode == 0, done.stderr
    plan, _, table = done.stdout.partition("Search tiny:")
    assert "1,497 of digits to train, all validation images among them; 300 test images to measure, once" in plan
    assert "2 epochs, batches of 32, learning rate 0.1, times 0.1 after 1" in plan
    assert "One seed says nothing about the spread" in table
    assert "seed 0: epoch 1 of 2" in done.stderr
    store = FileStore(folder / "rcas-store")
    first = {path: path.read_bytes() for path in store.path("finals").iterdir()}

    final = final_of(rcasctl("retrain", "tiny", *QUICK, "--seeds", 2, "--json", cwd=folder).stdout)
    assert {path: path.read_bytes() for path in first} == first
    index = read_finals(store, "tiny")
    assert index is not None
    assert [(one.of, one.seeds, one.network) for one in index.finals] == [("given", 2, "1,5 / 1")]
    assert final["keys"] == list(index.finals[0].keys)
    results = [read_final(store, key) for key in final["keys"]]
    assert final["top1"]["mean"] == pytest.approx(sum(r.correct / r.total for r in results if r) / 2)
    assert final["top1"]["seeds"] == 2
    assert all(read_weights(store, result) for result in results if result)
    assert final["search_accuracy"] is None, "the search has not measured it"


def test_stages_are_put_onto_the_skeleton_and_the_training_of_another_spec(folder):
    given = ("--onto", "wide.yaml", "--seeds", 1, "--train-per-class", 20)
    final = final_of(rcasctl("retrain", "tiny", *QUICK, *given, "--json", cwd=folder).stdout)
    index = read_finals(FileStore(folder / "rcas-store"), "tiny")
    assert index is not None
    (one,) = index.finals
    assert (final["onto"], one.onto, one.space.stages[0].channels) == ("wide", "wide", 8)
    assert (one.protocol.training.batch_size, one.protocol.training.pad) == (50, 0)
    result = read_final(FileStore(folder / "rcas-store"), one.keys[0])
    assert result is not None
    assert (result.train_images, result.total) == (200, 300)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "search: got 'one that is not done', allowed: one that is done, or a network by name"),
        (("--network", "5"), "network: got '5', allowed: 2 stages such as 5,1 / 5,1"),
        (("--network", "1 / 1", "--epochs", 0), "training.epochs: got '0', allowed: greater than or equal to 1"),
        (("--network", "1 / 1", "--milestones", "1,x"), "training.milestones[1]: got 'x', allowed: "),
        (("--network", "1 / 1", "--onto", "imagenet"), "--data: got 'nothing', allowed: the folder of the data"),
        (("--network", "1 / 1", "--dataset", "cats"), "dataset: got 'cats', allowed: 'cifar10'"),
        (("--network", "1 / 1", "--device", "cuda"), "device: got 'cuda', allowed: cpu or auto"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line_and_leaves_nothing(folder, options, words):
    assert words in refused("retrain", "tiny", *options, cwd=folder)
    assert not (folder / "rcas-store/finals").exists()
    assert not (folder / "rcas-store/searches/tiny/finals.json").exists()


def test_fields_of_a_file_are_overridden_by_options(folder):
    (folder / "final.yaml").write_text("{epochs: 9, lr: 0.02, milestones: [1]}")
    (folder / "bad.yaml").write_text("{epoch: 9}")
    given = ("--network", "1 / 1", "--seeds", 1, "--protocol")
    assert "training.epoch: got 'an unknown field'" in refused("retrain", "tiny", *given, "bad.yaml", cwd=folder)
    done = rcasctl("retrain", "tiny", *given, "final.yaml", "--epochs", 1, "--json", cwd=folder)
    assert done.returncode == 0, done.stderr
    index = read_finals(FileStore(folder / "rcas-store"), "tiny")
    assert index is not None
    training = index.finals[0].protocol.training
    assert (training.epochs, training.lr, training.milestones) == (1, 0.02, (1,))


def test_a_store_on_s3_gets_weights_results_and_index(folder: Path, bucket_url: str):
    there = open_store(bucket_url)
    head = (folder / "rcas-store/searches/tiny/state.json").read_bytes()
    there.put("searches/tiny/state.json", head, expected=None)
    style = {"RCAS_S3_ADDRESSING_STYLE": os.environ["RCAS_S3_ADDRESSING_STYLE"]}
    done = rcasctl("retrain", "tiny", *QUICK, "--seeds", 1, "--json", "--store", bucket_url, cwd=folder, **style)
    assert done.returncode == 0, done.stderr
    (key,) = final_of(done.stdout)["keys"]
    result = read_final(there, key)
    assert result is not None
    assert read_weights(there, result)
    assert there.names("finals/") == [f"finals/{key}.json", f"finals/{key}.safetensors"]
    assert read_finals(there, "tiny") is not None
    assert not (folder / "rcas-store/finals").exists()


def test_a_result_whose_weights_are_others_is_no_result(folder):
    assert rcasctl("retrain", "tiny", *QUICK, "--seeds", 1, cwd=folder).returncode == 0
    (weights,) = (folder / "rcas-store/finals").glob("*.safetensors")
    weights.write_bytes(b"something else")
    done = rcasctl("retrain", "tiny", *QUICK, "--seeds", 1, cwd=folder)
    assert done.returncode == 1
    assert "its checksum is another" in done.stderr
