"""What is there already: PVE's users, groups, roles and permissions, as values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import assert_never

from rotator.model import Token, TokenState
from rotator.setup.things import Entry, Group, Member, OperatorToken, Role, Thing, User


@dataclass(frozen=True, slots=True)
class Account:
    """A user with what hangs on it."""

    comment: str = ""
    enabled: bool = True
    groups: frozenset[str] = frozenset()
    tokens: tuple[TokenState, ...] = ()


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """One entry of the access control list. ``kind`` is ``user``, ``group`` or ``token``, ``who`` its id."""

    path: str
    role: str
    kind: str
    who: str

    @classmethod
    def of(cls, entry: Entry) -> Held:
        """Return how PVE lists an entry of ours."""
        return cls(entry.path, entry.role, "user", entry.userid)

    def is_of(self, userid: str) -> bool:
        """Say whether it is for a user or for one of its tokens."""
        return self.kind != "group" and self.who.partition("!")[0] == userid


@dataclass(frozen=True, slots=True)
class Stored:
    """What the operator's place holds, and whether that is a token which PVE knows and accepts."""

    token: Token | None = None
    is_accepted: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """All that is known of one cluster: comments of groups, privileges of roles, users, permissions and more."""

    groups: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)
    users: Mapping[str, Account] = field(default_factory=dict)
    acl: frozenset[Held] = frozenset()
    realms: frozenset[str] = frozenset()
    stored: Stored = field(default_factory=Stored)

    def has(self, thing: Thing) -> bool:
        """Say whether a thing is there, whoever made it."""
        match thing:
            case Group(name):
                return name in self.groups
            case Role(name):
                return name in self.roles
            case User(userid):
                return userid in self.users
            case Member(userid, group):
                return userid in self.users and group in self.users[userid].groups
            case Entry():
                return Held.of(thing) in self.acl
            case OperatorToken(userid):
                token = self.stored.token
                return token is not None and token.id.userid == userid and self.stored.is_accepted
        assert_never(thing)

    def members(self, group: str) -> frozenset[str]:
        """List the users in a group."""
        return frozenset(userid for userid, it in self.users.items() if group in it.groups)

    def token(self, thing: OperatorToken) -> TokenState | None:
        """Find a token by its name."""
        return next((it for it in self.tokens_of(thing.userid) if it.id.name == thing.name), None)

    def tokens_of(self, userid: str) -> tuple[TokenState, ...]:
        """List a user's tokens; none of an unknown user."""
        return self.users[userid].tokens if userid in self.users else ()
