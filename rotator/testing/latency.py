"""How long a real PVE takes: the medians of PVE 9.2 for each call, what a connection costs, and its one write lock.

Without it the simulated PVE answers as fast as it can, which says nothing about how fast a rotation is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock, local

from rotator.testing.refusal import died

POLL = 1.0
"""Seconds that a waiter for the write lock sleeps between two tries (measured)."""
PATIENCE = 9.9
"""Seconds after which a waiter gives up; then nothing has happened (measured)."""
COULD_NOT_LOCK = "cfs-lock 'file-user_cfg' error: got lock request timeout"

_TOKEN = re.compile(r"/access/users/[^/]+/token/[^/]+")


@dataclass(frozen=True, slots=True)
class Latency:
    """Seconds that calls take, from the request to its answer."""

    connect: float
    """What a fresh connection costs more than a kept one."""
    verify: float
    read: float
    permissions: float
    create: float
    update: float
    delete: float
    acl: float

    def of(self, method: str, path: str) -> float:
        """Return how long a call takes; ``path`` is relative to the API."""
        if path in ("/version", "/access/ticket"):
            return self.verify
        if method == "GET":
            return self.permissions if path == "/access/permissions" else self.read
        if path == "/access/acl":
            return self.acl
        if method == "PUT":
            return self.update
        return self.delete if method == "DELETE" else self.create if _TOKEN.fullmatch(path) else self.update


ONE_NODE = Latency(0.0028, 0.0017, 0.0016, 0.0019, 0.0129, 0.009, 0.0126, 0.0116)
"""Medians measured on one node of PVE 9.2; an update took 8 to 10 ms."""
THREE_NODES = Latency(0.0028, 0.0017, 0.0016, 0.0019, 0.021, 0.0125, 0.015, 0.018)
"""The same with three nodes, where an update was not measured: it is taken to be slower in proportion."""


class WriteLock:
    """The lock that a cluster has for its users, tokens and permissions. Whoever waits looks only once a second."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._lock = Lock()
        self._sleep = sleep

    def acquire(self) -> float:
        """Take it and return the seconds waited. Raises: ``RefusalError`` after 9.9 s; nothing has happened then."""
        waited = 0.0
        while not self._lock.acquire(blocking=False):
            if waited >= PATIENCE:
                raise died(COULD_NOT_LOCK)
            pause = min(POLL, PATIENCE - waited)
            self._sleep(pause)
            waited += pause
        return waited

    def release(self) -> None:
        """Give it back."""
        self._lock.release()


class _Current(local):
    """The call that a thread is answering."""

    begun = 0.0
    waited = 0.0
    holds = False


class Pacer:
    """Lets calls take as long as they take on a real PVE, of which their handling here is a part.

    Without a latency it does nothing. A change holds the write lock until its call is over, as PVE does nearly.
    """

    def __init__(self, latency: Latency | None, monotonic: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._latency = latency
        self._monotonic = monotonic
        self._sleep = sleep
        self._lock = WriteLock(sleep)
        self._current = _Current()
        self._counting = Lock()
        self.connections = 0
        """How many connections came about."""

    @contextmanager
    def connecting(self) -> Iterator[None]:
        """Let the handshake within take what a fresh connection costs."""
        begun = self._monotonic()
        with self._counting:
            self.connections += 1
        yield
        if self._latency:
            self._until(begun + self._latency.connect)

    def arrived(self) -> None:
        """Begin to count: the first bytes of a request are here. What was measured began at the client."""
        self._current.begun = self._monotonic()

    @contextmanager
    def calling(self, method: str, path: str) -> Iterator[None]:
        """Let the call that has arrived take its time; what it waits for the write lock comes on top."""
        if self._latency is None:
            yield
            return
        current = self._current
        current.waited, current.holds = 0.0, False
        try:
            yield
            self._until(current.begun + current.waited + self._latency.of(method, path))
        finally:
            if current.holds:
                self._lock.release()

    def change(self) -> None:
        """Take the write lock for the rest of the call. Raises: ``RefusalError`` after 9.9 s."""
        current = self._current
        if self._latency is None or current.holds:
            return
        current.waited = self._lock.acquire()
        current.holds = True

    def seize(self) -> None:
        """Take the write lock as somebody else would who changes something all the time, until ``free``."""
        self._lock.acquire()

    def free(self) -> None:
        """Give back what was seized."""
        self._lock.release()

    def _until(self, moment: float) -> None:
        left = moment - self._monotonic()
        if left > 0:
            self._sleep(left)
