"""The line that a training of a cluster prints after an epoch, and what reads it again."""

from __future__ import annotations

import pytest

from rcas.messages import Event, epoch_line, parse_epoch_line


@pytest.mark.parametrize("counts", [{}, {"correct": 0, "total": 200}, {"correct": 412, "total": 1000}])
def test_what_is_printed_is_read_again(counts: dict[str, int]) -> None:
    event = Event(event="epoch", epoch=3, epochs=10, **counts)
    assert parse_epoch_line(f"rcas-trainer: {epoch_line(event)}\n") == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        "epoch",
        "epoch 3 of",
        "epoch -1 of 3",
        "epoch 1 of 2, 3 of 4 right; more",
        "my epoch 1 of 2",
        "epoch ٣ of 9",
    ],
)
def test_another_line_is_no_epoch(line: str) -> None:
    assert parse_epoch_line(line) is None


def test_numbers_without_an_end_are_not_read() -> None:
    assert parse_epoch_line(f"epoch {'9' * 10_000} of 10") is None
