"""The identity of an evaluation: what shares a training and what never may."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core import builders
from rcas import Head, Network, Space, Stage, Stem
from rcas.evaluation import Draw, Protocol, Training, evaluation_key

SPACE = builders.small_space()
NETWORK = SPACE.network("5,3 / 1,5")

PROTOCOL = Protocol(
    draw=Draw(dataset="cifar100"),
    training=Training(),
    data_sha256="0" * 64,
    device="cpu",
    threads=1,
    versions={"torch": "2.6.0"},
)


def key(space: Space = SPACE, network: Network = NETWORK, protocol: str = "p", replicate: int = 0) -> str:
    return evaluation_key(space, network, protocol, replicate)


def test_keys_do_not_drift():
    # A changed value orphans every stored result: change the format of the results with it, not this line.
    paper = Space.cifar(100)
    rcnet = paper.network("5,3,1,1 / 5,2,3,3,5 / 5,3,3,6 / 1,6,4,6 / 5,4,6,4,1 / -")
    assert (
        evaluation_key(paper, rcnet, PROTOCOL.sha256, 0)
        == "de9e73f767b64f45658fb9d581b74eb8d03ed87cd025e42899e5c1cdba1cd999"
    )
    assert PROTOCOL.sha256 == "751154ae7d3a2b7abb849a0acd35aaac9ba840c4ff1c0f9d035608475cffbcbd"


@pytest.mark.parametrize(
    "other",
    [
        builders.small_space(Stage(8, 9, start=(5,)), Stage(16, 2, stride=2, start=(1,))),
        builders.small_space(types=(1, 2, 3, 4, 5, 6)),
        builders.small_space(Stage(8, 3, start=(5, 3)), Stage(16, 3, stride=2, start=(1, 5))),
    ],
    ids=["positions", "types", "start"],
)
def test_the_same_layers_have_the_same_key_in_any_space(other):
    assert key(other, other.network(str(NETWORK))) == key()


def test_an_empty_stage_leaves_no_trace():
    wider = builders.small_space(*SPACE.stages, Stage(32, 2))
    assert key(wider, wider.network(f"{NETWORK} / -")) == key()


@pytest.mark.parametrize(
    "change",
    [
        {"protocol": "q"},
        {"replicate": 1},
        {"network": SPACE.network("3,5 / 1,5")},
        {"network": SPACE.network("5,3 / 5,1")},
        {"network": SPACE.network("5 / 1,5")},
        {"network": SPACE.network("5,3,3 / 1,5")},
        {"space": replace(SPACE, num_classes=5)},
        {"space": replace(SPACE, head=Head(32))},
        {"space": replace(SPACE, stem=Stem(8, 2, 8))},
        {"space": replace(SPACE, stem=Stem(16, 1, 8))},
        {"space": replace(SPACE, stem=Stem(8, 1, 16))},
        {"space": replace(SPACE, input=(3, 8, 8))},
        {"space": replace(SPACE, input=(1, 9, 8))},
        {"space": replace(SPACE, input=(1, 8, 9))},
        {"space": replace(SPACE, stages=(SPACE.stages[0], Stage(24, 3, stride=2, start=(1,))))},
        {"space": replace(SPACE, stages=(SPACE.stages[0], Stage(16, 3, stride=1, start=(1,))))},
    ],
)
def test_whatever_changes_the_training_changes_the_key(change):
    assert key(**change) != key()


def leaves(model: dict, path: tuple = ()) -> list[tuple]:
    return [p for k, v in model.items() for p in (leaves(v, (*path, k)) if isinstance(v, dict) else [(*path, k)])]


CHANGES = {
    "dataset": "cifar10",
    "train_per_class": 7,
    "nesterov": False,
    "draw_seed": 3,
    "seed": 3,
    "threads": 3,
    "momentum": 0.5,
    "gamma": 0.5,
    "milestones": [1],
    "flip": False,
    "mean_subtraction": False,
    "activation": "relu",
    "precision": "bfloat16",
    "data_sha256": "1" * 64,
    "device": "cuda",
    "torch": "2.7.0",
}


@pytest.mark.parametrize("path", leaves(PROTOCOL.model_dump(mode="json")), ids=".".join)
def test_every_field_of_the_protocol_is_part_of_its_hash(path):
    changed = PROTOCOL.model_dump(mode="json")
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    name = path[-1]
    holder[name] = CHANGES[name] if name in CHANGES else 2 * holder[name]
    assert Protocol.model_validate(changed).sha256 != PROTOCOL.sha256


def test_every_network_of_a_small_space_has_a_key_of_its_own():
    space = builders.small_space(Stage(8, 3), Stage(16, 2, stride=2, start=(1,)), Stage(24, 2), types=(1, 3))
    found = {space.start}
    for _ in range(7):
        found |= {
            grown
            for network in found
            for stage, blocks in enumerate(network.stages)
            if len(blocks) < space.stages[stage].positions
            for block in (1, 3)
            for grown in [network.insert(stage, len(blocks), block)]
        }
    assert len(found) == 15 * 3 * 7
    assert len({key(space, network) for network in found}) == len(found)
