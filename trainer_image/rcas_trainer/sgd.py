"""Stochastic gradient descent, the rule of torch.optim.SGD to the bit.

Not torch's own, because the first optimizer of a process imports torch's compiler, which takes longer than
torch itself (2 s against 1.7 s of an idle core), and every worker would pay for it.
"""

# torch's own optimizers are built on these functions; per-tensor calls would start 4 kernels a parameter on a GPU.
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

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
        parameters, momentum, decay = self._parameters, self._recipe.momentum, self._recipe.weight_decay
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        torch._foreach_add_(gradients, parameters, alpha=decay)
        torch._foreach_mul_(self.velocities, momentum)
        torch._foreach_add_(self.velocities, gradients)
        if self._recipe.nesterov:
            torch._foreach_add_(gradients, self.velocities, alpha=momentum)
        else:
            gradients = self.velocities
        torch._foreach_add_(parameters, gradients, alpha=-self.lr)
        for parameter in parameters:
            parameter.grad = None
