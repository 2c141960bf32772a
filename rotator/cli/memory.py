"""Keep what is in memory there: no core file, no other process of this user that looks in.

Secrets live in memory while a command runs. A crash must not write them to a disk, and neither a debugger nor
``/proc/PID/environ`` shall show them to whatever else runs as the same user (ssh-agent does the same). Root may look,
as ever.
"""

from __future__ import annotations

import resource
import sys
from contextlib import suppress

_PR_SET_DUMPABLE = 4
"""From <linux/prctl.h>."""


def keep_private() -> None:
    """Forbid core dumps, for good; on Linux also to be looked into.

    The limit alone is not enough: a core that the kernel pipes to a program (systemd-coredump) is not bound by it; the
    flag stops that one, too (core(5), prctl(2)). Where neither can be had the command runs all the same.
    Repeat: nothing changes.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        import ctypes  # noqa: PLC0415 - prctl has no other door in the standard library

        with suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
