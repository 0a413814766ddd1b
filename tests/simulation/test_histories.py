"""Every promise holds in every history. `RCAS_HISTORIES` says how many; the docs say how to run a million."""

from __future__ import annotations

import os

import pytest

from simulation.many import many

HISTORIES = int(os.environ.get("RCAS_HISTORIES", "10000"))
PROCESSES = 2


@pytest.mark.timeout(120 + HISTORIES // 5)
def test_every_promise_holds_in_every_history(capsys: pytest.CaptureFixture[str]) -> None:
    summary = many(0, HISTORIES, PROCESSES)
    with capsys.disabled():
        print(f"\n{summary}")
    assert not summary.broken, str(summary)
    assert summary.histories == HISTORIES
