"""Notifying of a single run, and of what changes while ``rotate serve`` runs.

A single run has no memory of its own. With an audit trail it looks up there what was told before, so that it tells of
what has changed; without one each run that fails tells so, and none tells that all is well again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

from rotator.clock import Clock, SystemClock
from rotator.errors import RotatorError
from rotator.fleet import Fleet
from rotator.model import UserState
from rotator.pve import Pve
from rotator.rotate import Result
from rotator.settings import Settings
from rotator.wiring import recorder

if TYPE_CHECKING:
    from rotator.notify.notifier import Notifier
    from rotator.service.board import Change
    from rotator.service.reload import Source
    from rotator.service.service import Service

PATIENCE = 15.0
"""Seconds for which a single run waits at its end until everybody is told."""
LATEST = 27.0
"""Seconds after the signal that ends the service, by which it has ended; Kubernetes kills after 30."""
LEAST = 1.0


@contextmanager
def telling(service: Service, source: Source, clock: Clock, lose: Callable[[int], None]) -> Iterator[None]:
    """Notify of what changes on the board of a service, by the channels of the configuration in force.

    ``lose`` is told how many notifications somebody did not get.
    """
    from rotator.notify.notifier import opened  # noqa: PLC0415 - what is not configured costs nothing

    settings, stopped = source.settings, list[float]()
    notifier = opened(settings, clock, recorder(settings, clock, os.environ), os.environ, lose)

    def see(change: Change) -> None:
        if source.settings is not notifier.settings:
            notifier.record_by(recorder(source.settings, clock, os.environ))
            notifier.renew(source.settings)
        if change.after.is_stopping and not stopped:
            stopped.append(monotonic())
            notifier.hurry()
        notifier.see(change)

    service.board.watch(see)
    try:
        yield
    finally:
        spent = monotonic() - stopped[0] if stopped else 0.0
        notifier.close(max(LEAST, LATEST - spent))


class Notifying:
    """Notifies of a single run, if there are channels."""

    def __init__(self, settings: Callable[[], Settings], clock: Clock | None) -> None:
        self._settings = settings
        self._clock = clock or SystemClock()
        self._lists: dict[str, tuple[Mapping[str, UserState], datetime]] = {}
        self._notifier: Notifier | None = None

    def watched(self, fleet: Fleet) -> Fleet:
        """Look at what the lists say that are asked for anyway."""
        return replace(fleet, listed=self._look) if self._is_wanted else fleet

    def tell(self, results: Sequence[Result]) -> None:
        """Notify of what is news; nobody waits for it yet."""
        if not self._is_wanted:
            return
        from rotator.notify.notifier import opened  # noqa: PLC0415 - what is not configured costs nothing
        from rotator.notify.single import Listed, Single  # noqa: PLC0415 - the same

        settings, clock, now = self._settings(), self._clock, self._clock.now()
        if self._notifier is None:
            self._notifier = opened(settings, clock, recorder(settings, clock, os.environ), os.environ)
        listed = {name: Listed(users, pve, now) for name, (users, pve) in self._lists.items()}
        self._notifier.tell(Single(settings, results, listed, now).news(self._notifier.vigil))

    def close(self) -> None:
        """Wait until everybody is told, but not for ever; while the stores are open, where secrets may be."""
        if self._notifier:
            self._notifier.drain(PATIENCE)
            self._notifier.close(LEAST)

    @property
    def _is_wanted(self) -> bool:
        return bool(self._settings().telling.notify.channels)

    def _look(self, pve: Pve, users: Mapping[str, UserState]) -> None:
        with suppress(RotatorError):
            self._lists[pve.name] = (users, pve.now())
