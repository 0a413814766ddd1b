"""Trains one network of a search space and measures it."""

import time

STARTED_S = time.monotonic()
"""When this process first imported the trainer, on the monotonic clock."""
