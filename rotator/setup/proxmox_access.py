"""PVE's users, groups, roles and permissions over HTTPS: the port ``rotator.setup.port`` on the rotation's adapter."""

from __future__ import annotations

from typing import Any, assert_never

from rotator import proxmox_rows as rows
from rotator.errors import RefusedError, UnauthenticatedError
from rotator.model import Secret, Token, TokenId, TokenState
from rotator.proxmox import ProxmoxCluster
from rotator.setup.present import Account, Held, Present
from rotator.setup.things import Entry, Group, Member, Plain, Role, User

SIGHT = (("/access", frozenset({"Sys.Audit"})), ("/access/groups", frozenset({"User.Modify", "Sys.Audit"})))
"""Where one of which privileges shows all permissions, all users and all groups (measured)."""


class ProxmoxAccess(ProxmoxCluster):
    """One cluster as an administrator sees it; implements ``rotator.setup.port.Access``."""

    def enter(self) -> None:
        """Log in, and look whether all can be seen."""
        held = self.own_permissions()
        for path, any_of in SIGHT:
            if any_of.isdisjoint(held.get(path, {})):
                raise RefusedError(
                    f"this login does not see all of cluster {self.name}: "
                    f"it lacks {' or '.join(sorted(any_of))} on {path}",
                    hint="log in as root@pam, or as a user who is Administrator on /",
                )

    def present(self) -> Present:
        """Read all there is."""
        groups, roles = self._read("access", "groups"), self._read("access", "roles")
        users, acl = self._read("access", "users", full=1), self._read("access", "acl")
        domains = self._read("access", "domains")
        with self._api.understood("users, groups, roles, realms and permissions"):
            return Present(
                groups={rows.text(row["groupid"]): row.get("comment") or "" for row in groups},
                roles={rows.text(row["roleid"]): privileges(row) for row in roles},
                users={row["userid"]: account(row) for row in users},
                acl=frozenset(
                    Held(*(rows.text(row[key]) for key in ("path", "roleid", "type", "ugid"))) for row in acl
                ),
                realms=frozenset(rows.text(row["realm"]) for row in domains),
            )

    def make(self, thing: Plain, comment: str) -> None:
        """Make one thing."""
        match thing:
            case Group(name):
                self._change("post", "access", "groups", groupid=name, comment=comment)
            case Role(name, privileges):
                self._change("post", "access", "roles", roleid=name, privs=",".join(sorted(privileges)))
            case User(userid):
                self._change("post", "access", "users", userid=userid, comment=comment)
            case Member(userid, group):
                self._change("put", "access", "users", userid, groups=group, append=1)
            case Entry(path, role, userid):
                self._change("put", "access", "acl", path=path, roles=role, users=userid)
            case _:
                assert_never(thing)

    def remove(self, thing: Plain, stays_in: tuple[str, ...]) -> None:
        """Take one thing away."""
        match thing:
            case Group(name):
                self._change("delete", "access", "groups", name)
            case Role(name):
                self._change("delete", "access", "roles", name)
            case User(userid):
                self._change("delete", "access", "users", userid)
            case Member(userid):
                self._change("put", "access", "users", userid, groups=",".join(stays_in))
            case Entry(path, role, userid):
                self._change("put", "access", "acl", path=path, roles=role, users=userid, delete=1)
            case _:
                assert_never(thing)

    def issue_operator(self, token: TokenId, comment: str) -> Secret:
        """Issue a token that stays."""
        return self.issue(token, privsep=False, expire=None, comment=comment)

    def is_accepted(self, token: Token) -> bool:
        """Log in with a token, at one endpoint."""
        try:
            self.consumer(token).permissions()
        except UnauthenticatedError:
            return False
        return True

    def managed_by(self, operator: Token, userid: str) -> tuple[TokenState, ...]:
        """Work as the operator from now on, and list a user's tokens."""
        self.switch(operator)
        return self.tokens(userid)


def privileges(row: Any) -> frozenset[str]:  # noqa: ANN401 - JSON
    """Read those of a row of ``GET /access/roles``."""
    return frozenset(filter(None, (row.get("privs") or "").split(",")))


def account(row: Any) -> Account:  # noqa: ANN401 - JSON
    """Read a row of ``GET /access/users?full=1``."""
    user = rows.user(row)
    return Account(row.get("comment") or "", enabled=user.enabled, groups=frozenset(user.groups), tokens=user.tokens)
