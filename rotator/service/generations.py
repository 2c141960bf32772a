"""The configurations in force, one after the other, each with what its work is done with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock

from rotator.fleet import Fleet
from rotator.settings import Settings

OpenFleet = Callable[[Settings], AbstractContextManager[Fleet]]
"""Makes a fleet of settings, contacting nobody; lets go of its connections at the end."""


@dataclass
class Generation:
    """Settings with their fleet; closed when they are out of force and the last round with them has ended."""

    settings: Settings
    fleet: Fleet
    closing: ExitStack
    rounds: int = field(default=0)
    is_past: bool = field(default=False)


class Generations:
    """Hands out the newest generation. Used from several threads.

    ``caught`` is told of what comes of letting go of one, which may be somebody's own code: it ends nothing.
    """

    def __init__(self, open_fleet: OpenFleet, settings: Settings, caught: Callable[[Exception], None]) -> None:
        self._open = open_fleet
        self._caught = caught
        self._lock = Lock()
        self.newest = self._opened(settings)

    def succeed(self, settings: Settings) -> None:
        """Put a new configuration in force; rounds that are under way end with the old one."""
        made = self._opened(settings)
        with self._lock:
            past, self.newest = self.newest, made
        self._retire(past)

    @contextmanager
    def borrowed(self) -> Iterator[Generation]:
        """Lend the newest for a round."""
        with self._lock:
            lent = self.newest
            lent.rounds += 1
        try:
            yield lent
        finally:
            with self._lock:
                lent.rounds -= 1
            self._close_if_done(lent)

    def close(self) -> None:
        """Let go of everything that no round needs."""
        self._retire(self.newest)

    def _opened(self, settings: Settings) -> Generation:
        closing = ExitStack()
        return Generation(settings, closing.enter_context(self._open(settings)), closing)

    def _retire(self, generation: Generation) -> None:
        generation.is_past = True
        self._close_if_done(generation)

    def _close_if_done(self, generation: Generation) -> None:
        with self._lock:
            is_done = generation.is_past and not generation.rounds
            closing = generation.closing.pop_all() if is_done else ExitStack()
        try:
            closing.close()
        except Exception as error:  # noqa: BLE001 - see above
            self._caught(error)
