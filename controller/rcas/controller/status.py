"""The status of a Search resource, made of what its controller knows: a pure function, of fixed size."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rcas.errors import one_line
from rcas.resource import Condition, Phase, StateRef, Status
from rcas.search import Search

_LONGEST_MESSAGE = 1000
_LONGEST_NETWORK = 2000


@dataclass(frozen=True, slots=True)
class Report:
    """How a search is.

    Attributes:
        phase: of the search; None leaves the one that it had.
        reason: one word in CamelCase. message: for people.
        search: what is decided; None leaves what was known.
        running: trainings under way.
        store_unavailable: the store does not answer.
    """

    phase: Phase | None
    reason: str
    message: str = ""
    search: Search | None = None
    running: int = 0
    store_unavailable: bool = False


def status_of(report: Report, before: Status, state: StateRef, generation: int, now_s: float) -> Status:
    """The status after `report`. Conditions that stay as they were keep their time."""
    phase = report.phase or before.phase
    fields = before.model_dump(exclude={"conditions"})
    fields |= {"phase": phase, "running": report.running, "observedGeneration": generation, "stateRef": state}
    if report.search:
        found = report.search.result
        fields |= {
            "accepted": max((len(rule.path) - 1 for rule in found.rules.values() if rule.path), default=0),
            "evaluations": found.evaluations,
        }
        if found.best:
            fields |= {
                "best": f"{float(found.best.accuracy):.2%}",
                "params": found.best.cost.params,
                "madds": found.best.cost.madds,
                "latency_ns": found.best.cost.latency,
                "network": str(found.best.network)[:_LONGEST_NETWORK],
            }
    status = Status.model_validate(fields)
    status.conditions = _conditions(report, phase, before, generation, now_s)
    return status


def _conditions(report: Report, phase: Phase, before: Status, generation: int, now_s: float) -> list[Condition]:
    holds = {
        "Ready": phase != "Failed" and report.phase is not None,
        "Progressing": phase in {"Pending", "Running"} and report.phase is not None,
        "Complete": phase == "Complete",
        "Failed": phase == "Failed",
        "StoreUnavailable": report.store_unavailable,
        "BudgetExceeded": phase == "LimitReached",
    }
    now = datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    known = {condition.type: condition for condition in before.conditions}
    conditions = list[Condition]()
    for kind, held in holds.items():
        status = "True" if held else "False"
        old = known.get(kind)
        # Only what holds, and readiness that does not, needs an explanation.
        explained = held or kind == "Ready"
        conditions.append(
            Condition.model_validate(
                {
                    "type": kind,
                    "status": status,
                    "reason": report.reason if explained else phase if kind == "Progressing" else "AsExpected",
                    "message": one_line(report.message, _LONGEST_MESSAGE) if explained else "",
                    "lastTransitionTime": old.lastTransitionTime if old and old.status == status else now,
                    "observedGeneration": generation,
                }
            )
        )
    return conditions
