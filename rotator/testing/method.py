"""What an API method is: where it hangs, who may call it, what it takes, what it does.

The modules ``routes_*`` hold the methods themselves, each as a ``Method`` whose ``run`` gets one ``Ask``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from rotator.testing import access
from rotator.testing.cluster import Edit
from rotator.testing.names import ROOT, normalize_path, realm_of, split_list, verify_userid
from rotator.testing.refusal import RefusalError, bad_parameters, died, forbidden
from rotator.testing.schema import Schema, Value
from rotator.testing.state import State, User
from rotator.testing.tickets import Tickets


class Place(Protocol):
    """One node as its API methods see it."""

    name: str

    @property
    def version(self) -> str:
        """Return the version of PVE."""
        ...

    @property
    def unknown_parameters(self) -> frozenset[str]:
        """Return the parameters that this version of PVE does not have yet."""
        ...

    @property
    def tickets(self) -> Tickets:
        """Return what issues and checks the tickets of the cluster."""
        ...

    def now(self) -> float:
        """Tell the simulated time in seconds since 1970."""
        ...

    def view(self) -> State:
        """Return the state that this node knows."""
        ...

    def write(self, edit: Edit) -> None:
        """Change the state of the cluster."""
        ...

    def members(self) -> list[tuple[str, bool, bool]]:
        """List all nodes: name, whether it is up, whether it is this one."""
        ...

    def is_quorate(self) -> bool:
        """Say whether this node has quorum."""
        ...


@dataclass(frozen=True)
class Ask:
    """One call that passed the door: where, by whom, with which parameters, on which state."""

    place: Place
    who: str
    params: Mapping[str, Value] = field(repr=False)
    state: State = field(repr=False)

    def get(self, name: str) -> str | None:
        """Return a parameter as it was given, or None."""
        value = self.params.get(name)
        return value if isinstance(value, str) else None

    def text(self, name: str) -> str:
        """Return a parameter as it was given, or an empty text."""
        return self.get(name) or ""

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean."""
        value = self.get(name)
        return default if value is None else value == "1"

    def number(self, name: str) -> int:
        """Return an integer, 0 when it was not given."""
        return int(self.get(name) or 0)

    def listed(self, name: str) -> list[str]:
        """Return the elements of a list."""
        return split_list(self.text(name))

    def user(self) -> User:
        """Return the user that ``userid`` names; 500 when there is none."""
        return existing_user(self.state, verify_userid(self.text("userid")))

    def write(self, task: str, edit: Edit) -> None:
        """Change the cluster under its lock; what fails there is a 500 that names the task."""
        try:
            self.place.write(edit)
        except RefusalError as refusal:
            raise refusal.within(task) from None


Check = Callable[[Ask], None]
"""Returns when the caller may; raises 403 otherwise."""


@dataclass(frozen=True, slots=True)
class Method:
    """One API method. ``protected`` ones run in PVE's privileged daemon, so their answers close the connection."""

    verb: str
    path: str
    check: Check
    run: Callable[[Ask], object]
    params: Schema = field(default_factory=dict)
    protected: bool = False
    takes_tokens: bool = True


def existing_user(state: State, userid: str) -> User:
    """Return a user; 500 when there is none."""
    user = state.users.get(userid)
    if user is None:
        raise died(f"no such user ('{userid}')")
    return user


def world(_ask: Ask) -> None:
    """Let everybody in, logged in or not."""


def anybody(_ask: Ask) -> None:
    """Let everybody in who is logged in; the door has seen to that."""


def needs(path: str, *privileges: str) -> Check:
    """Demand any of these privileges on a path; ``{name}`` in it stands for a parameter."""

    def check(ask: Ask) -> None:
        filled = re.sub(r"\{(\w+)\}", lambda found: ask.text(found[1]), path)
        where = normalize_path(filled) or filled
        if not access.is_held(ask.state, ask.who, where, privileges):
            raise forbidden(f"{where}, {'|'.join(privileges)}")

    return check


def all_of(*checks: Check) -> Check:
    """Demand everything that these demand."""

    def check(ask: Ask) -> None:
        for one in checks:
            one(ask)

    return check


def may_make_users(ask: Ask) -> None:
    """Demand Realm.AllocateUser on the realm of the user."""
    realm = realm_of(verify_userid(ask.text("userid")))
    if not access.is_held(ask.state, ask.who, f"/access/realm/{realm}", ["Realm.AllocateUser"]):
        raise forbidden(f"/access/realm/{realm}, Realm.AllocateUser")


def manages(*privileges: str) -> Check:
    """Demand any of these privileges on a group that the target user is a member of, or on all groups."""

    def check(ask: Ask) -> None:
        user = ask.user()
        if not _manages(ask, user, privileges):
            raise forbidden()

    return check


def is_self_or(*privileges: str) -> Check:
    """Let the target user in, and whoever manages it. A token is never its own user (measured).

    An unknown user is a 403 here, even for an Administrator (measured).
    """

    def check(ask: Ask) -> None:
        user = ask.state.users.get(verify_userid(ask.text("userid")))
        if user is None or not (ask.who == ask.text("userid") or _manages(ask, user, privileges)):
            raise forbidden()

    return check


def self_or_realm_manager(ask: Ask) -> None:
    """Let the target user in, and whoever may make users of its realm and manages it."""
    if ask.who != ask.text("userid"):
        try:
            all_of(may_make_users, manages("User.Modify"))(ask)
        except RefusalError:
            raise forbidden() from None


def in_groups_given(ask: Ask, privileges: Iterable[str] = ("User.Modify",)) -> None:
    """Demand the privilege on every group that the call names, or on all groups."""
    wanted = tuple(privileges)
    if access.is_held(ask.state, ask.who, "/access/groups", wanted):
        return
    given = ask.listed("groups")
    managed = access.managed_groups(ask.state, ask.who, wanted)
    lacking = next((group for group in given if group not in managed), None)
    if lacking is not None or not given:
        path = "/access/groups" if lacking is None else f"/access/groups/{lacking}"
        raise forbidden(f"{path}, {'|'.join(wanted)}")


def reauthenticated(ask: Ask, name: str) -> None:
    """Demand the caller's own password once more, as PVE does before it changes passwords and second factors."""
    ask.user()
    if ask.text("userid") == ROOT != ask.who:
        raise forbidden()
    if ask.who == ROOT:
        return
    given = ask.get(name)
    if given is None:
        raise bad_parameters({name: "password is required to modify user"})
    if existing_user(ask.state, ask.who).password != given:
        raise RefusalError(401, "authentication failure\n")


def _manages(ask: Ask, user: User, privileges: tuple[str, ...]) -> bool:
    if access.is_held(ask.state, ask.who, "/access/groups", privileges):
        return True
    return bool(user.groups & access.managed_groups(ask.state, ask.who, privileges))
