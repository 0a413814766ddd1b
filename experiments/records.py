"""What the experiments measured, as it is kept: everything that the tables and figures are made of."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, NamedTuple

from pydantic import Field

from rcas.evaluation import Count, Elapsed, Model, Seen, Versions
from rcas.greedy import Rule


class Counts(NamedTuple):
    """Images that were right."""

    correct: int
    total: int

    @property
    def accuracy(self) -> Fraction:
        """Their share."""
        return Fraction(self.correct, self.total)


class Measured(Model):
    """One network in one repetition.

    Attributes:
        chosen_by: the measurement that it was chosen by; None if nothing was chosen.
        seeds: by the short training from other seeds, on the repetition's validation images.
        finals: top-1 on the test images after final trainings. top5: the same for the five first guesses.
    """

    network: str
    params: Count
    madds: Count
    chosen_by: Counts | None = None
    seeds: tuple[Counts, ...] = ()
    finals: tuple[Counts, ...] = ()
    top5: tuple[Counts, ...] = ()


class Method(Measured):
    """The answer of a method that looked for one.

    Attributes:
        trainings: distinct networks that it had measured.
        worker_s: what these trainings took in seconds of a worker, those included that another method shared.
    """

    name: str
    trainings: Annotated[Seen, Field(ge=0)]
    worker_s: Elapsed


class Step(Model):
    """A network on the path of a rule. `blocks`: accepted so far."""

    rule: Rule
    blocks: Seen
    network: str
    params: Count
    madds: Count
    counts: Counts


class Repetition(Model):
    """One search and everything that is compared with its answer.

    Attributes:
        methods: RCAS first.
        path: of all its rules.
        chain: blocks of type 5 added one by one.
        single_type: the search with block type 5 alone.
        replaced: its answer with the last blocks replaced by random ones. added: with one random block more.
        transferred: its stages on the other skeleton. transfer_reference: MobileNetV2 there.
    """

    number: Seen
    methods: tuple[Method, ...]
    path: tuple[Step, ...]
    chain: tuple[Measured, ...]
    single_type: Method
    replaced: tuple[Measured, ...]
    added: tuple[Measured, ...]
    transferred: Measured
    transfer_reference: Measured

    def method(self, name: str) -> Method:
        """The method of this name."""
        return next(method for method in self.methods if method.name == name)


class Record(Model):
    """Everything that was measured at one size.

    Attributes:
        began, ended: seconds since 1970; of the last start only. workers: trainings at once.
        machine: its processor.
    """

    format: int = 1
    size: str
    machine: str
    workers: Count
    versions: Versions
    began: Elapsed
    ended: Elapsed
    repetitions: tuple[Repetition, ...]
