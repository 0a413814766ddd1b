"""`python -m simulation.mutations`: whether the simulation catches every defect, written to MUTATIONS.md."""

from __future__ import annotations

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import NamedTuple

from simulation import accuracy, scenario
from simulation.defects import DEFECTS, Defect

TABLE = Path(__file__).with_name("MUTATIONS.md")
HISTORIES = 2000
MOST = 60_000
"""Histories for what was not caught by then."""
LONGEST_S = 3600
_HEAD = """# Does the simulation catch a broken protocol?

Each line is a defect made by hand in the code (`defects/`), one at a time; the first seed from 0 on whose history
breaks a promise because of it; and the faults that this takes (I/O, kind, which, seconds), thinned out. What was in
the code until the simulation found it says "real". Made by `python -m simulation.mutations` in tests/;
{caught} of {all} are caught within {histories:,} histories. `test_defects.py` tries each line again.

| defect | what it does | caught by seed | by the promise | with these faults |
|---|---|---|---|---|
"""


class Found(NamedTuple):
    """What came of a defect.

    Attributes:
        seed: of the first history that caught it; None if none did.
        promise: that was broken.
        schedule: the faults that it takes in this history.
    """

    defect: Defect
    seed: int | None
    promise: str
    schedule: str


def main() -> None:
    """Try the defects named, or all, and write the table, or the lines of those named."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("names", nargs="*", help="of defects; default: all")
    arguments.add_argument("--histories", type=int, default=HISTORIES)
    arguments.add_argument("--processes", type=int, default=2)
    given = arguments.parse_args()
    chosen = [defect for defect in DEFECTS if not given.names or defect.name in given.names]
    with tempfile.NamedTemporaryFile() as references, ThreadPoolExecutor(given.processes) as pool:
        references.write(pickle.dumps(references_of(range(given.histories))))
        references.flush()
        found = list(pool.map(lambda defect: try_long(defect, given.histories, references.name), chosen))
    before = {} if not given.names else dict(rows())
    lines = before | {one.defect.name: row(one) for one in found}
    TABLE.write_text(table(lines, given.histories), encoding="utf-8")
    missed = [one.defect.name for one in found if one.seed is None]
    print(f"{len(found) - len(missed)} of {len(found)} caught{'; missed: ' + ', '.join(missed) if missed else ''}")
    sys.exit(1 if missed else 0)


def references_of(seeds: range) -> dict[str, accuracy.Reference | None]:
    """What the searches of these histories must decide."""
    for seed in seeds:
        scenario.draw(Random(f"{seed}/scenario"))
    return accuracy.references


def try_long(defect: Defect, histories: int, references: str) -> Found:
    """Run so many histories, and more if they do not catch it."""
    found = try_defect(defect, histories, references)
    # Without references: these are read from the changed code then, so a wrong decision must have been caught by now.
    return found if found.seed is not None else try_defect(defect, MOST - histories, first=histories)


def try_defect(defect: Defect, histories: int, references: str = "", *, first: int = 0) -> Found:
    """Run histories from this seed on, in a process of its own, until one catches it.

    Args:
        references: a file with what `references_of` found.
    """
    began = time.monotonic()
    command = [sys.executable, "-m", "simulation.mutant", defect.name, str(first), str(histories), references]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=LONGEST_S)
    if done.returncode:
        raise RuntimeError(f"{defect.name}: {done.stderr[-3000:]}")
    answer = json.loads(done.stdout)
    found = Found(defect, *answer) if answer else Found(defect, None, "", "")
    what = "MISSED" if found.seed is None else f"seed {found.seed}, {found.promise}"
    print(f"{defect.name}: {what} ({time.monotonic() - began:.0f} s)", flush=True)
    return found


def row(found: Found) -> str:
    """A line of the table."""
    seed = "not caught" if found.seed is None else found.seed
    defect = found.defect
    return f"| {defect.name} | {defect.what} | {seed} | {found.promise} | {found.schedule or 'none'} |"


def rows() -> dict[str, str]:
    """The committed lines by the name of the defect."""
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}


def table(lines: dict[str, str], histories: int) -> str:
    """The committed table, of these lines by the name of the defect."""
    seeds = [line.split(" | ")[2] for line in lines.values()]
    caught = sum(seed.isdigit() and int(seed) < histories for seed in seeds)
    ordered = "".join(f"{lines[defect.name]}\n" for defect in DEFECTS)
    return _HEAD.format(caught=caught, all=len(lines), histories=histories) + ordered


if __name__ == "__main__":
    main()
