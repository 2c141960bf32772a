"""What a user or a token may do: PVE's rules of inheritance, pools and privilege separation. Pure.

Measured on PVE 9.2: an entry of one's own at a path replaces what came from above and from groups; ``NoAccess`` beside
other roles wins; a privsep token has what both it and its user have; the value of a privilege is its propagate bit,
and 0 still means that it is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rotator.testing.names import ROOT, USERID, split_token
from rotator.testing.privileges import ADMINISTRATOR, NO_ACCESS
from rotator.testing.state import AclNode, Holder, State

Held = dict[str, int]
"""Privileges (or roles) with their propagate bit; held means present, also with 0."""

_ALWAYS_SHOWN = ("/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms")

_CAPABILITIES = {
    "vms": ("VM.", "Permissions.Modify"),
    "access": ("User.", "Group.", "Permissions.Modify"),
    "storage": ("Datastore.", "Permissions.Modify"),
    "nodes": ("Sys.", "Permissions.Modify"),
    "sdn": ("SDN.", "Permissions.Modify"),
    "dc": ("Sys.Audit", "Sys.Modify", "SDN."),
    "mapping": ("Mapping.", "Permissions.Modify"),
}
_POOL_CAPABILITIES = {"vms": ("VM.", "Permissions.Modify"), "storage": ("Datastore.", "Permissions.Modify")}


def permissions(state: State, who: str, path: str) -> Held:
    """Return the privileges of a user or token on one path; {} for anybody unknown.

    Disabled users and ended tokens still have theirs; they just cannot log in.
    """
    if who == ROOT:
        return dict.fromkeys(state.roles[ADMINISTRATOR], 1)
    parts = split_token(who)
    if not parts:
        return _privileges(state, _roles(state, who, path)) if USERID.fullmatch(who) else {}
    owner, name = parts
    token = state.find_token(owner, name)
    if token is None:
        return {}
    theirs = permissions(state, owner, path)
    return _intersection(state, who, path, theirs, is_root=owner == ROOT) if token.privsep else theirs


def is_held(state: State, who: str, path: str, privileges: Iterable[str]) -> bool:
    """Say whether any of these privileges is held on that path."""
    held = permissions(state, who, path)
    return any(privilege in held for privilege in privileges)


def effective(state: State, who: str) -> dict[str, Held]:
    """Return all privileges by path, for the paths that PVE shows: its main ones, and those in the ACL and in pools."""
    paths = {*_ALWAYS_SHOWN, *acl_paths(state), *(path for pool in state.pools.values() for path in pool.paths())}
    found = {path: permissions(state, who, path) for path in sorted(paths)}
    return {path: held for path, held in found.items() if held}


def granting_privileges(path: str) -> list[str]:
    """Return the privileges of which any lets one change the ACL there; the owner of an object may too (measured)."""
    owners = {"/storage/": "Datastore.Allocate", "/vms/": "VM.Allocate", "/pool/": "Pool.Allocate"}
    return ["Permissions.Modify", *(privilege for start, privilege in owners.items() if path.startswith(start))]


def managed_groups(state: State, who: str, privileges: Iterable[str]) -> frozenset[str]:
    """Return the groups on which any of these privileges is held."""
    wanted = tuple(privileges)
    return frozenset(group for group in state.groups if is_held(state, who, f"/access/groups/{group}", wanted))


def capabilities(state: State, who: str) -> dict[str, dict[str, int]]:
    """Return ``cap`` of a login: which privileges the user has anywhere, by area."""
    caps: dict[str, dict[str, int]] = {area: {} for area in _CAPABILITIES}
    tops = ("/", "/nodes", "/access/groups", "/vms", "/storage", "/sdn", "/mapping")
    for path in {*tops, *acl_paths(state)}:
        top = path.split("/")[1] or "dc"
        areas = _POOL_CAPABILITIES if top == "pool" else {top: _CAPABILITIES.get(top, ())}
        for privilege in permissions(state, who, path):
            for area in (area for area, starts in areas.items() if starts and privilege.startswith(starts)):
                caps[area][privilege] = 1
    return caps


def acl_paths(state: State) -> set[str]:
    """Return the paths that bear an ACL entry, and all above them."""
    return {above for path in state.acl for above in _above(path)}


def _above(path: str) -> Iterator[str]:
    yield "/"
    for at, letter in enumerate(path):
        if letter == "/" and at:
            yield path[:at]
    yield path


def _roles(state: State, who: str, path: str) -> Held:
    held: Held = {}
    nodes = list(_nodes(path))
    for node_path in nodes:
        found = _roles_at(state, state.acl.get(node_path, {}), who, is_last=node_path == nodes[-1])
        held = found or held
    held = {NO_ACCESS: held[NO_ACCESS]} if NO_ACCESS in held else held
    return _with_pools(state, who, path, held)


def _nodes(path: str) -> Iterator[str]:
    """Walk down from the root; a path without leading slash starts below it, as PVE's own walk does."""
    at = ""
    for part in path.rstrip("/").split("/"):
        at = f"{at}/{part}" if part else at
        yield at or "/"


def _roles_at(state: State, node: AclNode, who: str, *, is_last: bool) -> Held:
    kind = Holder("token" if split_token(who) else "user", who)
    own = _applying(node.get(kind, {}), is_last=is_last)
    user = state.users.get(who)
    if own or user is None:
        return own
    roles: Held = {}
    for group in user.groups if node else ():
        roles |= _applying(node.get(Holder("group", group), {}), is_last=is_last)
    return roles


def _applying(entry: Mapping[str, bool], *, is_last: bool) -> Held:
    return {role: int(propagate) for role, propagate in entry.items() if propagate or is_last}


def _with_pools(state: State, who: str, path: str, held: Held) -> Held:
    if NO_ACCESS in held:
        return held
    for name, pool in state.pools.items():
        if path in pool.paths():
            roles = _roles(state, who, f"/pool/{name}")
            if NO_ACCESS in roles:
                return {NO_ACCESS: 0}
            held = dict.fromkeys(roles, 0) | held
    return held


def _privileges(state: State, roles: Held) -> Held:
    held: Held = {}
    for role, propagate in roles.items():
        for privilege in state.roles.get(role, ()):
            held[privilege] = held.get(privilege, 0) or propagate
    return held


def _intersection(state: State, who: str, path: str, theirs: Held, *, is_root: bool) -> Held:
    own = _privileges(state, _roles(state, who, path))
    if is_root:
        return own
    return {privilege: bit and theirs[privilege] for privilege, bit in own.items() if privilege in theirs}
