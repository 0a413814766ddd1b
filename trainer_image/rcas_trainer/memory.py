"""Keeps freed memory inside the process, because a training step asks for the same again at once.

glibc maps every large tensor anew and gives it back to the kernel when it is freed, so each step pays for
zeroed pages.
"""

from __future__ import annotations

import ctypes
import gc
from contextlib import suppress

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_MAX = -1, -2, -4


def keep_freed_memory() -> bool:
    """Tell glibc to keep what is freed; call it before the first tensor is made.

    M_MMAP_THRESHOLD would be the obvious setting, but glibc refuses more than 32 MiB and activations are
    larger; with no mapping allowed all of them come from the heap.

    Returns:
        Whether the C library took the settings; others than glibc do not, which does no harm.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, 2**31 - 1), (_M_TOP_PAD, 64 << 20))
    return all(tuple(mallopt(name, value) for name, value in settings))


def give_back_memory() -> None:
    """Free what the last evaluation left, after it ran out of memory."""
    import torch

    gc.collect()
    if torch.cuda.is_initialized():
        torch.cuda.empty_cache()
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)
