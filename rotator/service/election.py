"""Who leads, agreed by a lease that is renewed: the rules of Kubernetes' client-go, with its times.

The leader renews every 2 s; one that could not for 10 s does not begin anything more; the others take over a lease that
they have not seen change for 15 s by their own clock, so nobody's wall clock matters: 17 s after the leader's death,
and what a call to Kubernetes takes. One that ends gives it back, and the next takes over within 2 s. A lease of another
duration makes all of these longer or shorter alike. Not taken: the elector of the official Python client, which sleeps
by itself, prints, and writes the lease into an annotation of a ConfigMap.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from rotator.bugs import named
from rotator.clock import Clock
from rotator.errors import ConflictError, RotatorError
from rotator.service.standing import LeadershipStanding


@dataclass(frozen=True, slots=True)
class Terms:
    """How long a lease lasts, by what time the leader has to have renewed it, and how often everybody tries."""

    lease: timedelta = timedelta(seconds=15)

    @property
    def renew(self) -> timedelta:
        """Two thirds of it."""
        return self.lease * 2 / 3

    @property
    def retry(self) -> timedelta:
        """A fifth of that."""
        return self.renew / 5


USUAL = Terms()
LEASE, RENEW, RETRY = USUAL.lease, USUAL.renew, USUAL.retry


@dataclass(frozen=True, slots=True)
class Holding:
    """A lease: who holds it since when. ``version`` is the store's, "" for one that is to be made."""

    holder: str
    duration: timedelta
    acquired: datetime
    renewed: datetime
    transitions: int = 0
    version: str = ""


class Leases(Protocol):
    """Where the one lease is kept, with compare-and-set."""

    def read(self) -> Holding | None:
        """Read it; None where there is none. Raises: ``UnavailableError``, ``RefusedError``."""
        ...

    def write(self, holding: Holding) -> Holding:
        """Make it, or put it anew if its version is still that one; return it with its new version.

        Raises: ``ConflictError``; ``UnavailableError``, also for an unanswered write; ``RefusedError``.
        """
        ...


class Election:
    """One candidate. ``attempt`` is called every ``terms.retry``, by one thread; the rest may be called by any."""

    def __init__(self, leases: Leases, identity: str, clock: Clock, terms: Terms = USUAL) -> None:
        self._leases = leases
        self.terms = terms
        self._identity = identity
        self._clock = clock
        self._renewed: float | None = None
        """When we last held it for sure, by our monotonic clock."""
        self._held: Holding | None = None
        self._seen = ("", 0.0)
        """The version that was seen last, and since when."""
        self._standing = LeadershipStanding("kubernetes", leads=False, identity=identity)

    def leads(self) -> bool:
        """Say whether we have held the lease within the last 10 s, or what its terms are."""
        renewed = self._renewed
        return renewed is not None and self._clock.monotonic() - renewed < self.terms.renew.total_seconds()

    def standing(self) -> LeadershipStanding:
        """Tell who leads."""
        return replace(self._standing, leads=self.leads())

    def attempt(self) -> None:
        """Renew the lease, or take it if it may be taken. Raises nothing: another attempt will come."""
        try:
            self._attempt()
        except ConflictError:  # somebody else was faster; the next attempt sees who
            self._renewed = None
        except RotatorError as error:
            self._standing = replace(self._standing, message=error.message)
        except Exception as error:  # noqa: BLE001 - its thread would end, and this instance never lead again
            self._standing = replace(self._standing, message=named(error))

    def resign(self) -> None:
        """Give the lease back, if we have it. Repeat: nothing happens."""
        held, self._held, self._renewed = self._held, None, None
        if held is not None:
            with suppress(RotatorError):
                self._leases.write(replace(held, holder="", duration=timedelta(seconds=1), renewed=self._clock.now()))

    def _attempt(self) -> None:
        started, now = self._clock.monotonic(), self._clock.now()
        found = self._leases.read()
        if found is not None and found.holder not in {"", self._identity} and not self._is_abandoned(found, started):
            self._renewed, self._held = None, None
            self._tell(found)
            return
        wanted = Holding(self._identity, self.terms.lease, now, now)
        if found is not None:
            is_ours = found.holder == self._identity
            turns = found.transitions + (not is_ours)
            since = found.acquired if is_ours else now
            wanted = replace(wanted, acquired=since, transitions=turns, version=found.version)
        self._held = self._leases.write(wanted)
        self._renewed = started
        self._tell(self._held)

    def _is_abandoned(self, found: Holding, now: float) -> bool:
        version, since = self._seen
        if version != found.version:
            self._seen = (found.version, now)
            return False
        return now - since >= found.duration.total_seconds()

    def _tell(self, holding: Holding) -> None:
        self._standing = replace(self._standing, holder=holding.holder, since=holding.acquired, message="")


class Campaign:
    """An election with a thread of its own; implements ``Leader``. ``ring`` is called when the leadership changes."""

    def __init__(self, election: Election, ring: Callable[[], None]) -> None:
        self._election = election
        self._ring = ring
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="leader", daemon=True)
        self._thread.start()
        self.leads, self.standing = election.leads, election.standing

    def close(self) -> None:
        """Stand no more, and give the lease back, unless Kubernetes does not answer anyway."""
        self._over.set()
        self._thread.join(RETRY.total_seconds())
        if not self._thread.is_alive():
            self._election.resign()

    def _run(self) -> None:
        while not self._over.is_set():
            before = self._election.leads()
            self._election.attempt()
            if self._election.leads() != before:
                self._ring()
            self._over.wait(self._election.terms.retry.total_seconds())
