"""What a report says of a search, as plain data: what every form of it (HTML, figures, tables, JSON) is made from.

Accuracies are shares from 0 to 1, gains differences of them. Times are seconds since 1970, durations seconds.
Everything in it may have come from a trainer or a bucket, so nothing is taken for markup.
"""

from __future__ import annotations

from typing import Literal

from pydantic import ValidationError

from rcas.errors import CorruptState, one_line
from rcas.evaluation import Model, Protocol
from rcas.greedy import Rule
from rcas.state import Counters, Phase


class Costs(Model):
    """What a network costs, or a difference of that. `latency_ns`: None where no latency is known."""

    params: int
    madds: int
    latency_ns: int | None = None


class Limits(Model):
    """The budget; None leaves a cost unbounded."""

    params: int | None = None
    madds: int | None = None
    latency_ns: int | None = None


class Step(Model):
    """A network on the path of a rule.

    Attributes:
        number: blocks added so far; 0 is the start network.
        gain: accuracy added by its last block; None for the start network.
        position, block, stage: of that block.
    """

    number: int
    network: str
    accuracy: float
    gain: float | None
    cost: Costs
    position: int | None
    block: int | None
    stage: int | None


class Held(Model):
    """How often an assumption of the paper was checked and did not hold, and by how much accuracy."""

    checked: int
    broken: int
    mean: float
    worst: float


class RuleReport(Model):
    """What one rule found.

    Attributes:
        path: from the start network on; empty before its accuracy is known.
        stopped: why it ended, a key of `wording.STOPPED`; None while it runs.
        diminishing: gains that were measured again: broken when they had grown (submodularity).
        rising: measured gains: broken when negative (monotonicity).
        read: networks whose accuracy its decisions have read.
        offered: trainings that greedy without laziness would have run for its decisions.
    """

    rule: Rule
    path: tuple[Step, ...]
    stopped: str | None
    diminishing: Held
    rising: Held
    read: int
    offered: int


class Weighing(Model):
    """A candidate of a decision.

    Attributes:
        gain: the one that the decision went by.
        stale: the one it had before it was measured again for this decision; None if it was not.
        fresh: measured for the network that the decision extends.
        share: its key over the winner's, where that means something.
    """

    network: str
    position: int
    block: int
    stage: int
    gain: float
    stale: float | None
    fresh: bool
    share: float | None
    cost: Costs


class Choice(Model):
    """The decision for one block.

    Attributes:
        number: of the block, from 1.
        candidates: different networks that could be chosen. measured: how many of them for this decision.
        parked: those that did not fit the budget.
        shown: the winner first, then those after it in the queue, and all that were measured again.
        margin: gain of the winner less that of the next candidate under the rule; None without another.
        lead: how far the winner is ahead of it under the rule (by gain, or gain per cost), in standard errors from
            the counts of validation images alone.
    """

    rule: Rule
    number: int
    candidates: int
    measured: int
    parked: int
    shown: tuple[Weighing, ...]
    margin: float | None
    lead: float | None


class Trained(Model):
    """What the result object of an evaluation says beyond its accuracy.

    Attributes:
        began, ended: of the attempt that wrote it; None in results of older trainers.
        resumed: how often it went on from a checkpoint. restarted: how often it began anew.
    """

    correct_top5: int
    loss: float | None
    epochs: int
    diverged: bool
    startup: float
    data: float
    training: float
    validation: float
    images_per_second: float
    began: float | None
    ended: float | None
    resumed: int
    restarted: int
    device: str


class Evaluated(Model):
    """A measured network.

    Attributes:
        read: whether a decision has read it.
        trained: None if its result object cannot be read any more; the search keeps the counts.
    """

    key: str
    network: str
    replicate: int
    correct: int
    total: int
    accuracy: float
    cost: Costs
    read: bool
    trained: Trained | None


class Layer(Model):
    """A part of the found network, in order.

    Attributes:
        part: stem (3x3 convolution), stem-block, block, head (1x1 convolution) or classifier.
        stage: from 0, of a block. type: its number in the paper's table.
        added: as the how many-th block the search added it; None for what was there at the start.
        height, width: of its output, in pixels.
        shortcut: identity, conv or None.
    """

    part: Literal["stem", "stem-block", "block", "head", "classifier"]
    stage: int | None = None
    type: int | None = None
    added: int | None = None
    expansion: int = 1
    expansion_groups: int = 1
    projection_groups: int = 1
    inputs: int
    outputs: int
    stride: int = 1
    height: int
    width: int
    shortcut: Literal["identity", "conv"] | None = None
    cost: Costs


class Pair(Model):
    """Two networks compared. Errors are standard errors of the accuracies' difference.

    Attributes:
        difference: accuracy of the first less that of the second.
        clear: whether it is more than two standard errors.
    """

    first: str
    second: str
    difference: float
    error: float
    clear: bool


class Measured(Model):
    """An accuracy over several trainings. `spread`: standard deviation; None of a single one."""

    mean: float
    spread: float | None
    count: int


class Again(Model):
    """The answer against the start network, both trained again from other seeds than the search's."""

    pair: Pair
    best: Measured
    start: Measured


class Noise(Model):
    """How large chance is beside what was found.

    Attributes:
        images: validation images of one measurement.
        error: standard error of the answer's accuracy from drawing so many images.
        gain: the answer against the start network. top: the answer against the next best of the rules' answers or,
            where all rules have the same, of the networks on the paths; None without another.
        typical_gain: median of the accepted blocks' gains.
        choices, unclear: decisions with more than one candidate; those of them within two standard errors.
        again: gain once more, from trainings that chose nothing; None without enough of them.
    """

    images: int
    error: float
    gain: Pair | None
    top: Pair | None
    typical_gain: float | None
    choices: int
    unclear: int
    again: Again | None


class FinalReport(Model):
    """A final training of a network, measured on the test set.

    Attributes:
        of: best, highest or given. onto: name of another skeleton that its stages are on; None for the search's own.
        seeds: trainings asked for. top1, top5: over those that have ended; None if none has.
    """

    of: str
    onto: str | None
    network: str
    cost: Costs
    epochs: int
    seeds: int
    top1: Measured | None
    top5: Measured | None


class BaselineReport(Model):
    """What another method found under the same budget and protocol.

    Attributes:
        accuracy: the one that it chose by. other_seeds: the same network trained with further seeds.
        trainings: distinct networks that it asked for.
    """

    method: str
    seed: int
    network: str
    accuracy: float
    other_seeds: Measured | None
    cost: Costs
    trainings: int


class Report(Model):
    """A search as it was at `made`.

    Attributes:
        message: why it is held or failed, for people.
        revision: writes of the state so far; the report changes with it.
        input: (channels, height, width) of an image.
        best, highest: see `SearchResult`. start: the start network. All None before it is measured.
        evaluations: in the order in which they ended, as far as that is known.
        missing: of them, those whose result object cannot be read.
        offered: trainings that greedy without laziness and sharing would have run for the same decisions.
        demanded: networks that a decision read.
        under_way: evaluations intended and not ended when the state was written.
        layers: of the best network.
        spec: YAML of a spec that searches the same again, without the pod of a cluster.
    """

    format: Literal[1] = 1
    search: str
    rcas: str
    made: float
    created: float
    revision: int
    phase: Phase
    message: str
    done: bool
    input: tuple[int, int, int]
    classes: int
    budget: Limits
    stop: str
    min_gain: float | None
    max_blocks: int | None
    start: Step | None
    best: Step | None
    highest: Step | None
    rules: tuple[RuleReport, ...]
    choices: tuple[Choice, ...]
    evaluations: tuple[Evaluated, ...]
    missing: int
    offered: int
    demanded: int
    under_way: int
    bound_holds: bool
    counters: Counters
    layers: tuple[Layer, ...]
    noise: Noise | None
    protocol: Protocol
    spec: str
    finals: tuple[FinalReport, ...] = ()
    baselines: tuple[BaselineReport, ...] = ()

    @property
    def unread(self) -> int:
        """Results that no decision has read: not yet while the search goes on; trained on a guess once it is done."""
        return len(self.evaluations) - self.demanded

    @property
    def avoided(self) -> int:
        """Trainings that laziness and sharing have saved so far."""
        return max(0, self.offered - self.demanded)

    @property
    def best_rules(self) -> tuple[RuleReport, ...]:
        """The rules whose last network is the best one."""
        return tuple(r for r in self.rules if r.path and self.best and r.path[-1].network == self.best.network)


def parse_report(data: bytes) -> Report:
    """The report that another rcas made of a search.

    Raises:
        CorruptState: it is none, or one of another version.
    """
    try:
        return Report.model_validate_json(data)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = one_line(".".join(map(str, problem["loc"])) or "object", 100)
        raise CorruptState(
            f"the controller's report is not one of this version of rcas: {where}: {one_line(problem['msg'])}"
        ) from None
