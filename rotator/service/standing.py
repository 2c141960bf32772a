"""How everything stands: frozen values that a page, metrics and notifications read. Nothing in them is secret."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from rotator.events import Step
from rotator.faults import Problem
from rotator.rotate import Result


class State(StrEnum):
    """How a credential stands, in a word."""

    NEW = "new"
    WELL = "well"
    WAITING = "waiting"
    PAUSED = "paused"
    FAILING = "failing"
    NEEDS_ATTENTION = "needs-attention"
    LOCKED_OUT = "locked-out"


WORDS: Mapping[State, str] = MappingProxyType(
    {
        State.NEW: "not looked at yet",
        State.WELL: "all is well",
        State.WAITING: "somebody else may be rotating it",
        State.PAUSED: "paused in the configuration",
        State.FAILING: "failed and will be tried again",
        State.NEEDS_ATTENTION: "failed and needs a person",
        State.LOCKED_OUT: "what its consumers read does not work",
    }
)
"""The same in a sentence."""


class Trigger(StrEnum):
    """Why a credential was looked at."""

    START = "start"
    LOOK = "look"
    CHANGE = "change"
    RETRY = "retry"
    RELOAD = "reload"
    ASKED = "asked"


class Role(StrEnum):
    """What a token is to its credential, as far as PVE's list tells."""

    CURRENT = "current"
    RETIRING = "retiring"
    UNPUBLISHED = "unpublished"


@dataclass(frozen=True, slots=True)
class TokenSight:
    """A token as PVE's list shows it; times are PVE's. ``issued`` is None for one that we did not make."""

    id: str
    role: Role
    issued: datetime | None = None
    expire: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended that did something or failed; ``who`` is set where somebody asked for it."""

    at: datetime
    trigger: Trigger
    result: Result
    who: str = ""


@dataclass(frozen=True, slots=True)
class CredentialStanding:
    """One credential. What is empty or None is not known (yet), or is not so."""

    name: str
    cluster: str
    every: timedelta
    overlap: timedelta
    state: State = State.NEW
    reason: str = ""
    """Of the last look or run, as everywhere in the product."""
    message: str = ""
    hint: str = ""
    token: str = ""
    """The id of the published token."""
    last: Ended | None = None
    """The last run that did something or failed."""
    seen: datetime | None = None
    """When it was looked at last."""
    well: datetime | None = None
    """When it was found in order, or brought there, last."""
    failures: int = 0
    """In a row."""
    backoff_until: datetime | None = None
    next_wake: datetime | None = None
    """When it is looked at again at the latest."""
    next_change: datetime | None = None
    """When something will be to do, by PVE's clock."""
    tokens: tuple[TokenSight, ...] = ()
    """The current one first."""
    destinations: tuple[tuple[str, str], ...] = ()
    """Where its record goes, the primary first: what people call the place, and the name of the backend."""

    @property
    def needs_attention(self) -> bool:
        """Say whether a person is needed."""
        return self.state in {State.NEEDS_ATTENTION, State.LOCKED_OUT}

    @property
    def words(self) -> str:
        """Say how it stands in a sentence."""
        return WORDS[self.state]

    def paused(self) -> CredentialStanding:
        """Return how it stands once it is paused: nobody looks at it again, so nothing is to come, or too late."""
        bare = replace(self, failures=0, backoff_until=None, next_wake=None, next_change=None)
        return replace(bare, state=State.PAUSED)


@dataclass(frozen=True, slots=True)
class ClusterStanding:
    """One cluster. ``is_reachable`` is None before the first look."""

    name: str
    endpoints: tuple[str, ...]
    is_reachable: bool | None = None
    reason: str = ""
    message: str = ""
    hint: str = ""
    seen: datetime | None = None
    """When it was asked last."""
    answered: datetime | None = None
    """When it answered last."""
    next_look: datetime | None = None
    operator_expire: datetime | None = None
    """The end of the operator's own token, by PVE's clock, where the configuration names that token."""
    clock_offset: timedelta | None = None
    """How far its clock was ahead of ours when it answered last."""
    greetings: Mapping[str, str] = field(default_factory=dict)
    """Of several endpoints, why each did not answer when it was asked last; "" for one that did."""


@dataclass(frozen=True, slots=True)
class ConfigurationStanding:
    """The configuration that is in force, and the one that was refused since, if any."""

    path: str
    digest: str
    """Of the file's bytes (SHA-256, hexadecimal)."""
    loaded: datetime
    refused: datetime | None = None
    """When a newer file was refused; what was in force before still is."""
    problems: tuple[Problem, ...] = ()
    """What is wrong with the newer one."""
    message: str = ""
    """The same in words."""


@dataclass(frozen=True, slots=True)
class LeadershipStanding:
    """Who works: ``leads`` says whether this process does. ``kind`` is "none" where everybody does."""

    kind: str = "none"
    leads: bool = True
    identity: str = ""
    holder: str = ""
    since: datetime | None = None
    message: str = ""
    """Why it is not known who leads, if so."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Everything, at one moment. Credentials and clusters stand in the order of the configuration."""

    started: datetime
    configuration: ConfigurationStanding
    credentials: Mapping[str, CredentialStanding] = field(default_factory=dict)
    clusters: Mapping[str, ClusterStanding] = field(default_factory=dict)
    leadership: LeadershipStanding = field(default_factory=LeadershipStanding)
    at_work: Mapping[str, Step] = field(default_factory=dict)
    """The credentials that are being rotated, with the step that each is at."""
    is_stopping: bool = False
