"""What doctor looks at: all that was gathered, before anything is judged. Frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from rotator.model import Credential, Permissions, TokenId, TokenState, UserState
from rotator.pve import Entry, Greeting

Users = Mapping[str, UserState]


def lists(users: Users, token: TokenId) -> bool:
    """Say whether a token is in a list of users."""
    user = users.get(token.userid)
    return user is not None and any(token == it.id for it in user.tokens)


@dataclass(frozen=True, slots=True)
class Trouble:
    """A call that failed: what ``rotator.advice`` knows it by, and what was said."""

    code: str
    said: str
    hint: str = ""

    @property
    def told(self) -> tuple[str, ...]:
        """What was said, as evidence."""
        return tuple(filter(None, (self.said, self.hint)))


@dataclass(frozen=True, slots=True)
class EndpointSeen:
    """One endpoint: who answers there, what it knows, whether it belongs to the majority (None: not known)."""

    address: str
    greeting: Greeting
    asked: datetime
    """Our time when it answered."""
    users: Users | None = None
    quorum: bool | None = None
    trouble: Trouble | None = None
    """Why the operator's questions failed there."""

    @property
    def is_reached(self) -> bool:
        """Whether PVE's API answers there."""
        return not self.greeting.code

    @property
    def is_trusted(self) -> bool:
        """Whether what it knows of users is to be believed."""
        return self.users is not None and self.quorum is not False


@dataclass(frozen=True, slots=True)
class ClusterSeen:
    """All endpoints of a cluster."""

    name: str
    endpoints: tuple[EndpointSeen, ...]
    elsewhere: tuple[str, ...] = ()
    """Addresses that nobody configured at which PVE's API answers: the usual port of a host that was not reached."""

    @property
    def view(self) -> EndpointSeen | None:
        """The endpoint whose list of users counts; None when there is none."""
        reached = [it for it in self.endpoints if it.users is not None]
        return next((it for it in reached if it.is_trusted), reached[0] if reached else None)

    @property
    def realms(self) -> tuple[str, ...]:
        """The realms of the cluster."""
        return next((it.greeting.realms for it in self.endpoints if it.greeting.realms), ())

    def knows(self, token: TokenId) -> bool:
        """Say whether any endpoint lists a token."""
        return any(lists(it.users, token) for it in self.endpoints if it.users is not None)


@dataclass(frozen=True, slots=True)
class OperatorSeen:
    """The rotator's own access to a cluster, and what its credentials need of it.

    ``unmanaged`` are the users whose tokens it may not list, with what PVE said.
    """

    cluster: str
    userid: str
    now: datetime
    token: TokenId | None = None
    is_rotated: bool = False
    permissions: Permissions = field(default_factory=dict)
    users: Users = field(default_factory=dict)
    unmanaged: Mapping[str, str] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ()

    @property
    def managed_groups(self) -> tuple[str, ...]:
        """The groups whose members' tokens it manages, as far as entries of its own say so."""
        start = "/access/groups/"
        paths = (path for path, held in self.permissions.items() if "User.Modify" in held)
        return tuple(sorted(path.removeprefix(start) for path in paths if path.startswith(start)))

    @property
    def own_state(self) -> TokenState | None:
        """Its own token, where PVE shows it."""
        user = self.users.get(self.userid)
        return next((it for it in user.tokens if it.id == self.token), None) if user else None


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """One destination in one store."""

    label: str
    backend: str
    unread: Trouble | None = None
    unwritable: Trouble | None = None
    compares_and_sets: bool = True


@dataclass(frozen=True, slots=True)
class TrailSeen:
    """The audit trail, and why it cannot be written, "" where it can."""

    path: str
    unwritable: str
    is_required: bool


class Login(StrEnum):
    """What came of logging in with a token."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNFIT = "unfit"
    SILENT = "silent"
    UNASKED = "unasked"


Wanted = Mapping[str, frozenset[str]]
"""Privileges by path."""


@dataclass(frozen=True, slots=True)
class TokenSeen:
    """A token that somebody shows, from the operator's side and, once that explains nothing, from its own.

    ``everybody``: the operator sees all users, so that one who is not listed is not there. ``is_elsewhere``: another
    node lists the token, and the one that counts does not. ``effective`` are its permissions, ``user_permissions`` its
    user's, ``entries`` its own in the access control list; None where they are not known. ``wanted`` is what it should
    be able to do, ``granted`` the paths that the configuration grants roles on.
    """

    token: TokenId
    now: datetime
    realms: tuple[str, ...]
    users: Users
    everybody: bool = False
    is_elsewhere: bool = False
    login: Login = Login.UNASKED
    wanted: Wanted = field(default_factory=dict)
    granted: tuple[str, ...] = ()
    role: str = ""
    effective: Permissions | None = None
    user_permissions: Permissions | None = None
    entries: tuple[Entry, ...] | None = None
    nodes: tuple[str, ...] = ()
    credential: str = ""

    @property
    def user(self) -> UserState | None:
        """Its user, as far as the operator sees it."""
        return self.users.get(self.token.userid)

    @property
    def state(self) -> TokenState | None:
        """The token, as far as the operator sees it."""
        return next((it for it in self.user.tokens if it.id == self.token), None) if self.user else None

    @property
    def values(self) -> dict[str, str]:
        """What is known of it, for the text of a finding."""
        name, realm = self.token.name, self.token.userid.rpartition("@")[2]
        about = {"token": str(self.token), "userid": self.token.userid, "name": name, "realm": realm}
        return about | {"credential": self.credential, "role": self.role}
