"""Trying again while a store does not answer, for a while and only until somebody asks for the end."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from rcas.errors import Unavailable
from rcas_trainer.errors import Interrupted, log

T = TypeVar("T")

READ_S = 600.0
"""How long a training waits for what it begins with, in seconds. Nothing is lost if it gives up then."""
RESULT_S = 3600.0
"""How long a finished training waits to write its result, in seconds: giving up loses the training."""
EPOCH_S = 5.0
"""How long an epoch waits for its checkpoint, in seconds: the next epoch writes one too."""
LAST_WORDS_S = 15.0
"""How long a stopped training waits for its checkpoint, in seconds. Of a pod's 60 seconds of grace two requests
that hang take 15 to 20 each: the one in which the stop comes, and the last."""

_FIRST_WAIT_S, _LONGEST_WAIT_S, _POLL_S = 0.5, 10.0, 0.1
_jitter = random.Random()


def never() -> bool:
    """The stop request of those whom nobody may stop."""
    return False


def patiently(action: Callable[[], T], patience_s: float, stop: Callable[[], bool] = never) -> T:
    """Carry out the action; while it raises Unavailable, wait and try again, each time after a longer wait.

    Args:
        action: tried at least once.
        patience_s: seconds from now after which no new try begins.
        stop: asked while waiting.

    Raises:
        Unavailable: of the last try.
        Interrupted: stop() said so after a try that failed.
    """
    deadline, longest_s = time.monotonic() + patience_s, _FIRST_WAIT_S
    while True:
        try:
            return action()
        except Unavailable as error:
            wait_s = longest_s * _jitter.uniform(0.5, 1)
            if time.monotonic() + wait_s > deadline:
                raise
            log(f"{error}; trying again")
            _wait(wait_s, stop)
            longest_s = min(2 * longest_s, _LONGEST_WAIT_S)


def _wait(seconds: float, stop: Callable[[], bool]) -> None:
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        if stop():
            raise Interrupted("stopped while the store did not answer")
        time.sleep(min(left, _POLL_S))
