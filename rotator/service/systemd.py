"""Telling systemd that the service is ready, and then that it goes on: datagrams to the socket that it names.

Not taken: systemd-python, which needs a compiler and systemd's headers; sdnotify, which has had no release since 2017.
The protocol is that of sd_notify(3).
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from contextlib import suppress

VARIABLE = "NOTIFY_SOCKET"
READY, ALIVE = "READY=1", "WATCHDOG=1"


class Systemd:
    """Whoever started us, if it is systemd and wants to hear of us; else nothing is said to anybody."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        named = environ.get(VARIABLE, "")
        self._address = f"\0{named[1:]}" if named.startswith("@") else named
        self._says = READY

    def beat(self) -> None:
        """Say that the main loop came round; the first time, that the service is ready. A lost word is none lost."""
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
            link.setblocking(False)  # noqa: FBT003 - its only argument
            link.sendto(self._says.encode(), self._address)
            self._says = ALIVE
