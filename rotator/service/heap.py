"""What a service that goes on for months gives back to the system of the memory that it needed for a moment.

Each time that glibc frees a block larger than any before, it keeps what is freed from then on up to that size, and
twice that at the end of each thread's heap, in the hope that it is wanted again. After one answer of 8 MB that is most
of what answers and configurations take in passing: with 10,000 credentials 20 MB. With a limit that stays, such
blocks are the system's again at once. Other libraries of C (musl, macOS) do not do this.
"""

from __future__ import annotations

import ctypes

MMAP_THRESHOLD = -3
"""``M_MMAP_THRESHOLD`` in malloc.h. Whoever sets it fixes it."""
LARGE = 1 << 18
"""Bytes from which on a block is mapped by itself; Python has its own pools for whatever is small."""


def give_back_large_blocks() -> bool:
    """Fix the size from which on blocks are given back at once; False where there is no such limit.

    Repeat: the same.
    """
    limit = getattr(ctypes.CDLL(None), "mallopt", None)
    return limit is not None and bool(limit(MMAP_THRESHOLD, LARGE))
