"""What is missing, as steps, and what stands in the way. Pure: no call is made here, and a dry run is this printed."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rotator.errors import RefusedError
from rotator.setup.answers import ROOT
from rotator.setup.present import Present
from rotator.setup.things import Entry, Group, Member, OperatorToken, Role, Thing, User, Words, comment_of


@dataclass(frozen=True, slots=True)
class Make:
    """Make one thing."""

    thing: Thing
    comment: str

    def words(self) -> Words:
        """Return the command that does the same."""
        return self.thing.making(self.comment)

    def message(self) -> str:
        """Say what it is for."""
        return self.thing.purpose()


@dataclass(frozen=True, slots=True)
class Discard:
    """Delete a token of ours that an interrupted run left behind: its secret is in no store, so nobody can use it."""

    thing: OperatorToken

    def words(self) -> Words:
        """Return the command that does the same."""
        return self.thing.removing()

    def message(self) -> str:
        """Say what it is for."""
        return f"{self.thing.id} was left behind by a run that ended early: nobody has its secret"


Step = Make | Discard


def shown(words: Words) -> str:
    """Write a command so that a shell understands it."""
    return shlex.join(words)


def plan(wanted: Iterable[Thing], present: Present, *, owner: str) -> tuple[Step, ...]:
    """List what is to be done, in order; nothing when all is there.

    Raises: ``RefusedError`` when something of a wanted name is there and is something else.
    """
    things = tuple(wanted)
    for thing in things:
        _require_fitting(thing, things, present)
    comment = comment_of(owner)
    steps: list[Step] = []
    for thing in things:
        if not present.has(thing):
            steps += [Discard(thing)] if isinstance(thing, OperatorToken) and _is_left(thing, present, comment) else []
            steps.append(Make(thing, comment))
    return tuple(steps)


def managed_besides(wanted: Iterable[Thing], present: Present) -> tuple[str, ...]:
    """List the users whose tokens the operator will manage although nobody asked for it: the group has them already."""
    things = tuple(wanted)
    asked = {it.userid for it in things if isinstance(it, Member)}
    return tuple(sorted({user for it in things if isinstance(it, Group) for user in present.members(it.name)} - asked))


def _is_left(thing: OperatorToken, present: Present, comment: str) -> bool:
    found = present.token(thing)
    if found is not None and found.comment != comment:
        raise RefusedError(
            f"{found.id} is there, was not made here, and its secret is not in the operator's place",
            hint="store its secret where the configuration looks for it, or delete it",
        )
    return found is not None


def _require_fitting(thing: Thing, wanted: Sequence[Thing], present: Present) -> None:
    match thing:
        case Role(name, privileges) if present.roles.get(name, privileges) != privileges:
            _refuse_role(name, present.roles[name], privileges)
        case User(userid) if userid in present.users and not present.users[userid].enabled:
            raise RefusedError(
                f"{userid} is disabled, and none of its tokens would log in",
                hint=f"pveum user modify {userid} --enable 1",
            )
        case User(userid) if userid not in present.users and realm_of(userid) not in present.realms:
            raise RefusedError(
                f"PVE has no realm {realm_of(userid)}, so no user {userid}",
                hint=f"there is {', '.join(sorted(present.realms))}",
            )
        case Entry(role=role) if role not in present.roles and not any(
            isinstance(it, Role) and it.name == role for it in wanted
        ):
            known = ", ".join(sorted(present.roles))
            raise RefusedError(
                f"PVE has no role {role}", hint=f"there is {known}; or make it first: pveum role add {role}"
            )
        case OperatorToken(userid):
            _require_own_place(userid, present)
        case Group(name) if name in present.groups and ROOT in present.members(name):
            raise RefusedError(
                f"{ROOT} is a member of the group {name}: whoever manages its members' tokens may do anything",
                hint="name another group with --group",
            )
        case _:
            pass


def realm_of(userid: str) -> str:
    """Return what stands behind the last @."""
    return userid.rpartition("@")[2]


def _refuse_role(name: str, there: frozenset[str], wanted: frozenset[str]) -> None:
    raise RefusedError(
        f"the role {name} is there and has {', '.join(sorted(there)) or 'no privilege'} instead of "
        f"{', '.join(sorted(wanted))}",
        hint="name another one with --role; it is made with exactly what is needed",
    )


def _require_own_place(userid: str, present: Present) -> None:
    token = present.stored.token
    if token is not None and token.id.userid != userid:
        raise RefusedError(
            f"the place of the operator's token holds {token.id}, a token of somebody else; it was left alone",
            hint="choose another place for the operator's token",
        )
