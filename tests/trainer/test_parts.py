"""The parts that are timed are the parts of the networks that the trainer builds."""

from __future__ import annotations

import pytest
import torch

from rcas.costs import Cost
from rcas.errors import InvalidSpec
from rcas.latency import latency_of_network, parts_of, parts_of_network
from rcas.messages import PartsQuestion
from rcas.space import Head, Space, Stage, Stem
from rcas_trainer.model import build, count
from rcas_trainer.parts import alone, time_parts

SPACE = Space(
    (3, 9, 9),
    4,
    (Stage(8, 3, start=(5,)), Stage(24, 2), Stage(16, 3, stride=2, start=(1,))),
    stem=Stem(8, 1, 8),
    head=Head(16),
)
ALL_TYPES = "5,1,2 / 3,4 / 1,6,5"


def test_the_parts_of_a_network_cost_together_what_it_costs() -> None:
    network = SPACE.network(ALL_TYPES)
    modules = [alone(SPACE, part, "relu6") for part in parts_of_network(SPACE, network)]
    found = sum((count(module, shape) for module, shape in modules), Cost(0, 0))
    assert found == count(build(SPACE, network), SPACE.input) == SPACE.cost(network)


def test_the_parts_in_a_row_compute_what_the_network_computes() -> None:
    network, images = SPACE.network(ALL_TYPES), torch.rand(2, 3, 9, 9)
    whole = build(SPACE, network, "relu").eval()
    values = iter(list(whole.state_dict().values()))
    found = images
    for part in parts_of_network(SPACE, network):
        module, shape = alone(SPACE, part, "relu")
        assert found.shape[1:] == shape
        module.load_state_dict({name: next(values) for name in module.state_dict()})
        found = module.eval()(found)
    assert torch.equal(found, whole(images))


def test_every_part_and_network_is_timed() -> None:
    rounds = list[int]()
    asked = PartsQuestion(space=SPACE, threads=1, batch=2, runs=3, warm_up=1, networks=(ALL_TYPES, "5 / - / 1"))
    answer = time_parts(asked, rounds.append)
    assert rounds == [1, 2, 3]
    assert (answer.table.batch, answer.table.threads, answer.table.runs) == (2, 1, 3)
    assert tuple(answer.table.ns) == parts_of(SPACE)
    assert list(answer.table.ns.values()) == [timing.median_ns for timing in answer.parts]
    assert min(answer.table.ns.values()) > 0
    assert len(answer.networks) == 2
    assert latency_of_network(answer.table, SPACE, SPACE.network(ALL_TYPES)) > 0


def test_a_network_of_another_space_is_refused() -> None:
    with pytest.raises(InvalidSpec, match="3 stages"):
        time_parts(PartsQuestion(space=SPACE, networks=("5 / 5",)), lambda _: None)
