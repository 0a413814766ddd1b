from typing import Any

import pytest
import torch
from torch import nn

from rcas.evaluation import Training
from rcas_trainer.sgd import Descent


@pytest.mark.parametrize(
    "recipe",
    [{}, {"nesterov": False}, {"nesterov": False, "momentum": 0.0}, {"weight_decay": 0.0}],
    ids=["paper", "heavy ball", "plain", "no decay"],
)
def test_steps_are_those_of_torch_to_the_bit(recipe: dict[str, Any]) -> None:
    training = Training(**recipe)
    ours, torchs = ([nn.Parameter(torch.randn(7, 5, generator=torch.Generator().manual_seed(1)))] for _ in range(2))
    descent = Descent(ours, training)
    reference = torch.optim.SGD(
        torchs,
        training.lr,
        momentum=training.momentum,
        nesterov=training.nesterov,
        weight_decay=training.weight_decay,
    )
    for step in range(6):
        descent.lr = reference.param_groups[0]["lr"] = training.lr / (1 + step)
        for [parameter] in (ours, torchs):
            parameter.grad = (parameter.detach() * (step + 1)).sin()
        descent.step()
        reference.step()
        assert torch.equal(ours[0], torchs[0])
    assert ours[0].grad is None
