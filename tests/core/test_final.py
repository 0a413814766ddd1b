"""Final trainings: whose key they have, the paper's schedules, the index, the spread."""

from __future__ import annotations

from fractions import Fraction

import pytest
from pydantic import ValidationError

from rcas.evaluation import Protocol, Training, evaluation_key
from rcas.final import Final, FinalDraw, FinalProtocol, Finals, FinalTask, final_training, spread
from rcas.space import Space

HASH = "a" * 64
NETWORK = "5,1 / 5 / 5 / - / 5 / -"


def a_final(seeds: int = 2, **changes) -> Final:
    training = changes.pop("training", Training())
    draw = FinalDraw(dataset="cifar100", held_out="test")
    protocol = FinalProtocol(
        draw=draw, training=training, data_sha256=HASH, test_sha256=HASH, device="cpu", threads=1, versions={}
    )
    fields = {"of": "best", "space": Space.cifar(), "network": NETWORK, "protocol": protocol, "seeds": seeds}
    return Final(**(fields | changes))


def test_a_key_stands_for_layers_protocol_and_seed():
    final = a_final(seeds=3)
    assert len({*final.keys, *a_final(training=Training(epochs=11)).keys}) == 5
    assert a_final(seeds=1).keys == final.keys[:1]
    wider = Space.cifar(block_types=(1, 5))
    assert a_final(space=wider, of="given").keys == final.keys[:2], "the same layers, found in another space"


def test_a_final_is_never_taken_for_an_evaluation_of_a_search():
    final = a_final()
    common = {"data_sha256": HASH, "device": "cpu", "threads": 1, "versions": {}}
    searched = Protocol(draw={"dataset": "cifar100"}, training=Training(), **common)
    space = final.space
    assert evaluation_key(space, space.network(NETWORK), searched.sha256) not in final.keys


def test_a_task_with_another_key_is_refused():
    task = a_final().task(1)
    assert (task.key, task.replicate) == (a_final().keys[1], 1)
    with pytest.raises(ValidationError, match="the key is not the hash"):
        FinalTask.model_validate(task.model_dump() | {"replicate": 0})


@pytest.mark.parametrize(
    ("skeleton", "given", "expected"),
    [
        ("cifar", {}, (200, 0.1, (60, 120, 180))),
        ("imagenet", {}, (400, 0.01, (200, 300))),
        ("custom", {}, (200, 0.05, (60, 120, 180))),
        ("cifar", {"epochs": 10}, (10, 0.1, (3, 6, 9))),
        ("imagenet", {"epochs": 8, "lr": 0.2}, (8, 0.2, (4, 6))),
        ("cifar", {"epochs": 2}, (2, 0.1, (1,))),
        ("cifar", {"epochs": 1}, (1, 0.1, ())),
        ("cifar", {"epochs": 10, "milestones": (5,)}, (10, 0.1, (5,))),
    ],
)
def test_the_papers_schedule_for_the_skeleton(skeleton, given, expected):
    base = Training(lr=0.05, pad=2, flip=False, batch_size=64, milestones=(4,), activation="relu")
    training = final_training(skeleton, base, given)
    assert (training.epochs, training.lr, training.milestones) == expected
    kept = (training.pad, training.flip, training.batch_size, training.activation)
    assert kept == (2, False, 64, "relu"), "what belongs to the data and the network stays"


def test_the_index_keeps_the_order_and_only_adds_seeds():
    first, other = a_final(seeds=2), a_final(of="given")
    index = Finals(search="s", writer="w").with_final(first).with_final(other)
    assert index.with_final(first) == index
    moved = first.model_copy(update={"seeds": 4, "source": {"path": "/elsewhere"}})
    assert [one.seeds for one in index.with_final(moved).finals] == [4, 2]
    fewer = index.with_final(moved).with_final(first.model_copy(update={"seeds": 1}))
    assert [one.seeds for one in fewer.finals] == [4, 2]


def test_the_spread_is_that_of_a_sample():
    found = spread([Fraction(1, 2), Fraction(3, 4)])
    assert (found.mean, found.seeds) == (Fraction(5, 8), 2)
    assert found.deviation == pytest.approx(0.1767767)
    assert spread([Fraction(1, 2)]).deviation is None
