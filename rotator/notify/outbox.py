"""The queue of one channel: what is put there is sent by a thread of its own, so that nobody waits for it.

It is bounded: when it is full the oldest goes, because the newest says how things stand. What cannot be delivered is
tried again after growing pauses, some six minutes long, and then given up; either is counted, and said in the log.
No library is taken for it: those that repeat calls sleep, and this one must wake up when the process ends.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import Condition, Event, Thread

from rotator import bugs
from rotator.errors import RotatorError, UnavailableError
from rotator.notify.notice import Notice

LOG = logging.getLogger(__name__)
MOST = 1000
PAUSES = (1.0, 4.0, 16.0, 64.0, 256.0)
"""Seconds between the tries."""

Send = Callable[[Notice], None]
"""Sends a notice once. Raises ``UnavailableError`` when another try may do better."""


def wait(seconds: float, closing: Event) -> None:
    """Wait, but no longer than until the end begins."""
    closing.wait(seconds)


def uncounted(_many: int) -> None:
    """Count nothing."""


class Outbox:
    """Sends notices one after the other.

    ``pause`` waits between two tries, until the event is set; ``lose`` is told how many were not delivered.
    """

    def __init__(
        self,
        name: str,
        send: Send,
        pause: Callable[[float, Event], None] = wait,
        most: int = MOST,
        lose: Callable[[int], None] = uncounted,
    ) -> None:
        self.name = name
        self.delivered = 0
        self.dropped = 0
        """Notices that were never delivered."""
        self._send = send
        self._pause = pause
        self._most = most
        self._count = lose
        self._queue: deque[Notice] = deque()
        self._changed = Condition()
        self._closing = Event()
        self._is_at_one = False
        self._thread: Thread | None = None

    @property
    def is_empty(self) -> bool:
        """Say whether nothing is left to be sent."""
        with self._changed:
            return not self._queue and not self._is_at_one

    def put(self, notice: Notice) -> None:
        """Take a notice; never waits."""
        with self._changed:
            if len(self._queue) >= self._most:
                self._queue.popleft()
                self._lose("the queue is full", 1)
            self._queue.append(notice)
            if self._thread is None:
                self._begin()
            self._changed.notify_all()

    def _begin(self) -> None:
        """Begin to send; where the system has no thread for us the next notice tries again: a rotation goes on here."""
        thread = Thread(target=self._work, name=f"notify {self.name}", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def drain(self, seconds: float) -> None:
        """Wait until everything is delivered or given up, pauses and all, for so long at most."""
        with self._changed:
            self._changed.wait_for(lambda: not self._queue and not self._is_at_one, seconds)

    def hurry(self) -> None:
        """Send what is left, and whatever comes from now on, each in one more try; nobody waits for it."""
        with self._changed:
            self._closing.set()
            self._changed.notify_all()

    def close(self, seconds: float) -> None:
        """Hurry, and wait for so long at most. Repeat: nothing happens."""
        self.hurry()
        if thread := self._thread:
            thread.join(seconds)
        with self._changed:
            if left := len(self._queue) + self._is_at_one:
                self._queue.clear()
                self._is_at_one = False
                self._lose("the process ends", left)

    def _work(self) -> None:
        while (notice := self._next()) is not None:
            why = self._deliver(notice)
            with self._changed:
                if why and self._is_at_one:
                    self._lose(why, 1)
                self.delivered += not why
                self._is_at_one = False
                self._changed.notify_all()

    def _next(self) -> Notice | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closing.is_set())
            self._is_at_one = bool(self._queue)
            if self._queue:
                return self._queue.popleft()
            self._thread = None  # this one ends; should something come all the same, there will be another
            return None

    def _deliver(self, notice: Notice) -> str:
        """Try until it is delivered or given up; say why it was given up."""
        for seconds in (*PAUSES, None):
            is_last = self._closing.is_set()
            try:
                self._send(notice)
            except UnavailableError as error:
                if seconds is None or is_last:
                    return error.message
                self._pause(seconds, self._closing)
            except RotatorError as error:
                return error.message
            except Exception as error:  # noqa: BLE001 - what is told must not keep anybody from the work
                return bugs.named(error)
            else:
                return ""
        return ""

    def _lose(self, why: str, many: int) -> None:
        self.dropped += many
        self._count(many)
        LOG.warning("notifications that %s did not get: %d (%s); %d so far", self.name, many, why, self.dropped)
