"""Times that a trainer process takes on this machine."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from pydantic import ValidationError

from rcas.messages import PartsAnswer, PartsQuestion, Round
from rcas.runtimes.trainer import ask
from rcas.timing import NetworksAnswer, NetworksQuestion


def time_parts(asked: PartsQuestion, done: Callable[[int], None]) -> PartsAnswer:
    """Let a trainer process time the parts of a space. `done`: called with the number of rounds so far.

    Raises:
        InvalidSpec: a network does not lie in the space, or the trainer is not installed.
        SearchFailed: the process ended otherwise.
    """
    return ask("parts", asked, PartsAnswer, cannot="time the parts", threads=asked.threads, heard=_rounds_heard(done))


def time_networks(asked: NetworksQuestion, done: Callable[[int], None]) -> NetworksAnswer:
    """Let a trainer process time whole networks. `done`: called with the number of rounds so far.

    Raises:
        InvalidSpec: a file cannot be used, or something is not installed.
        SearchFailed: the process ended otherwise.
    """
    heard = _rounds_heard(done)
    return ask("networks", asked, NetworksAnswer, cannot="time the networks", threads=asked.threads, heard=heard)


def _rounds_heard(done: Callable[[int], None]) -> Callable[[bytes], None]:
    def heard(line: bytes) -> None:
        with suppress(ValidationError):
            done(Round.model_validate_json(line).rounds)

    return heard
