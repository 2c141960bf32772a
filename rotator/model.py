"""The values that everything else speaks in: immutable, without I/O, clock or randomness."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from rotator.record import (
    TOKEN_ID_KEY,
    TOKEN_NAME,
    TOKEN_SECRET_KEY,
    USERID,
    Secret,
    Stored,
    Token,
    TokenId,
    UnusableRecordError,
    Version,
    fields_of,
    token_of,
)
from rotator.shape import CANONICAL, Shape

__all__ = [
    "TOKEN_ID_KEY",
    "TOKEN_NAME",
    "TOKEN_SECRET_KEY",
    "USERID",
    "Credential",
    "Destination",
    "Grant",
    "Held",
    "Observation",
    "Permissions",
    "Probe",
    "Request",
    "Secret",
    "Stored",
    "Strategy",
    "Token",
    "TokenId",
    "TokenState",
    "Unread",
    "UnusableRecordError",
    "UserState",
    "Version",
    "Window",
    "fields_of",
    "token_of",
]


@dataclass(frozen=True, slots=True)
class TokenState:
    """What PVE tells of a token.

    ``expire`` is None when PVE enforces no end. A token works during the second it expires in (measured on PVE 9.2).
    """

    id: TokenId
    expire: datetime | None = None
    privsep: bool = True
    comment: str = ""

    def is_expired(self, now: datetime) -> bool:
        """Say whether PVE refuses it at that time for its age alone."""
        return self.expire is not None and self.expire < now.replace(microsecond=0)


@dataclass(frozen=True, slots=True)
class UserState:
    """A PVE user with all its tokens, as one list call shows them."""

    userid: str
    enabled: bool = True
    expire: datetime | None = None
    groups: tuple[str, ...] = ()
    tokens: tuple[TokenState, ...] = ()

    def is_usable(self, now: datetime) -> bool:
        """Say whether its tokens can log in at all."""
        return self.enabled and (self.expire is None or self.expire >= now.replace(microsecond=0))


@dataclass(frozen=True, slots=True, order=True)
class Grant:
    """One entry of PVE's access control list: a role on a path."""

    path: str
    role: str
    propagate: bool = True


Permissions = Mapping[str, Mapping[str, int]]
"""Effective permissions by path and privilege; the value is the propagate bit, held means present (measured)."""


class Strategy(StrEnum):
    """How a new secret comes about."""

    FRESH = "fresh"
    REGENERATE = "regenerate"


@dataclass(frozen=True, slots=True)
class Destination:
    """One place in one backend. ``location`` is what the backend made of the user's settings for it."""

    backend: str
    location: Any
    label: str
    """For people: ``file:/run/secrets/ci.json``; unique among all destinations, never secret."""
    shape: Shape = CANONICAL
    """Under which keys and in which words the record shows a token to its consumer."""
    audience: tuple[str, ...] = ()
    """Whom the backend tells of a new record, for people: ``deployment web``."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A GET that the new token must be able to do before it is published."""

    path: str


@dataclass(frozen=True, slots=True)
class Window:
    """When a due rotation may happen: from each match of a cron expression for a duration, in a time zone."""

    cron: str
    duration: timedelta
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class Credential:
    """What the user configures: one managed token, its interval and where its record goes."""

    name: str
    cluster: str
    owner: str
    userid: str
    base: str
    every: timedelta
    overlap: timedelta
    destinations: tuple[Destination, ...]
    """The first is the primary, the others are mirrors."""
    lifetime: timedelta | None = None
    in_flight: timedelta = timedelta(minutes=10)
    privsep: bool = True
    grants: tuple[Grant, ...] | None = None
    """None: what the predecessor has."""
    probes: tuple[Probe, ...] = ()
    windows: tuple[Window, ...] = ()
    strategy: Strategy = Strategy.FRESH
    adopt: bool = False
    paused: bool = False
    is_operator: bool = False
    siblings: frozenset[str] = frozenset()
    """The names of all credentials of this user in the configuration, where there are several."""
    operator: TokenId | None = None
    """The token of this user that manages the cluster, where no record has it: after its end nothing is rotated."""

    @property
    def primary(self) -> Destination:
        """The destination whose record decides which token is current."""
        return self.destinations[0]

    @property
    def mirrors(self) -> tuple[Destination, ...]:
        """The destinations that follow the primary."""
        return self.destinations[1:]


@dataclass(frozen=True, slots=True)
class Held:
    """A destination that was read: the token that it holds, if any, and the version of that state.

    ``is_complete`` is False when not every key shows the token as configured, as after a change of the configuration.
    """

    token: Token | None = None
    version: Version | None = None
    is_complete: bool = True


@dataclass(frozen=True, slots=True)
class Unread:
    """A destination that could not be read, or whose record makes no sense, and why."""

    message: str
    hint: str = ""
    version: Version | None = None
    """Of a record that was read and makes no sense."""


@dataclass(frozen=True, slots=True)
class Observation:
    """All that is known of one credential at one time; what the policy decides from.

    ``tokens`` are all tokens of the user, read *after* the destinations: a token that the record names and the list
    lacks is really gone. ``now`` is PVE's clock. ``user_usable`` is False when the user is disabled or has expired.
    ``accepted`` tells whether the primary's record logs in: asked only when a rotation was left unfinished, or when a
    mirror has another secret of a pinned token, else None.
    """

    credential: Credential
    now: datetime
    tokens: tuple[TokenState, ...]
    destinations: tuple[Held | Unread, ...]
    user_usable: bool = True
    accepted: bool | None = None

    @property
    def primary(self) -> Held | Unread:
        """What the first destination holds."""
        return self.destinations[0]


@dataclass(frozen=True, slots=True)
class Request:
    """What a run was asked to do beyond what is due."""

    forced: bool = False
    compromised: bool = False
    """The current token is known to others: replace it, and revoke at once whatever came before."""
    overlap: timedelta | None = None
    """For this run only, instead of the credential's own."""
    adopt: bool = False
    """Take over the token that the record holds, for this run only."""

    def overlap_of(self, credential: Credential) -> timedelta:
        """Return how long the old token lives on in this run."""
        return timedelta() if self.compromised else credential.overlap if self.overlap is None else self.overlap

    def fulfilled(self) -> Request:
        """Return what is left to ask after the forced rotation is done."""
        return replace(self, forced=False)
