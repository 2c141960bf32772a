"""Where it is written up how everything stands: one writer at a time, readers that need no lock."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from threading import RLock
from types import MappingProxyType
from typing import Any

from rotator.events import Event, Outcome, Step
from rotator.service.standing import ClusterStanding, ConfigurationStanding, CredentialStanding, Standing, State


@dataclass(frozen=True, slots=True)
class Change:
    """What was before and what is now, and the names of the credentials whose standing was put anew."""

    before: Standing
    after: Standing
    credentials: tuple[str, ...] = ()


Watcher = Callable[[Change], None]
"""Takes every change, one at a time, in order, from several threads; must be quick."""


class Board:
    """Holds the newest standing. ``caught`` is told of what a watcher raises: it ends nothing."""

    def __init__(self, first: Standing, caught: Callable[[Exception], None]) -> None:
        self.standing = first
        self._caught = caught
        self._watchers: tuple[Watcher, ...] = ()
        self._lock = RLock()

    def watch(self, watcher: Watcher) -> None:
        """Call somebody after each change from now on."""
        with self._lock:
            self._watchers = (*self._watchers, watcher)

    def set(self, **parts: Any) -> None:  # noqa: ANN401 - fields of a standing
        """Put some parts anew."""
        with self._lock:
            self._swap(replace(self.standing, **parts))

    def renew(self, edit: Callable[[Standing], Standing]) -> None:
        """Put everything anew, made of what it is by then: nobody writes anything up in between."""
        with self._lock:
            self._swap(edit(self.standing))

    def put(self, standings: Iterable[CredentialStanding], under: ConfigurationStanding | None = None) -> None:
        """Put the standings of some credentials anew.

        ``under`` is what was in force when the work on them began: of another that came meanwhile what it says stays.
        """
        with self._lock:
            is_old = under is not None and under is not self.standing.configuration
            fitted = (self._fitted(it) if is_old else it for it in standings)
            changed = {it.name: it for it in fitted if it}
            whole = MappingProxyType({**self.standing.credentials, **changed})
            self._swap(replace(self.standing, credentials=whole), tuple(changed))

    def put_cluster(self, name: str, edit: Callable[[ClusterStanding], ClusterStanding]) -> None:
        """Edit the standing of a cluster, if it is still configured."""
        with self._lock:
            if (cluster := self.standing.clusters.get(name)) is not None:
                whole = MappingProxyType({**self.standing.clusters, name: edit(cluster)})
                self._swap(replace(self.standing, clusters=whole))

    def hear(self, event: Event) -> None:
        """Write up which step a credential is at; a listener."""
        if event.outcome is Outcome.STARTED:
            self._at_work(event.credential, event.step)

    def rests(self, name: str) -> None:
        """Write up that a credential is not being worked on any more."""
        self._at_work(name, None)

    def _fitted(self, made: CredentialStanding) -> CredentialStanding | None:
        """Make a standing one of the configuration that is in force now; None where it has no such credential."""
        now = self.standing.credentials.get(made.name)
        if now is None or now.cluster != made.cluster:
            return None
        fitted = replace(made, every=now.every, overlap=now.overlap, destinations=now.destinations)
        return fitted.paused() if now.state is State.PAUSED else fitted

    def _at_work(self, name: str, step: Step | None) -> None:
        with self._lock:
            busy = {other: at for other, at in self.standing.at_work.items() if other != name}
            if step is not None or len(busy) < len(self.standing.at_work):
                busy |= {} if step is None else {name: step}
                self._swap(replace(self.standing, at_work=MappingProxyType(busy)))

    def _swap(self, after: Standing, credentials: tuple[str, ...] = ()) -> None:
        change = Change(self.standing, after, credentials)
        self.standing = after
        for watcher in self._watchers:
            try:
                watcher(change)
            except Exception as error:  # noqa: BLE001 - what is told must not keep anybody from the work
                self._caught(error)
