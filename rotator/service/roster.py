"""Whose turn it is when, in one cluster. Times are on the scheduler's axis. Used from several threads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Lock

from rotator.model import Credential, Request
from rotator.service.standing import Trigger
from rotator.service.timetable import Look

QUIETLY = Request()
"""What is asked of a credential when it is looked at by itself."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for, and who."""

    request: Request
    who: str


@dataclass(frozen=True, slots=True)
class Entry:
    """When one credential is woken: at a wish, after a back-off, at a change, at the next look; the first that is."""

    credential: Credential
    change: datetime | None = None
    """When something will be to do."""
    why: Trigger = Trigger.CHANGE
    """Of what kind that is."""
    held_until: datetime | None = None
    """Not before that, after a failure."""
    failures: int = 0
    """In a row."""
    wish: Wish | None = None

    def wake(self, look: datetime, now: datetime) -> datetime | None:
        """Return when it is woken; None while it is paused."""
        if self.wish:
            return now
        if self.credential.paused:
            return None
        return self.held_until or min(self.change or look, look)

    def trigger(self, now: datetime) -> Trigger:
        """Say why it is woken now."""
        if self.wish:
            return Trigger.ASKED
        if self.held_until:
            return Trigger.RETRY
        return self.why if self.change and self.change <= now else Trigger.LOOK


class Roster:
    """The credentials of one cluster and the next look at it."""

    def __init__(self, credentials: Iterable[Credential], look: Look, now: datetime, why: Trigger) -> None:
        self.look = look
        self._entries = {it.name: Entry(it, now, why) for it in credentials}
        self._lock = Lock()

    def due(self, now: datetime) -> list[Entry]:
        """Return whose turn it is."""
        with self._lock:
            wakes = ((entry, entry.wake(self.look.at, now)) for entry in self._entries.values())
            return [entry for entry, wake in wakes if wake is not None and wake <= now]

    def next(self, now: datetime) -> datetime | None:
        """Return when it is somebody's turn; None when it never is."""
        with self._lock:
            wakes = (entry.wake(self.look.at, now) for entry in self._entries.values())
            return min((wake for wake in wakes if wake is not None), default=None)

    def wakes(self, now: datetime) -> dict[str, datetime | None]:
        """Return when each is woken, by its name; None for one that never is."""
        with self._lock:
            return {name: entry.wake(self.look.at, now) for name, entry in self._entries.items()}

    def settle(self, before: Entry, after: Entry) -> None:
        """Put an entry anew after a run.

        What came meanwhile is kept: a wish, another configuration, and that everybody was woken.
        """
        with self._lock:
            name = before.credential.name
            now = self._entries.get(name)
            if now is None:
                return
            wish = None if now.wish is before.wish else now.wish
            if now.credential != before.credential:
                self._entries[name] = replace(now, wish=wish)
                return
            if now.change != before.change:
                after = replace(after, change=now.change, why=now.why, held_until=None)
            self._entries[name] = replace(after, credential=now.credential, wish=wish)

    def ask(self, name: str, wish: Wish) -> bool:
        """Note a wish; False when there is no such credential here.

        Repeat: who wants what somebody already waits for gets it with him, in one run.
        """

        def noted(entry: Entry) -> Entry:
            is_asked = entry.wish is not None and entry.wish.request == wish.request
            return entry if is_asked else replace(entry, wish=wish)

        return self._edit([name], noted)

    def wake_all(self, now: datetime, why: Trigger) -> None:
        """Make it everybody's turn, also of those who are held after a failure."""
        self._edit(list(self._entries), lambda entry: replace(entry, change=now, why=why, held_until=None))

    def hold(self, names: Iterable[str], until: datetime) -> None:
        """Hold some back for a while."""
        self._edit(names, lambda entry: replace(entry, held_until=until, wish=None))

    def renew(self, credentials: Iterable[Credential], now: datetime) -> None:
        """Take over a new configuration: who stays as he was keeps his place, everybody else is woken.

        So is who is held after a failure: what stands elsewhere in it, as an operator, may be what mends that. What
        somebody asked for is kept. Of the old one nothing else is, equal or not, so that it does not stay beside the
        new one.
        """

        def renewed(entry: Entry | None, it: Credential) -> Entry:
            if entry and entry.credential == it:
                woken = replace(entry, change=now, why=Trigger.RELOAD, held_until=None) if entry.held_until else entry
                return replace(woken, credential=it)
            return Entry(it, now, Trigger.RELOAD, wish=entry.wish if entry else None)

        with self._lock:
            self._entries = {it.name: renewed(self._entries.get(it.name), it) for it in credentials}

    def _edit(self, names: Iterable[str], edit: Callable[[Entry], Entry]) -> bool:
        with self._lock:
            known = [name for name in names if name in self._entries]
            self._entries |= {name: edit(self._entries[name]) for name in known}
            return bool(known)
