"""The accuracies of simulated trainings, and the decisions that follow from them without any cluster."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

from controller.harness import TOTAL
from rcas.evaluation import Description, Protocol, Task
from rcas.spec import SearchSpec, build_spec

THREADS = 1
DATA_SHA256 = "d" * 64
VERSIONS = {"rcas_trainer": "1"}


def correct_of(task: Task) -> int:
    """Validation images right, out of TOTAL."""
    return correct(task.network, task.protocol.training.seed, task.replicate)


@lru_cache(maxsize=100_000)
def correct(network: str, seed: int, replicate: int = 0) -> int:
    """A saturating function of the blocks with a fixed noise for each training: gains shrink, some are losses."""
    blocks = [int(block) for block in network if block.isdigit()]
    text = f"{network}|{seed}|{replicate}" if replicate else f"{network}|{seed}"
    noise = hashlib.sha256(text.encode()).digest()[0] % 60
    return 500 + 300 * sum(blocks) // (sum(blocks) + 10) + noise


def described() -> Description:
    """What trainers find in the data."""
    return Description(
        data_sha256=DATA_SHA256, input=(1, 8, 8), num_classes=10, train_images=100, gpus=0, versions=VERSIONS
    )


def protocol_of(spec: SearchSpec) -> Protocol:
    """The protocol that a controller settles for this spec."""
    return spec.protocol(described(), THREADS)


class Reference:
    """A search decided one evaluation at a time, with no faults and no speculation.

    Attributes:
        rules: what was decided, as the head object has it.
        evaluations: trainings that decisions read.
    """

    def __init__(self, spec: SearchSpec) -> None:
        protocol = protocol_of(spec)
        self.seed = spec.training.seed
        search = spec.search(protocol.sha256)
        while not search.done:
            (evaluation,) = search.ask(1)
            right = correct(str(evaluation.network), self.seed, evaluation.replicate)
            search.tell(evaluation.key, correct=right, total=TOTAL)
        self.rules: list[Any] = [rule.model_dump(mode="json") for rule in search.snapshot().rules]
        self.paths = [rule["path"] for rule in self.rules]
        self.evaluations = search.evaluations


def trainings_in(search: dict[str, Any]) -> dict[tuple[str, int], list[int]]:
    """(correct, total) of every training that the stored form of a search knows, by network and number."""
    once = {name: {"0": counts} for name, counts in search["results"].items()}
    found = search.get("trainings", once)
    return {(name, int(n)): counts for name, numbered in found.items() for n, counts in numbered.items()}


references: dict[str, Reference | None] = {}


def reference_of(fields: dict[str, Any]) -> Reference | None:
    """The reference of a spec, None if it is none. Computed once: nothing else in a spec changes what is decided."""
    noise = [fields.get("replicates"), fields.get("confirm")]
    at = repr([fields["space"], fields["budget"], fields["rules"], fields["stop"], fields["training"]["seed"], noise])
    if at not in references:
        try:
            references[at] = Reference(build_spec(fields))
        except ValueError:
            references[at] = None
    return references[at]
