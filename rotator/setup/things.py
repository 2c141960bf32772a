"""What there can be to set up at PVE, one thing for each call that makes it. Pure.

Every thing knows the ``pveum`` command that makes it and the one that takes it away: they are shown before anything is
done, so that everybody may type them instead.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rotator.model import TokenId

Words = tuple[str, ...]
"""A command as a shell would take it apart."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group: whose members' tokens are managed."""

    name: str

    def words(self) -> Words:
        """Name it."""
        return ("group", self.name)

    def purpose(self) -> str:
        """Say what it is for."""
        return f"group {self.name}: the users whose tokens are rotated"

    def making(self, comment: str) -> Words:
        """Make it."""
        return ("pveum", "group", "add", self.name, "--comment", comment)

    def removing(self) -> Words:
        """Take it away."""
        return ("pveum", "group", "delete", self.name)


@dataclass(frozen=True, slots=True)
class Role:
    """A role: what the operator may do. PVE keeps no comment of a role."""

    name: str
    privileges: frozenset[str]

    def words(self) -> Words:
        """Name it."""
        return ("role", self.name, ",".join(sorted(self.privileges)))

    def purpose(self) -> str:
        """Say what it is for."""
        return f"role {self.name}: {', '.join(sorted(self.privileges))} and nothing else"

    def making(self, _comment: str) -> Words:
        """Make it."""
        return ("pveum", "role", "add", self.name, "--privs", ",".join(sorted(self.privileges)))

    def removing(self) -> Words:
        """Take it away."""
        return ("pveum", "role", "delete", self.name)


@dataclass(frozen=True, slots=True)
class User:
    """A user without a password: only its tokens log in."""

    userid: str

    def words(self) -> Words:
        """Name it."""
        return ("user", self.userid)

    def purpose(self) -> str:
        """Say what it is for."""
        return f"user {self.userid}, without a password: only its tokens can log in"

    def making(self, comment: str) -> Words:
        """Make it."""
        return ("pveum", "user", "add", self.userid, "--comment", comment)

    def removing(self) -> Words:
        """Take it away, with its tokens."""
        return ("pveum", "user", "delete", self.userid)


@dataclass(frozen=True, slots=True)
class Member:
    """A user's place in a group."""

    userid: str
    group: str

    def words(self) -> Words:
        """Name it."""
        return ("member", self.userid, self.group)

    def purpose(self) -> str:
        """Say what it is for."""
        return f"{self.userid} in the group {self.group}: its tokens may be managed"

    def making(self, _comment: str) -> Words:
        """Make it, and leave the user's other groups."""
        return ("pveum", "user", "modify", self.userid, "--groups", self.group, "--append", "1")

    def removing(self, others: Iterable[str] = ()) -> Words:
        """Take it away; PVE wants to be told the groups that stay."""
        return ("pveum", "user", "modify", self.userid, "--groups", ",".join(others))


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the access control list: a role of a user on a path and below."""

    path: str
    role: str
    userid: str

    def words(self) -> Words:
        """Name it."""
        return ("entry", self.path, self.role, self.userid)

    def purpose(self) -> str:
        """Say what it is for."""
        return f"{self.userid} has the role {self.role} on {self.path}"

    def making(self, _comment: str) -> Words:
        """Make it."""
        return ("pveum", "acl", "modify", self.path, "--users", self.userid, "--roles", self.role)

    def removing(self) -> Words:
        """Take it away."""
        return ("pveum", "acl", "delete", self.path, "--users", self.userid, "--roles", self.role)


@dataclass(frozen=True, slots=True)
class OperatorToken:
    """The token that the rotator works with; its secret is in a store.

    Its name is drawn once and kept in the journal, so that a repeat finds what an interrupted run left behind; and a
    creation that was not answered, and takes effect later, then only meets a name that is taken.
    """

    userid: str
    name: str

    @property
    def id(self) -> TokenId:
        """Its full id."""
        return TokenId(self.userid, self.name)

    def words(self) -> Words:
        """Name it."""
        return ("token", self.userid, self.name)

    def purpose(self) -> str:
        """Say what it is for."""
        return f"token {self.id}: as whom the rotator works"

    def making(self, comment: str) -> Words:
        """Make it."""
        return ("pveum", "user", "token", "add", self.userid, self.name, "--privsep", "0", "--comment", comment)

    def removing(self) -> Words:
        """Take it away."""
        return ("pveum", "user", "token", "remove", self.userid, self.name)


Plain = Group | Role | User | Member | Entry
"""What is made by one call and has no secret."""
Thing = Plain | OperatorToken


def thing_of(words: Words) -> Thing:
    """Read what ``words`` wrote. Raises: ``ValueError``."""
    match words:
        case ("group", name):
            return Group(name)
        case ("role", name, privileges):
            return Role(name, frozenset(privileges.split(",")))
        case ("user", userid):
            return User(userid)
        case ("member", userid, group):
            return Member(userid, group)
        case ("entry", path, role, userid):
            return Entry(path, role, userid)
        case ("token", userid, name):
            return OperatorToken(userid, name)
        case _:
            raise ValueError("not a thing that is set up")


def comment_of(owner: str) -> str:
    """Say in a comment at PVE whose a group, a user or a token is."""
    return f"made by rotate init for {owner}"
