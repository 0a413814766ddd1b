"""Stochastic gradient descent by torch's functional form.

Not by a torch.optim object, because a process's first one imports torch's compiler, which takes longer than torch
itself (3.0 s against 2.3 s), and every worker would pay for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim.sgd import sgd

from rcas.evaluation import Training


class Descent:
    """Momentum, Nesterov's if asked, and an L2 term on every parameter.

    Attributes:
        lr: learning rate of the next step.
        velocities: one for each parameter, in their order; the whole state.

    Args:
        parameters: of the module.
        recipe: momentum, nesterov, weight_decay and the first lr.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], recipe: Training) -> None:
        self.lr = recipe.lr
        self._parameters, self._recipe = list[Tensor](parameters), recipe
        self.velocities: list[Tensor] = [torch.zeros_like(parameter) for parameter in self._parameters]

    def restore(self, velocities: list[Tensor]) -> None:
        """Go on with these velocities."""
        for velocity, saved in zip(self.velocities, velocities, strict=True):
            velocity.copy_(saved)

    @torch.no_grad()
    def step(self) -> None:
        """Change every parameter along its gradient, and drop the gradients."""
        sgd(
            self._parameters,
            [parameter.grad for parameter in self._parameters if parameter.grad is not None],
            list(self.velocities),
            has_sparse_grad=False,
            foreach=True,
            weight_decay=self._recipe.weight_decay,
            momentum=self._recipe.momentum,
            lr=self.lr,
            dampening=0.0,
            nesterov=self._recipe.nesterov,
            maximize=False,
        )
        for parameter in self._parameters:
            parameter.grad = None
