"""What a PVE cluster knows of its users: one immutable value, so that a node can go on holding an old one.

Every change makes a new ``State`` that shares what has not changed; readers never see half a change. The mappings in
here are never changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple
from urllib.parse import quote

from rotator.testing.names import ROOT
from rotator.testing.privileges import BUILT_IN_ROLES
from rotator.testing.second_factor import Factors

USER_CFG_LIMIT = 1024 * 1024
"""Bytes that user.cfg may have (measured: beyond it every write fails)."""


@dataclass(frozen=True, slots=True)
class Token:
    """An API token. ``expire`` is in seconds since 1970; 0 is never."""

    secret: str = field(repr=False)
    privsep: bool = True
    expire: int = 0
    comment: str = ""

    def shown(self) -> dict[str, object]:
        """Show what PVE shows of it: numbers, the comment only if there is one, never the secret."""
        shown: dict[str, object] = {"privsep": int(self.privsep), "expire": self.expire}
        return shown | ({"comment": self.comment} if self.comment else {})


@dataclass(frozen=True)
class User:
    """A user. ``profile`` holds first name, last name, e-mail, comment and keys, those that are set."""

    enable: bool = True
    expire: int = 0
    groups: frozenset[str] = frozenset()
    tokens: Mapping[str, Token] = field(default_factory=dict)
    password: str | None = field(default=None, repr=False)
    profile: Mapping[str, str] = field(default_factory=dict)
    factors: Factors = field(default_factory=Factors)

    def is_usable(self, now: float) -> bool:
        """Say whether the user, and each of its tokens, may log in at all."""
        return self.enable and not is_over(self.expire, now)

    @cached_property
    def size(self) -> int:
        """Bytes in user.cfg: colon-separated lines in which comments are percent-encoded."""
        tokens = sum(len(name) + len(str(token.expire)) + _stored(token.comment) for name, token in self.tokens.items())
        return sum(map(_stored, self.profile.values())) + tokens + _LINE * (1 + len(self.tokens))


@dataclass(frozen=True, slots=True)
class Pool:
    """A resource pool: privileges on it hold for its guests and storages."""

    comment: str = ""
    vms: frozenset[int] = frozenset()
    storages: frozenset[str] = frozenset()

    def paths(self) -> set[str]:
        """List the ACL paths of its members."""
        return {f"/vms/{vm}" for vm in self.vms} | {f"/storage/{storage}" for storage in self.storages}


class Holder(NamedTuple):
    """Whom an entry of the access control list is for."""

    kind: Literal["user", "group", "token"]
    name: str

    def belongs_to(self, userid: str) -> bool:
        """Say whether this is a user or one of its tokens."""
        return self.kind != "group" and (self.name == userid or self.name.rpartition("!")[0] == userid)


AclNode = Mapping[Holder, Mapping[str, bool]]
"""The entries at one path: holder -> role -> whether it propagates."""


@dataclass(frozen=True)
class State:
    """Users, groups (with their comments), roles, access control list and pools of a cluster."""

    users: Mapping[str, User] = field(default_factory=lambda: {ROOT: User()})
    groups: Mapping[str, str] = field(default_factory=dict)
    roles: Mapping[str, frozenset[str]] = field(default_factory=lambda: BUILT_IN_ROLES)
    acl: Mapping[str, AclNode] = field(default_factory=dict)
    pools: Mapping[str, Pool] = field(default_factory=dict)

    def with_user(self, userid: str, user: User) -> State:
        """Put a user in, or in the place of the one with this id."""
        return replace(self, users={**self.users, userid: user})

    def without_user(self, userid: str) -> State:
        """Take a user out, with its tokens and all its ACL entries."""
        kept = {name: user for name, user in self.users.items() if name != userid}
        return replace(self, users=kept, acl=_without(self.acl, lambda holder: holder.belongs_to(userid)))

    def with_token(self, userid: str, name: str, token: Token) -> State:
        """Put a token in, or in the place of the one with this id."""
        user = self.users[userid]
        return self.with_user(userid, replace(user, tokens={**user.tokens, name: token}))

    def without_token(self, userid: str, name: str) -> State:
        """Take a token out, and its ACL entries for good (measured: creating the id again does not revive them)."""
        user = self.users[userid]
        tokens = {key: token for key, token in user.tokens.items() if key != name}
        gone = Holder("token", f"{userid}!{name}")
        acl = _without(self.acl, lambda holder: holder == gone)
        return replace(self.with_user(userid, replace(user, tokens=tokens)), acl=acl)

    def without_group(self, groupid: str) -> State:
        """Take a group out, with its memberships and ACL entries."""
        users = {
            userid: replace(user, groups=user.groups - {groupid}) if groupid in user.groups else user
            for userid, user in self.users.items()
        }
        groups = {name: comment for name, comment in self.groups.items() if name != groupid}
        acl = _without(self.acl, lambda holder: holder == Holder("group", groupid))
        return replace(self, users=users, groups=groups, acl=acl)

    def with_grant(self, path: str, holder: Holder, role: str, *, propagate: bool) -> State:
        """Add an ACL entry, or change whether it propagates."""
        node = self.acl.get(path, {})
        entry = {**node.get(holder, {}), role: propagate}
        return replace(self, acl={**self.acl, path: {**node, holder: entry}})

    def without_grant(self, path: str, holder: Holder, role: str) -> State:
        """Take an ACL entry out; nothing happens when there is none."""
        node = self.acl.get(path, {})
        entry = {name: propagate for name, propagate in node.get(holder, {}).items() if name != role}
        kept = {**node, holder: entry} if entry else {who: roles for who, roles in node.items() if who != holder}
        acl = {**self.acl, path: kept} if kept else {name: one for name, one in self.acl.items() if name != path}
        return replace(self, acl=acl)

    def find_token(self, userid: str, name: str) -> Token | None:
        """Return a token, or None when it or its user is not there."""
        user = self.users.get(userid)
        return user.tokens.get(name) if user else None

    def size(self) -> int:
        """Estimate the bytes of user.cfg."""
        users = sum(len(userid) * (1 + len(user.tokens)) + user.size for userid, user in self.users.items())
        entries = sum(len(path) + _LINE + len(who.name) for path, node in self.acl.items() for who in node)
        return users + entries + sum(map(_stored, self.groups.values()))


_LINE = 16
"""Bytes of a line of user.cfg beside names and comments, about."""


def is_over(expire: int, now: float) -> bool:
    """Say whether an end has passed: it works during the second that it ends in (measured, ``expire < now``)."""
    return expire != 0 and expire < int(now)


def _stored(text: str) -> int:
    return len(text) if text.isalnum() and text.isascii() else len(quote(text))


def _without(acl: Mapping[str, AclNode], gone: Callable[[Holder], bool]) -> dict[str, AclNode]:
    kept = {path: {who: roles for who, roles in node.items() if not gone(who)} for path, node in acl.items()}
    return {path: node for path, node in kept.items() if node}
