"""Where the CPU of a rotation goes: every function's own time, put together by whose it is."""

from __future__ import annotations

import cProfile
import os
import pstats
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rotator import fleet, registry
from rotator.config import load
from rotator.events import Event
from rotator.model import Request
from rotator.wiring import open_fleet
from tests.bench.product import FailedRunError

HANDSHAKE = "TLS handshakes"
WHOSE: Mapping[str, tuple[str, ...]] = {
    "TLS and sockets": ("_ssl.", "_socket.", "/ssl.py", "/socket.py"),
    "http.client and email": ("/http/", "/email/"),
    "requests, urllib3, hvac": ("/requests/", "/urllib3/", "/hvac/"),
    "proxmoxer": ("/proxmoxer/",),
    "the product": ("/rotator/", "/rotator_backends/"),
}
"""By a part of what the profiler calls a function; the first that fits counts."""
REST = "Python's own functions and library"


def parts(config: Path, times: int) -> Mapping[str, float]:
    """Rotate all credentials, one after the other, and tell the CPU milliseconds of a rotation by whose they are.

    The profiler itself takes time at each call, so the sum is more than a rotation takes; the shares are what counts.
    """
    settings = load(config, find_backend=registry.find, environ=os.environ)
    heard: list[Event] = []
    with open_fleet(settings, heard.append) as opened:
        alone = replace(opened, parallel=1)
        fleet.rotate(alone, settings.credentials, Request(forced=True))
        profile = cProfile.Profile(time.process_time)
        for _ in range(times):
            if any(
                it.exit_code for it in profile.runcall(fleet.rotate, alone, settings.credentials, Request(forced=True))
            ):
                raise FailedRunError("a rotation that was to be profiled failed")
    return shared(pstats.Stats(profile), times * len(settings.credentials))


def shared(stats: pstats.Stats, rotations: int) -> Mapping[str, float]:
    """Put the own times of functions together, in milliseconds for each rotation, the most first."""
    found = Counter[str]()
    for (file, _, name), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined] # typeshed lacks it
        found[owner(f"{file} {name}")] += own * 1000 / rotations
    return dict(found.most_common())


def owner(function: str) -> str:
    """Say whose a function is."""
    if "do_handshake" in function:
        return HANDSHAKE
    return next((name for name, marks in WHOSE.items() if any(it in function for it in marks)), REST)
