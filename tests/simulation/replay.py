"""`python -m simulation.replay SEED`: one history again, line by line; a failing one with a short schedule."""

from __future__ import annotations

import argparse
import sys
from random import Random

from simulation import faults as faulty
from simulation.faults import Fault
from simulation.history import Outcome, run
from simulation.shrink import shrink


def main() -> None:
    """The command."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("seed", type=int)
    arguments.add_argument("--faults", help="instead of the seed's: 'IO KIND PICK SECONDS; ...'; '' for none")
    arguments.add_argument("--keep", action="store_true", help="do not shorten a failing schedule")
    given = arguments.parse_args()
    schedule = faulty.draw(Random(f"{given.seed}/faults")) if given.faults is None else parsed(given.faults)
    outcome = run(given.seed, schedule)
    if outcome.broken and not given.keep:
        schedule = shrink(given.seed, schedule, outcome.broken)
        outcome = run(given.seed, schedule)
    print("\n".join(outcome.log))
    print(report(outcome, schedule))
    sys.exit(1 if outcome.broken else 0)


def parsed(text: str) -> list[Fault]:
    """Faults as `written` wrote them."""
    return [Fault.parse(part) for part in text.split(";") if part.strip()]


def written(schedule: list[Fault]) -> str:
    """A schedule in one line."""
    return "; ".join(map(str, schedule))


def report(outcome: Outcome, schedule: list[Fault]) -> str:
    """What came of it, and how to have it again."""
    ending = f"VIOLATION {outcome.broken}: {outcome.how}" if outcome.broken else "every promise held"
    again = f"cd tests && python -m simulation.replay {outcome.seed} --faults '{written(schedule)}'"
    return f"seed {outcome.seed}, hash {outcome.hash}\n{ending}\n{again}"


if __name__ == "__main__":
    main()
