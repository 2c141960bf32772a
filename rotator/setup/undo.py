"""What can be taken away again: what was made here, and nobody else uses. Pure.

A group, a user and a token say in their comment who made them; a role, a place in a group and an entry of the access
control list are known from the journal. What others have come to use stays, with all that it needs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import assert_never

from rotator.marker import Marker
from rotator.model import TokenState
from rotator.setup.present import Held, Present
from rotator.setup.things import Entry, Group, Member, OperatorToken, Role, Thing, User, Words, comment_of

ENDING = "these tokens end with it"
NOT_OURS = "its comment does not say any more that it was made here"


@dataclass(frozen=True, slots=True)
class Remove:
    """Take one thing away."""

    thing: Thing
    stays_in: tuple[str, ...] = ()
    """The groups that a user stays in."""
    ends: tuple[str, ...] = ()
    """The tokens that end with it."""

    def words(self) -> Words:
        """Return the command that does the same."""
        if isinstance(self.thing, Member):
            return self.thing.removing(self.stays_in)
        return self.thing.removing()

    def message(self) -> str:
        """Say what it does."""
        tokens = f"; {ENDING}, whoever reads them: {', '.join(self.ends)}" if self.ends else ""
        return f"take away {self.thing.purpose()}{tokens}"


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave a thing, although it was made here: others use it."""

    thing: Thing
    why: str


@dataclass(frozen=True, slots=True)
class Undoing:
    """Plans an undo: of what was ``made`` here, in the order in which it was made."""

    made: Sequence[Thing]
    present: Present
    owner: str

    def plan(self) -> tuple[Remove | Keep, ...]:
        """List what goes and what stays, in the order of doing it; what is gone already is not named."""
        decided: list[Remove | Keep] = []
        for thing in sorted(self.made, key=_rank):
            going = [it.thing for it in decided if isinstance(it, Remove)]
            decided += self._decide(thing, going)
        return tuple(decided)

    def _decide(self, thing: Thing, going: Sequence[Thing]) -> Iterable[Remove | Keep]:
        if isinstance(thing, OperatorToken):
            found = self.present.token(thing)
            if found is None:
                return []
            return [Remove(thing) if self._is_inits(found) else Keep(thing, NOT_OURS)]
        if not self.present.has(thing):
            return []
        if why := self._why_kept(thing, going):
            return [Keep(thing, why)]
        return [self._removal(thing)]

    def _removal(self, thing: Thing) -> Remove:
        match thing:
            case Member(userid, group):
                return Remove(thing, tuple(sorted(self.present.users[userid].groups - {group})))
            case User(userid):
                return Remove(thing, ends=tuple(str(it.id) for it in self._rotated(userid)))
            case _:
                return Remove(thing)

    def _why_kept(self, thing: Thing, going: Sequence[Thing]) -> str:
        match thing:
            case Group(name):
                return self._why_group(name, going)
            case Role(name, privileges):
                return self._why_role(name, privileges, going)
            case User(userid):
                return self._why_user(userid)
            case Member(userid) | Entry(userid=userid):
                return self._why_user(userid) if User(userid) in self.made else ""
            case OperatorToken():
                return ""
        assert_never(thing)

    def _why_group(self, name: str, going: Sequence[Thing]) -> str:
        if self.present.groups[name] != comment_of(self.owner):
            return NOT_OURS
        gone = {it.userid for it in going if isinstance(it, User) or (isinstance(it, Member) and it.group == name)}
        others = sorted(self.present.members(name) - gone)
        if others:
            return f"it has members: {', '.join(others)}"
        about = {
            it for it in self.present.acl if it.path == f"/access/groups/{name}" or (it.kind, it.who) == ("group", name)
        }
        return _used(about - _held(going))

    def _why_role(self, name: str, privileges: frozenset[str], going: Sequence[Thing]) -> str:
        if self.present.roles[name] != privileges:
            return "its privileges were changed"
        return _used({it for it in self.present.acl if it.role == name} - _held(going))

    def _why_user(self, userid: str) -> str:
        account = self.present.users.get(userid)
        if account is None or account.comment != comment_of(self.owner):
            return NOT_OURS
        foreign = [it.id.name for it in account.tokens if not self._is_own(it) and not self._is_rotates(it)]
        if foreign:
            return f"others made tokens of it: {', '.join(foreign)}"
        groups = sorted(
            account.groups - {it.group for it in self.made if isinstance(it, Member) and it.userid == userid}
        )
        if groups:
            return f"others put it into groups: {', '.join(groups)}"
        return _used({it for it in self.present.acl if it.is_of(userid)} - _held(self.made))

    def _rotated(self, userid: str) -> Iterable[TokenState]:
        return (it for it in self.present.tokens_of(userid) if not self._is_inits(it))

    def _is_own(self, token: TokenState) -> bool:
        """Whether this set-up made it, and not another one of the same name, which works with it."""
        return self._is_inits(token) and OperatorToken(token.id.userid, token.id.name) in self.made

    def _is_inits(self, token: TokenState) -> bool:
        return token.comment == comment_of(self.owner)

    def _is_rotates(self, token: TokenState) -> bool:
        marker = Marker.parse(token.comment)
        return marker is not None and marker.owner == self.owner


def _rank(thing: Thing) -> int:
    """Order removals: what refers to others goes before what it refers to, users before roles and groups."""
    return (OperatorToken, Member, Entry, User, Role, Group).index(type(thing))


def _held(things: Iterable[Thing]) -> set[Held]:
    return {Held.of(it) for it in things if isinstance(it, Entry)}


def _used(entries: Iterable[Held]) -> str:
    found = sorted(f"{it.role} of {it.who} on {it.path}" for it in entries)
    return f"others use it: {'; '.join(found)}" if found else ""
