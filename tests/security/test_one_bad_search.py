"""One search, whatever is wrong with it, never stops the others."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rcas.controller.step import Controller
from security.lab import Lab, a_search_spec


def test_a_bug_in_one_search_is_told_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    lab = Lab()
    lab.submit("bad", a_search_spec())
    lab.submit("good", a_search_spec())
    step = Controller.step

    def broken(self: Controller) -> Any:
        if "/bad/" in self._ledger.search:
            raise ZeroDivisionError("by \x1b[31mzero\nand more")
        return step(self)

    monkeypatch.setattr(Controller, "step", broken)
    with caplog.at_level(logging.ERROR, "rcas"):
        lab.run("good")
    assert lab.why("bad") == (
        "InternalError: ZeroDivisionError: by [31mzero and more (a bug of rcas; the controller's log has more)"
    )
    assert lab.phase("bad") == "Pending"
    assert any(record.exc_info and record.message == "internal error" for record in caplog.records)
    monkeypatch.setattr(Controller, "step", step)
    lab.run("bad")


def test_a_bug_is_tried_again_only_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    lab, calls = Lab(), list[float]()
    lab.submit("bad", a_search_spec())

    def broken(_controller: Controller) -> Any:
        calls.append(lab.clock.now())
        raise KeyError("nothing")

    lab.turn(2)
    monkeypatch.setattr(Controller, "step", broken)
    for _ in range(10):
        lab.operator.turn()
        lab.clock.now_s += 1
    assert len(calls) == 2, "the harness backs off for 5 s"


def test_a_status_that_cannot_even_be_made_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    from rcas.controller import reconcile

    lab, status_of = Lab(), reconcile.status_of

    def broken(report: Any, *rest: Any) -> Any:
        if report.reason == "InternalError" or rest[1].name.startswith("lab/bad/"):
            raise ValueError("no status")
        return status_of(report, *rest)

    monkeypatch.setattr(reconcile, "status_of", broken)
    lab.submit("bad", a_search_spec())
    lab.submit("good", a_search_spec())
    lab.run("good")
