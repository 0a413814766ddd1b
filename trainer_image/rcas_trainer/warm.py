"""The first step of a process costs more than the next; a worker takes it before it says `ready`."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from rcas.evaluation import Training
from rcas.space import Head, Space, Stage, Stem
from rcas_trainer.model import build
from rcas_trainer.sgd import Descent


def take_a_tiny_step() -> None:
    """Build and train the smallest network for one step, on the CPU."""
    space = Space((1, 8, 8), 2, (Stage(4, 1, start=(5,)),), stem=Stem(4, 1, 4), head=Head(4))
    module = build(space, space.start).to(memory_format=torch.channels_last)  # pyright: ignore
    descent = Descent(module.parameters(), Training())
    F.cross_entropy(module(torch.zeros(2, 1, 8, 8)), torch.tensor([0, 1])).backward()
    descent.step()
