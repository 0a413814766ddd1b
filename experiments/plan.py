"""How many trainings the experiments take, before they are begun."""

from __future__ import annotations

from typing import NamedTuple

from experiments.size import Size
from rcas.wording import duration

METHODS = ("rcas", "random", "evolution", "greedy", "mobilenetv2")
"""RCAS first: the others are compared with it, at its number of trainings."""


class Part(NamedTuple):
    """Trainings of one repetition. `seconds`: of one worker."""

    what: str
    trainings: int
    seconds: float


def plan(size: Size) -> list[Part]:
    """What one repetition consists of; at most, for what two parts ask for is trained once."""
    short_s, final_s = size.expected.short_s, size.expected.final_s
    searches, evaluations = len(METHODS) - 1, size.expected.evaluations

    def short(what: str, count: int) -> Part:
        return Part(what, count, count * short_s)

    finals = (len(METHODS) + 3 + 2) * size.final_seeds
    return [
        short("RCAS, random search, evolution and plain greedy", searches * evaluations),
        short("the search with type 5 alone", size.expected.single_type),
        short("the answers from other seeds", (len(METHODS) + 1) * size.seeds),
        short("blocks of type 5 added one by one", (size.chain + 1) * size.seeds),
        short("last blocks replaced, one block more", 2 * size.draws * size.seeds),
        Part("final trainings, with those on the other skeleton", finals, finals * final_s),
    ]


def plan_table(size: Size, workers: int) -> str:
    """The plan for people, as Markdown."""
    parts, times = plan(size), size.repetitions
    rows = [
        f"| {part.what} | {part.trainings * times} | {duration(part.seconds * times / workers)} |" for part in parts
    ]
    total, seconds = sum(part.trainings for part in parts), sum(part.seconds for part in parts)
    last = f"| together | {total * times} | {duration(seconds * times / workers)} |"
    head = f"| in {times} repetitions | trainings at most | with {workers} workers |"
    return "\n".join([head, "| --- | --- | --- |", *rows, last])
