"""What large answers took for a moment is not kept."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import ctypes
from pathlib import Path
from rotator.service.heap import LARGE, give_back_large_blocks

give_back_large_blocks()
give_back_large_blocks()
bytearray(32 * LARGE)
block = bytearray(16 * LARGE)
at = ctypes.addressof(ctypes.c_char.from_buffer(block))
heap = [line.split()[0] for line in Path("/proc/self/maps").read_text().splitlines() if line.endswith("[heap]")]
bounds = [[int(end, 16) for end in it.split("-")] for it in heap]
print(any(begin <= at < end for begin, end in bounds))
"""


def test_a_block_is_the_systems_again_after_a_larger_one_was_freed() -> None:
    """It stands in the heap, from which little is given back, where the limit had followed the larger one."""
    told = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)  # noqa: S603 - ours
    assert told.stdout == "False\n"
