"""Counter-based randomness: every draw has its own generator, so a checkpoint needs no generator state."""

from __future__ import annotations

import hashlib

import torch


def derived_seed(*counters: int | str) -> int:
    """A seed of 63 bits that depends on all counters, such as (seed, replicate, "crop", epoch, batch)."""
    text = "/".join(map(str, counters))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*counters: int | str) -> torch.Generator:
    """A generator on the CPU, whatever the device: the draws are the same on both, and small."""
    return torch.Generator().manual_seed(derived_seed(*counters))
