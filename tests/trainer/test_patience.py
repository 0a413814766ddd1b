import time
from collections.abc import Iterator

import pytest

from rcas.errors import Unavailable
from rcas_trainer import patience
from rcas_trainer.errors import Interrupted, Refused
from rcas_trainer.patience import patiently


class Store:
    """Answers the n-th request with the n-th of these."""

    def __init__(self, *answers: Exception | str) -> None:
        self._answers: Iterator[Exception | str] = iter(answers)
        self.asked = 0

    def ask(self) -> str:
        self.asked += 1
        answer = next(self._answers)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 0.02)


def test_an_outage_is_waited_for_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    store = Store(Unavailable("away"), Unavailable("away"), "here")
    assert patiently(store.ask, 60) == "here"
    assert capsys.readouterr().err.splitlines() == ["rcas-trainer: away; trying again"] * 2


def test_patience_ends_with_the_last_error() -> None:
    store = Store(*map(Unavailable, "abc"), *[Unavailable("d")] * 100)
    began = time.monotonic()
    with pytest.raises(Unavailable):
        patiently(store.ask, 0.5)
    assert time.monotonic() - began < 5
    assert 3 < store.asked < 20
    with pytest.raises(Unavailable):
        patiently(Store(Unavailable("a"), "b").ask, 0)


def test_a_refusal_is_not_tried_again() -> None:
    store = Store(Refused("no"), "here")
    with pytest.raises(Refused):
        patiently(store.ask, 60)
    assert store.asked == 1


def test_a_stop_is_heard_after_one_try_and_while_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "_FIRST_WAIT_S", 600.0)
    assert patiently(Store("here").ask, 60, lambda: True) == "here"
    asked = iter([False, False, True])
    with pytest.raises(Interrupted):
        patiently(Store(Unavailable("away"), "here").ask, 3600, lambda: next(asked))
