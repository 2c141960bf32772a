"""Whether a stream goes to systemd's journal, and what tells it how grave a line is.

As in systemd.exec(5) and sd-daemon(3): ``JOURNAL_STREAM`` has the device and the inode of the stream that systemd made,
so that one which was redirected since is not taken for it; a line that begins with ``<N>`` has the priority N.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TextIO

PRIORITIES: Mapping[str, int] = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}


def is_journal(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Say whether what is written there goes to the journal."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):  # a stream without a file behind it
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def with_priority(text: str, level: str) -> str:
    """Put its priority before each line of a text."""
    return "\n".join(f"<{PRIORITIES[level]}>{line}" for line in text.split("\n"))
