"""``/access/users`` and ``/access/groups``: users, groups and memberships."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from rotator.testing import access
from rotator.testing.method import (
    Ask,
    Method,
    all_of,
    anybody,
    existing_user,
    in_groups_given,
    manages,
    may_make_users,
    needs,
)
from rotator.testing.names import group_complaint, realm_of, userid_complaint, verify_userid
from rotator.testing.refusal import died
from rotator.testing.schema import Param
from rotator.testing.state import State, User

REALMS = {"pam": "Linux PAM standard authentication", "pve": "Proxmox VE authentication server"}
"""The realms that exist, with their comments; each is its own type."""

_VISIBLE = ("User.Modify", "Sys.Audit")
_PROFILE = ("firstname", "lastname", "email", "comment", "keys")
_USERID = Param(form=userid_complaint)
_USER = {
    "userid": _USERID,
    "enable": Param("boolean", optional=True),
    "expire": Param("integer", optional=True, minimum=0),
    "groups": Param(optional=True, each=group_complaint),
    "firstname": Param(optional=True, longest=1024),
    "lastname": Param(optional=True, longest=1024),
    "email": Param(optional=True, longest=254),
    "comment": Param(optional=True, longest=2048),
    "keys": Param(optional=True, longest=4096),
}
_PASSWORD = Param(optional=True, shortest=8, longest=64)
_GROUP = {"groupid": Param(form=group_complaint), "comment": Param(optional=True)}


def make_user(state: State, userid: str, user: User) -> State:
    """Add a user. Raises: ``RefusalError`` when the id is taken, or its realm or a group of it is not there."""
    if userid in state.users:
        raise died(f"user '{userid}' already exists")
    if realm_of(userid) not in REALMS:
        raise died(f"auth domain '{realm_of(userid)}' does not exist")
    _need_groups(state, user.groups)
    return state.with_user(userid, user)


def make_group(state: State, groupid: str, comment: str = "") -> State:
    """Add a group. Raises: ``RefusalError`` when the id is taken."""
    if groupid in state.groups:
        raise died(f"group '{groupid}' already exists")
    return replace(state, groups={**state.groups, groupid: comment})


def _index(ask: Ask) -> object:
    everybody = access.is_held(ask.state, ask.who, "/access/groups", _VISIBLE)
    groups = access.managed_groups(ask.state, ask.who, _VISIBLE)
    rows = []
    for userid, user in sorted(ask.state.users.items()):
        visible = everybody or userid == ask.who or user.groups & groups
        wanted = ask.get("enabled") is None or ask.flag("enabled") == user.enable
        if visible and wanted:
            rows.append(_row(userid, user, full=ask.flag("full")))
    return rows


def _row(userid: str, user: User, *, full: bool) -> dict[str, object]:
    row = {"userid": userid, "realm-type": realm_of(userid), **_about(user)}
    if full:
        tokens = [{"tokenid": name, **token.shown()} for name, token in sorted(user.tokens.items())]
        row |= {"groups": ",".join(sorted(user.groups)), "tokens": tokens or None}
    return row


def _about(user: User) -> dict[str, object]:
    return {"enable": int(user.enable), "expire": user.expire, **user.profile}


def _read(ask: Ask) -> object:
    user = ask.user()
    tokens = {name: token.shown() for name, token in user.tokens.items()}
    return {**_about(user), "groups": sorted(user.groups), "tokens": tokens or None}


def _create(ask: Ask) -> object:
    userid = verify_userid(ask.text("userid"))
    user = User(
        enable=ask.flag("enable", default=True),
        expire=ask.number("expire"),
        groups=frozenset(ask.listed("groups")),
        password=ask.get("password"),
        profile=_profile({}, ask),
    )
    ask.write("create user failed", lambda state: make_user(state, userid, user))
    return None


def _update(ask: Ask) -> object:
    userid = verify_userid(ask.text("userid"))

    def edit(state: State) -> State:
        user = existing_user(state, userid)
        groups = frozenset(ask.listed("groups"))
        _need_groups(state, groups)
        keep = ask.get("groups") is None or ask.flag("append")
        changed = replace(
            user,
            enable=ask.flag("enable", default=user.enable),
            expire=user.expire if ask.get("expire") is None else ask.number("expire"),
            groups=groups | user.groups if keep else groups,
            profile=_profile(user.profile, ask),
        )
        return state.with_user(userid, changed)

    ask.write("update user failed", edit)
    return None


def _delete(ask: Ask) -> object:
    userid = verify_userid(ask.text("userid"))
    ask.user()
    ask.write("delete user failed", lambda state: state.without_user(userid))
    return None


def _need_groups(state: State, groups: Iterable[str]) -> None:
    unknown = next((group for group in sorted(groups) if group not in state.groups), None)
    if unknown is not None:
        raise died(f"no such group '{unknown}'")


def _profile(before: Mapping[str, str], ask: Ask) -> dict[str, str]:
    given = {name: ask.text(name) for name in _PROFILE if ask.get(name) is not None}
    return {name: text for name, text in {**before, **given}.items() if text}


def _groups(ask: Ask) -> object:
    visible = access.managed_groups(ask.state, ask.who, (*_VISIBLE, "Group.Allocate"))
    return [
        {"groupid": group, "users": ",".join(_members(ask.state, group)), **_commented(ask.state.groups[group])}
        for group in sorted(visible)
    ]


def _commented(comment: str) -> dict[str, str]:
    return {"comment": comment} if comment else {}


def _members(state: State, group: str) -> list[str]:
    return sorted(userid for userid, user in state.users.items() if group in user.groups)


def _read_group(ask: Ask) -> object:
    group = ask.text("groupid")
    comment = _existing_group(ask.state, group)
    return {"members": _members(ask.state, group), **_commented(comment)}


def _create_group(ask: Ask) -> object:
    ask.write("create group failed", lambda state: make_group(state, ask.text("groupid"), ask.text("comment")))
    return None


def _update_group(ask: Ask) -> object:
    def edit(state: State) -> State:
        comment = _existing_group(state, ask.text("groupid"))
        comment = comment if ask.get("comment") is None else ask.text("comment")
        return replace(state, groups={**state.groups, ask.text("groupid"): comment})

    ask.write("update group failed", edit)
    return None


def _delete_group(ask: Ask) -> object:
    def edit(state: State) -> State:
        _existing_group(state, ask.text("groupid"))
        return state.without_group(ask.text("groupid"))

    ask.write("delete group failed", edit)
    return None


def _existing_group(state: State, group: str) -> str:
    if group not in state.groups:
        raise died(f"group '{group}' does not exist")
    return state.groups[group]


def _may_update(ask: Ask) -> None:
    manages("User.Modify")(ask)
    if ask.get("groups") is not None:
        in_groups_given(ask)


_USERS, _ONE_USER = "/access/users", "/access/users/{userid}"
_GROUPS, _ONE_GROUP = "/access/groups", "/access/groups/{groupid}"
_FILTER = {"full": Param("boolean", optional=True), "enabled": Param("boolean", optional=True)}
_APPEND = {"append": Param("boolean", optional=True, needs="groups")}
_MAY_CREATE = all_of(may_make_users, in_groups_given)
_MAY_DELETE = all_of(may_make_users, manages("User.Modify"))
_SEES_GROUP = needs("/access/groups", "Sys.Audit", "Group.Allocate")
_ALLOCATES = needs("/access/groups", "Group.Allocate")
_GROUPID = {"groupid": _GROUP["groupid"]}

METHODS = (
    Method("GET", _USERS, anybody, _index, _FILTER, protected=True),
    Method("POST", _USERS, _MAY_CREATE, _create, _USER | {"password": _PASSWORD}, protected=True),
    Method("GET", _ONE_USER, manages(*_VISIBLE), _read, {"userid": _USERID}),
    Method("PUT", _ONE_USER, _may_update, _update, _USER | _APPEND, protected=True),
    Method("DELETE", _ONE_USER, _MAY_DELETE, _delete, {"userid": _USERID}, protected=True),
    Method("GET", _GROUPS, anybody, _groups),
    Method("POST", _GROUPS, _ALLOCATES, _create_group, _GROUP, protected=True),
    Method("GET", _ONE_GROUP, _SEES_GROUP, _read_group, _GROUPID),
    Method("PUT", _ONE_GROUP, _ALLOCATES, _update_group, _GROUP, protected=True),
    Method("DELETE", _ONE_GROUP, _ALLOCATES, _delete_group, _GROUPID, protected=True),
)
