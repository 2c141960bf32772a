"""Ctrl-C, and SIGTERM alike. The protocol survives an end at any point; this makes it a tidy one.

Worker threads do not see signals, and whoever waits for them does not end before they do. So a run is asked to begin
nothing more and finishes what is under way; the second signal ends the process at once, which is safe too.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from rotator.cli.voice import say_at_once

SIGNALS = (signal.SIGINT, signal.SIGTERM)

Handler = Callable[[int, FrameType | None], None]


class Stop:
    """Whether the run was asked to end, and by which signal."""

    def __init__(self) -> None:
        self.signal = 0
        self.is_waiting = False

    @property
    def exit_code(self) -> int:
        """What a shell expects of a process that a signal ended."""
        return 128 + self.signal

    def ask(self, number: int, _frame: FrameType | None) -> None:
        """Begin nothing more; end at once when it was asked before. While only waiting, there is nothing to finish."""
        if self.signal:
            leave(number, "stopped; `rotate due` finishes or cleans up what was under way, what is published works")
        self.signal = number
        if self.is_waiting:
            raise KeyboardInterrupt
        tell("finishing what is under way, beginning nothing more; once more to stop at once, which is safe too")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Let a signal interrupt what is done meanwhile. Raises: ``KeyboardInterrupt``, also when it came before."""
        self.is_waiting = True
        try:
            if self.signal:
                raise KeyboardInterrupt
            yield
        finally:
            self.is_waiting = False


@contextmanager
def stopping(then: Callable[[], None] = lambda: None) -> Iterator[Stop]:
    """Take signals for a run; ``then`` is called after each, and may take no lock."""
    stop = Stop()

    def asked(number: int, frame: FrameType | None) -> None:
        stop.ask(number, frame)
        then()

    with handling(asked):
        yield stop


@contextmanager
def leaving() -> Iterator[None]:
    """Take signals for something that only looks: it ends at once."""
    with handling(lambda number, _frame: leave(number, "interrupted; nothing was changed")):
        yield


@contextmanager
def handling(handler: Handler, signals: Iterable[signal.Signals] = SIGNALS) -> Iterator[None]:
    """Put handlers in place and, at the end, those that were there before."""
    before = {number: signal.signal(number, handler) for number in signals}
    try:
        yield
    finally:
        for number, was in before.items():
            signal.signal(number, was)


@contextmanager
def ended_after(seconds: float) -> Iterator[Callable[[int], None]]:
    """Offer to count from a signal, and to end the process so many seconds later, whoever does not let us go then."""
    timers = list[threading.Timer]()

    def count(number: int) -> None:
        why = "left behind who did not answer: for the lease, for a notice or as a reader; nothing is under way"
        timer = threading.Timer(seconds, leave, (number, why))
        timer.daemon = True
        timers.append(timer)
        with suppress(RuntimeError):  # the system has no thread for us
            timer.start()

    try:
        yield count
    finally:
        for timer in timers:
            timer.cancel()


def tell(message: str) -> None:
    """Say something on stderr, past all buffers: a handler may have interrupted whoever holds their locks."""
    say_at_once(f"rotate: {message}")


def leave(number: int, message: str) -> NoReturn:
    """End the process now, whatever its threads do."""
    tell(message)
    os._exit(128 + number)
