"""The methods by name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, get_args

from rcas.baselines.evolution import Evolution
from rcas.baselines.mobilenetv2 import MobileNetV2
from rcas.baselines.plain_greedy import PlainGreedy
from rcas.baselines.sampling import RandomSearch
from rcas.baselines.strategy import Strategy
from rcas.greedy import Problem, Rule

Method = Literal["random", "evolution", "greedy", "mobilenetv2"]
METHODS: tuple[Method, ...] = get_args(Method)
DRAWN: tuple[Method, ...] = ("random", "evolution")
"""Those that draw at random, so that another seed is another run."""


def build(method: Method, problem: Problem, rules: Iterable[Rule], *, limit: int, seed: int) -> Strategy:
    """A new strategy that may measure `limit` networks. `rules`: of the search, for greedy.

    Raises:
        InvalidSpec: a limit below 1, or a method that is not possible under this budget.
    """
    if method == "random":
        return RandomSearch(problem, limit, seed)
    if method == "evolution":
        return Evolution(problem, limit, seed)
    if method == "greedy":
        return PlainGreedy(problem, limit, rules)
    return MobileNetV2(problem)
