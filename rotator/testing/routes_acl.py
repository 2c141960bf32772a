"""``/access/acl``, ``/access/roles``, ``/access/permissions`` and ``/pools``: who may do what where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product

from rotator.testing import access
from rotator.testing.method import Ask, Method, anybody, needs
from rotator.testing.names import (
    USERID_OR_TOKEN,
    group_complaint,
    is_acl_path,
    normalize_path,
    pool_complaint,
    privilege_complaint,
    role_complaint,
    split_token,
    token_complaint,
    userid_complaint,
)
from rotator.testing.privileges import BUILT_IN_ROLES, NO_ACCESS
from rotator.testing.refusal import bad_parameters, died, forbidden
from rotator.testing.routes_tokens import existing_token
from rotator.testing.schema import Param
from rotator.testing.state import Holder, Pool, State

_ROLE = {"roleid": Param(form=role_complaint)}
_PRIVS = {"privs": Param(optional=True, each=privilege_complaint)}
_APPEND = {"append": Param("boolean", optional=True, needs="privs")}
_ENTRY = {
    "path": Param(),
    "roles": Param(each=role_complaint),
    "users": Param(optional=True, each=userid_complaint),
    "groups": Param(optional=True, each=group_complaint),
    "tokens": Param(optional=True, each=token_complaint),
    "propagate": Param("boolean", optional=True),
    "delete": Param("boolean", optional=True),
}
_POOL = {"poolid": Param(form=pool_complaint)}


def holder_exists(state: State, holder: Holder) -> None:
    """Return when a user, group or token is there; 500 otherwise, in the words that PVE has for each."""
    if holder.kind == "token":
        existing_token(state, *(split_token(holder.name) or (holder.name, "")))
    elif holder.kind == "group" and holder.name not in state.groups:
        raise died(f"group '{holder.name}' does not exist")
    elif holder.kind == "user" and holder.name not in state.users:
        raise died(f"user '{holder.name}' does not exist")


def make_role(state: State, roleid: str, privileges: Iterable[str]) -> State:
    """Add a role. Raises: ``RefusalError`` when the id is taken."""
    if roleid in state.roles:
        raise died(f"role '{roleid}' already exists")
    return replace(state, roles={**state.roles, roleid: frozenset(privileges)})


def make_pool(state: State, poolid: str, pool: Pool) -> State:
    """Add a pool. Raises: ``RefusalError`` when the id is taken."""
    if poolid in state.pools:
        raise died(f"pool '{poolid}' already exists")
    return replace(state, pools={**state.pools, poolid: pool})


def _list(ask: Ask) -> object:
    sees_all = access.is_held(ask.state, ask.who, "/access", ["Sys.Audit"])
    return [
        {"path": path, "type": holder.kind, "ugid": holder.name, "roleid": role, "propagate": int(propagate)}
        for path, node in sorted(ask.state.acl.items())
        if sees_all or access.is_held(ask.state, ask.who, path, access.granting_privileges(path))
        for holder, roles in node.items()
        for role, propagate in roles.items()
    ]


def _may_update(ask: Ask) -> None:
    path = normalize_path(ask.text("path")) if ask.text("path") else None
    if path is None:
        return  # the parameters are verified next, and refused
    wanted = access.granting_privileges(path)
    if not access.is_held(ask.state, ask.who, path, wanted):
        raise forbidden(f"{path}, {'|'.join(wanted)}")


def _update(ask: Ask) -> object:
    holders = _holders(ask)
    if not holders:
        said = "either 'users', 'groups' or 'tokens' is required."
        raise bad_parameters(dict.fromkeys(("users", "groups", "tokens"), said))
    path = normalize_path(ask.text("path"))
    if path is None or not (ask.flag("delete") or is_acl_path(path)):
        raise bad_parameters({"path": f"invalid ACL path '{ask.text('path')}'"})

    def edit(state: State) -> State:
        for role, holder in product(ask.listed("roles"), holders):
            _need_role(state, ask, role, path)
            holder_exists(state, holder)
            state = _changed(state, ask, path, holder, role)
        return state

    ask.write("ACL update failed", edit)
    return None


def _holders(ask: Ask) -> list[Holder]:
    groups = [Holder("group", name) for name in ask.listed("groups")]
    users = [Holder("user", name) for name in ask.listed("users")]
    return groups + users + [Holder("token", name) for name in ask.listed("tokens")]


def _changed(state: State, ask: Ask, path: str, holder: Holder, role: str) -> State:
    if ask.flag("delete"):
        return state.without_grant(path, holder, role)
    return state.with_grant(path, holder, role, propagate=ask.flag("propagate", default=True))


def _need_role(state: State, ask: Ask, role: str, path: str) -> None:
    if role not in state.roles:
        raise died(f"role '{role}' does not exist")
    held = access.permissions(ask.state, ask.who, path)
    if "Permissions.Modify" in held:
        return
    verb = "remove" if ask.flag("delete") else "add"
    start = f"Cannot {verb} role '{role}'"
    if not state.roles[role] <= held.keys():
        raise bad_parameters({"role": f"{start} - requires 'Permissions.Modify' or superset of privileges."})
    spreads = ask.flag("propagate", default=True) and verb == "add"
    if spreads and not all(held[privilege] for privilege in state.roles[role]):
        said = "with propagation - requires 'Permissions.Modify' or propagated superset of privileges."
        raise bad_parameters({"role": f"{start} {said}"})
    if role == NO_ACCESS:
        raise bad_parameters({"role": f"{start} - requires 'Permissions.Modify'"})


def _permissions(ask: Ask) -> object:
    who = ask.get("userid") or ask.who
    owner = (split_token(who) or ("", ""))[0]
    if ask.who not in (who, owner):
        needs("/access", "Sys.Audit")(ask)
    path = ask.text("path")
    return {path: access.permissions(ask.state, who, path)} if path else access.effective(ask.state, who)


def _roles(ask: Ask) -> object:
    return [
        {"roleid": role, "privs": ",".join(sorted(privileges)), "special": int(role in BUILT_IN_ROLES)}
        for role, privileges in sorted(ask.state.roles.items())
    ]


def _read_role(ask: Ask) -> object:
    return dict.fromkeys(sorted(_existing_role(ask.state, ask.text("roleid"))), 1)


def _create_role(ask: Ask) -> object:
    role = ask.text("roleid")
    if role.upper().startswith("PVE"):
        said = "cannot use role ID starting with the (case-insensitive) 'PVE' namespace"
        raise bad_parameters({"roleid": said})
    ask.write("create role failed", lambda state: make_role(state, role, ask.listed("privs")))
    return None


def _update_role(ask: Ask) -> object:
    role = _own_role(ask, "modified")

    def edit(state: State) -> State:
        before = _existing_role(state, role)
        given = frozenset(ask.listed("privs"))
        return replace(state, roles={**state.roles, role: before | given if ask.flag("append") else given})

    ask.write("update role failed", edit)
    return None


def _delete_role(ask: Ask) -> object:
    role = _own_role(ask, "deleted")

    def edit(state: State) -> State:
        _existing_role(state, role)
        for path, node in state.acl.items():
            for holder in node:
                state = state.without_grant(path, holder, role)
        return replace(state, roles={name: privs for name, privs in state.roles.items() if name != role})

    ask.write("delete role failed", edit)
    return None


def _own_role(ask: Ask, done: str) -> str:
    role = ask.text("roleid")
    if role in BUILT_IN_ROLES:
        raise died(f"auto-generated role '{role}' cannot be {done}")
    return role


def _existing_role(state: State, role: str) -> frozenset[str]:
    if role not in state.roles:
        raise died(f"role '{role}' does not exist")
    return state.roles[role]


def _pools(ask: Ask) -> object:
    seen = {pool for pool in ask.state.pools if access.is_held(ask.state, ask.who, f"/pool/{pool}", ["Pool.Audit"])}
    return [{"poolid": pool, **_comment_of(ask.state.pools[pool])} for pool in sorted(seen)]


def _comment_of(pool: Pool) -> dict[str, str]:
    return {"comment": pool.comment} if pool.comment else {}


def _read_pool(ask: Ask) -> object:
    pool = _existing_pool(ask.state, ask.text("poolid"))
    members: list[dict[str, object]] = [{"id": f"qemu/{vm}", "type": "qemu", "vmid": vm} for vm in sorted(pool.vms)]
    members += [{"id": f"storage/{name}", "type": "storage", "storage": name} for name in sorted(pool.storages)]
    return {"members": members, **_comment_of(pool)}


def _create_pool(ask: Ask) -> object:
    pool = Pool(comment=ask.text("comment"))
    ask.write("create pool failed", lambda state: make_pool(state, ask.text("poolid"), pool))
    return None


def _delete_pool(ask: Ask) -> object:
    name = ask.text("poolid")

    def edit(state: State) -> State:
        if _existing_pool(state, name).paths():
            raise died(f"pool '{name}' is not empty")
        acl = {path: node for path, node in state.acl.items() if path != f"/pool/{name}"}
        return replace(state, acl=acl, pools={key: pool for key, pool in state.pools.items() if key != name})

    ask.write("delete pool failed", edit)
    return None


def _existing_pool(state: State, name: str) -> Pool:
    if name not in state.pools:
        raise died(f"pool '{name}' does not exist")
    return state.pools[name]


_ACL, _ROLES, _ONE_ROLE = "/access/acl", "/access/roles", "/access/roles/{roleid}"
_POOLS, _ONE_POOL = "/pools", "/pools/{poolid}"
_WHOSE = {"userid": Param(optional=True, pattern=USERID_OR_TOKEN), "path": Param(optional=True)}
_MODIFIES = needs("/access", "Sys.Modify")
_ALLOCATES = needs("/pool/{poolid}", "Pool.Allocate")

METHODS = (
    Method("GET", _ACL, anybody, _list),
    Method("PUT", _ACL, _may_update, _update, _ENTRY, protected=True),
    Method("GET", "/access/permissions", anybody, _permissions, _WHOSE),
    Method("GET", _ROLES, anybody, _roles),
    Method("POST", _ROLES, _MODIFIES, _create_role, _ROLE | _PRIVS, protected=True),
    Method("GET", _ONE_ROLE, anybody, _read_role, _ROLE),
    Method("PUT", _ONE_ROLE, _MODIFIES, _update_role, _ROLE | _PRIVS | _APPEND, protected=True),
    Method("DELETE", _ONE_ROLE, _MODIFIES, _delete_role, _ROLE, protected=True),
    Method("GET", _POOLS, anybody, _pools),
    Method("POST", _POOLS, _ALLOCATES, _create_pool, _POOL | {"comment": Param(optional=True)}, protected=True),
    Method("GET", _ONE_POOL, needs("/pool/{poolid}", "Pool.Audit"), _read_pool, _POOL),
    Method("DELETE", _ONE_POOL, _ALLOCATES, _delete_pool, _POOL, protected=True),
)
