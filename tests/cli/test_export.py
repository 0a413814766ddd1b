"""`rcasctl export` and `rcasctl latency network` on a search that was retrained."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any, cast

import pytest
from safetensors.torch import load_file

from cli.conftest import Finished, rcasctl, refused
from rcas.architecture import Architecture
from rcas.cli.export import choose
from rcas.cli.places import ClusterPlace
from rcas.errors import InvalidSpec
from rcas.final import Final, FinalDraw, FinalProtocol, FinalResult, Finals
from rcas.resource import Resource
from rcas.search import Search
from rcas.state import final_name, finals_name, read_head, read_result, weights_name
from rcas.stores.file import FileStore
from trainer.builders import write_weights

IN_A_CLUSTER = "research/tiny/0a1b2c3d-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def retrained(finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished search with three final trainings, of which seed 1 is the best and seed 2 not done yet."""
    folder = finished.copy(tmp_path_factory.mktemp("retrained"))
    store = FileStore(folder / "rcas-store")
    head = read_head(store, "tiny")
    assert head
    search = Search.from_snapshot(head.state.search)
    best, protocol = search.result.best, head.state.protocol
    assert best
    final = Final(
        of="best",
        space=search.problem.space,
        network=str(best.network),
        protocol=FinalProtocol(
            draw=FinalDraw(dataset="digits", held_out="test"),
            test_sha256="1" * 64,
            **protocol.model_dump(exclude={"draw"}),
        ),
        seeds=3,
    )
    measured = read_result(store, next(path.stem for path in (folder / "rcas-store/results").iterdir()))
    assert measured
    for seed, correct in ((0, 700), (1, 720)):
        path = folder / f"{seed}.safetensors"
        write_weights(
            path, Architecture(space=final.space, network=final.network, activation="relu6", mean=(0.3,)), seed=seed
        )
        told = measured.model_dump() | {
            "key": final.key(seed),
            "network": final.network,
            "protocol_sha256": final.protocol.sha256,
            "replicate": seed,
            "correct": correct,
            "correct_top5": 790,
            "total": 800,
            "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "train_images": 997,
        }
        store.put(weights_name(final.key(seed)), path.read_bytes(), expected=None)
        content = FinalResult.model_validate(told).model_dump_json().encode()
        store.put(final_name(final.key(seed)), content, expected=None)
    index = Finals(search="tiny", writer="w", finals=(final,))
    store.put(finals_name("tiny"), index.model_dump_json().encode(), expected=None)
    return folder


def test_the_best_seed_is_exported_with_a_card(retrained: Path, tmp_path: Path) -> None:
    store = str(retrained / "rcas-store")
    done = rcasctl("export", "tiny", "--format", "python", "--store", store, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-model"]
    folder = tmp_path / "tiny-model"
    assert {path.name for path in folder.iterdir()} == {"model.safetensors", "model.py", "README.md"}
    assert "tiny-model/model.py" in done.stdout
    found, wanted = load_file(folder / "model.safetensors"), load_file(retrained / "1.safetensors")
    assert found.keys() == wanted.keys()
    assert all(found[name].equal(wanted[name]) for name in wanted)
    card = (folder / "README.md").read_text()
    line = "This network has 90.00% on the 800 test images (seed 1); over 2 seeds the mean is 88.75%"
    assert line in card
    assert "The search saw " in card
    assert line in (folder / "model.py").read_text()
    for path in (folder / "model.safetensors", folder / "model.py"):
        assert hashlib.sha256(path.read_bytes()).hexdigest() in card
    # Not a second time into the same folder.
    assert "--force" in refused("export", "tiny", "--store", store, cwd=tmp_path)


def test_a_given_seed_is_exported_by_the_name_that_a_search_has_in_a_clusters_bucket(
    retrained: Path, tmp_path: Path
) -> None:
    store, folder = FileStore(tmp_path / "bucket"), retrained / "rcas-store"
    for path in folder.glob("finals/*"):
        store.put(path.relative_to(folder).as_posix(), path.read_bytes(), expected=None)
    for name in ("state.json", "finals.json"):
        told = json.loads((folder / "searches/tiny" / name).read_bytes())
        told["search" if name == "finals.json" else "name"] = IN_A_CLUSTER
        store.put(f"searches/{IN_A_CLUSTER}/{name}", json.dumps(told).encode(), expected=None)
    command = ("export", IN_A_CLUSTER, "--format", "safetensors", "--seed", "0", "--store", "bucket", "--json")
    done = rcasctl(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    [file] = json.loads(done.stdout)["files"]
    assert (file["name"], file["difference"]) == ("model.safetensors", 0)
    found, wanted = load_file(tmp_path / "tiny-model/model.safetensors"), load_file(retrained / "0.safetensors")
    assert all(found[name].equal(wanted[name]) for name in wanted)


def test_what_cannot_be_exported_is_one_line_and_leaves_nothing(
    finished: Finished, retrained: Path, tmp_path: Path
) -> None:
    def line(*arguments: object, folder: Path = retrained, code: int = 2) -> str:
        return refused("export", *arguments, "--store", str(folder / "rcas-store"), cwd=tmp_path, code=code)

    assert line("tiny", folder=finished.folder).endswith("one that was retrained; first: rcasctl retrain tiny")
    assert line("tiny", "--seed", "2").endswith("best, or a seed whose training is finished: 0, 1")
    assert line("tiny", "--final", "2").startswith("--final: got '2', allowed: 1 (best: ")
    assert "rcas-store: tiny" in line("tinny")
    assert line("no.safetensors").startswith("weights: got ")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_are_not_those_of_the_result_are_refused(retrained: Path, tmp_path: Path) -> None:
    shutil.copytree(retrained, tmp_path / "copy")
    folder = tmp_path / "copy/rcas-store"
    [best] = [path for path in folder.glob("finals/*.json") if json.loads(path.read_bytes())["correct"] == 720]
    best.with_suffix(".safetensors").write_bytes((retrained / "0.safetensors").read_bytes())
    assert "checksum" in refused("export", "tiny", "--store", folder, cwd=tmp_path, code=1)
    best.unlink()
    [other] = list(folder.glob("finals/*.json"))
    other.unlink()
    assert refused("export", "tiny", "--store", folder, cwd=tmp_path).endswith("rcasctl retrain tiny")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


class Remote:
    """A cluster with one search and a controller that says where its bucket is."""

    def open(self) -> Remote:
        return self

    def search(self, name: str) -> Resource:
        return Resource({"metadata": {"name": name, "namespace": "research", "uid": "u-1"}})

    def controller_config(self) -> str:
        return "store: s3://bucket/rcas\n"


def test_for_a_search_in_a_cluster_the_command_with_its_bucket_is_told(tmp_path: Path) -> None:
    place = ClusterPlace(cast(Any, Remote()))
    with pytest.raises(InvalidSpec, match=r": rcasctl export research/tiny/u-1 --store s3://bucket/rcas$"):
        choose("tiny", place, None, "best", tmp_path)


def test_networks_are_timed_side_by_side(retrained: Path) -> None:
    sources = ("tiny", "1.safetensors", "--network", "1 / 1,5", "--space", "tiny.yaml")
    done = rcasctl("latency", "network", *sources, "--runs", "3", "--batch", "2", "--json", cwd=retrained)
    assert (done.returncode, done.stderr) == (0, "")
    timed = json.loads(done.stdout)["timed"]
    assert timed[0]["name"] == "1 / 1,5"
    assert timed[2]["name"] == "1.safetensors"
    assert timed[2]["size_bytes"] == (retrained / "1.safetensors").stat().st_size
    assert {one["runtime"] for one in timed} == {"torch"}
    for one in timed:
        times = one["times"]
        assert times["runs"] == 3
        assert 0 < times["fastest_ns"] <= times["median_ns"] <= times["upper_quartile_ns"] <= times["slowest_ns"]


def test_what_cannot_be_timed_is_one_line(retrained: Path) -> None:
    def line(*arguments: object) -> str:
        return refused("latency", "network", *arguments, cwd=retrained)

    assert line().startswith("network: got 'nothing', allowed: a search, a file")
    assert line("--network", "1 / 1").startswith("--space: got 'nothing'")
    assert line("other").startswith("search: got 'other'")
    assert line("no.onnx").startswith("file: got 'no.onnx', allowed: a readable file")
