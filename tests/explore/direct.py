"""The cluster without a network: the port ``rotator.pve`` straight on the simulated PVE's own API methods.

What it says and what it refuses is what the product would hear over TLS: the simulated PVE does the call, and the
product's own modules read its rows, its clock and its refusals. Only proxmoxer and HTTP are left out, which are most of
the time that a rotation takes. A guard stands around each request: it may look on, put the request off, or end it all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from email.utils import formatdate
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl

from rotator import proxmox_rows as rows
from rotator.errors import NotFoundError, RefusedError, UnauthenticatedError, UnreachableError
from rotator.model import Grant, Permissions, Secret, Token, TokenId, TokenState, UserState
from rotator.proxmox_answer import Call, refusal, sentence
from rotator.proxmox_clock import PveClock
from rotator.proxmox_login import OPERATOR, shown
from rotator.pve import Consumer, Greeting, OperatorSource
from rotator.testing import api, door
from rotator.testing.pve import SimulatedNode, SimulatedPve
from rotator.testing.refusal import RefusalError

T = TypeVar("T")
Answer = Any
"""What PVE's API answers: JSON."""


class Guard(Protocol):
    """What stands around each call to the outside."""

    def __call__(self, label: str, call: Callable[[], T], /) -> T:
        """Do the call that goes by this name, sooner or later, or raise instead."""
        ...


def at_once(_label: str, call: Callable[[], T]) -> T:
    """Let a call through."""
    return call()


class DirectPve:
    """A cluster as its operator sees it; implements ``rotator.pve.Pve``. Its endpoints are the names of the nodes."""

    def __init__(
        self,
        pve: SimulatedPve,
        source: OperatorSource,
        monotonic: Callable[[], float],
        guard: Guard = at_once,
        name: str = "home",
    ) -> None:
        self.name = name
        self.endpoints: Sequence[str] = tuple(node.name for node in pve.nodes)
        self._nodes = {node.name: node for node in pve.nodes}
        self._order = list(pve.nodes)
        self._source = source
        self._operator: Token | None = None
        self._guard = guard
        self._clock = PveClock(monotonic)
        self._told = (0.0, 0.0, 0.0)
        self._sees_acl = False

    # one request

    def ask(self, node: SimulatedNode, token: Token, who: str, verb: str, path: str, /, **params: object) -> Answer:
        """Do one call at one node with one token, and translate what goes wrong."""
        call = Call(self.name, node.name, verb, path, who)
        shown(token, who)  # refuses what no PVE secret looks like
        given = {name: str(value) for name, value in params.items() if value is not None}
        sent = self._clock.monotonic()
        return self._guard(f"{verb} {path}", lambda: self._asked(node, token, call, given, sent))

    def _asked(self, node: SimulatedNode, token: Token, call: Call, given: dict[str, str], sent: float) -> Answer:
        if node.down:
            raise UnreachableError(f"{call}: connection refused")
        self._see_time(node, sent)
        if not door.accepts(node.view(), str(token.id), token.secret.reveal(), node.now()):
            raise refusal(call, 401, "Authentication failed!", {})
        try:
            return api.performed(node, door.Caller(str(token.id), shows_token=True), call.method, call.path, given)
        except RefusalError as error:
            raise refusal(call, error.status, sentence(error.text, ""), error.errors) from None

    def _see_time(self, node: SimulatedNode, sent: float) -> None:
        seen = (node.now(), self._clock.monotonic(), sent)
        if seen != self._told:  # the same again tells nothing more
            self._clock.saw(formatdate(seen[0], usegmt=True), sent=sent)
            self._told = seen

    def first(self, ask: Callable[[SimulatedNode], T]) -> T:
        """Ask one node after the other until one answers, beginning with the one that answered last."""
        failures: list[UnreachableError] = []
        for node in list(self._order):
            try:
                return ask(node)
            except UnreachableError as error:
                failures.append(error)
                self._order = [*(it for it in self._order if it is not node), node]
        raise failures[0]

    def _operate(self, node: SimulatedNode, verb: str, path: str, /, **params: object) -> Answer:
        before = self._operator = self._operator or self._source()
        try:
            return self.ask(node, before, OPERATOR, verb, path, **params)
        except UnauthenticatedError:
            self._operator = self._source()
            if self._operator == before:
                raise
        return self.ask(node, self._operator, OPERATOR, verb, path, **params)

    def _call(self, verb: str, path: str, /, **params: object) -> Answer:
        return self.first(lambda node: self._operate(node, verb, path, **params))

    # the port

    def now(self) -> datetime:
        """Tell PVE's time."""
        now = self._clock.settled(lambda: self._call("GET", "/version"))
        assert now is not None
        return now

    def users(self) -> dict[str, UserState]:
        """List users with their tokens."""
        return {row["userid"]: rows.user(row) for row in self._call("GET", "/access/users", full=1)}

    def tokens(self, userid: str) -> tuple[TokenState, ...]:
        """List one user's tokens."""
        found = self._call("GET", f"/access/users/{userid}/token")
        return tuple(rows.token(TokenId(userid, row["tokenid"]), row) for row in found)

    def greet(self, endpoint: str) -> Greeting:
        """Look who answers there."""
        return (
            Greeting(code="connection-refused", message="nobody listens")
            if self._nodes[endpoint].down
            else Greeting(("pve",))
        )

    def token_on(self, endpoint: str, token: TokenId) -> TokenState | None:
        """Ask one node for one token."""
        try:
            return rows.token(token, self._operate(self._nodes[endpoint], "GET", _path(token)))
        except NotFoundError:
            return None

    def issue(self, token: TokenId, *, privsep: bool, expire: datetime | None, comment: str) -> Secret:
        """Create a token."""
        data = {"privsep": int(privsep), "expire": rows.seconds(expire), "comment": comment}
        return Secret(self._call("POST", _path(token), **data)["value"])

    def update(self, token: TokenId, *, expire: datetime | None = None, comment: str | None = None) -> None:
        """Change a token's end or comment."""
        end = None if expire is None else rows.seconds(expire)
        self._call("PUT", _path(token), expire=end, comment=comment)

    def regenerate(self, token: TokenId, *, expire: datetime | None, comment: str) -> Secret:
        """Replace a token's secret."""
        data = {"regenerate": 1, "expire": rows.seconds(expire), "comment": comment}
        return Secret(self._call("PUT", _path(token), **data)["value"])

    def revoke(self, token: TokenId) -> None:
        """Delete a token."""
        self._call("DELETE", _path(token))

    def grants(self, token: TokenId) -> tuple[Grant, ...]:
        """Read the token's own ACL entries, once it is sure that the operator sees them all."""
        if not self._sees_acl and "Sys.Audit" not in self.own_permissions().get("/access", {}):
            raise RefusedError(f"the operator may not see the whole access control list of cluster {self.name}")
        self._sees_acl = True
        found = self._call("GET", "/access/acl")
        return tuple(sorted(rows.grant(it) for it in found if (it["type"], it["ugid"]) == ("token", str(token))))

    def grant(self, token: TokenId, grant: Grant) -> None:
        """Add an ACL entry."""
        entry = {"path": grant.path, "roles": grant.role, "tokens": str(token), "propagate": int(grant.propagate)}
        self._call("PUT", "/access/acl", **entry)

    def role(self, name: str) -> frozenset[str]:
        """Read a role's privileges."""
        return frozenset(self._call("GET", f"/access/roles/{name}"))

    def permissions_of(self, owner: str) -> Permissions:
        """Ask for somebody's permissions."""
        return rows.permissions(self._call("GET", "/access/permissions", userid=owner))

    def own_permissions(self) -> Permissions:
        """Read the operator's permissions."""
        return rows.permissions(self._call("GET", "/access/permissions"))

    def consumer(self, token: Token) -> Consumer:
        """Look through another token."""
        return _TokenView(self, self._nodes, token)

    def switch(self, token: Token) -> None:
        """Be this operator; a later 401 still asks the source."""
        self._operator, self._sees_acl = token, False

    def close(self) -> None:
        """Do nothing: there are no connections."""


class _TokenView:
    """PVE through one token; implements ``rotator.pve.Consumer``."""

    def __init__(self, cluster: DirectPve, nodes: dict[str, SimulatedNode], token: Token) -> None:
        self._cluster = cluster
        self._nodes = nodes
        self._token = token

    def login(self, endpoint: str) -> None:
        """Prove the secret there."""
        self._ask(self._nodes[endpoint], "/version")

    def permissions(self, endpoint: str | None = None) -> Permissions:
        """Read this token's permissions."""
        if endpoint is not None:
            return rows.permissions(self._ask(self._nodes[endpoint], "/access/permissions"))
        return rows.permissions(self._cluster.first(lambda node: self._ask(node, "/access/permissions")))

    def get(self, path: str) -> None:
        """Do a GET; a query may follow the path after a question mark."""
        plain, _, query = path.partition("?")
        params = dict(parse_qsl(query, keep_blank_values=True))
        self._cluster.first(lambda node: self._ask(node, plain, **params))

    def _ask(self, node: SimulatedNode, path: str, /, **params: str) -> Answer:
        return self._cluster.ask(node, self._token, str(self._token.id), "GET", path, **params)


def _path(token: TokenId) -> str:
    return f"/access/users/{token.userid}/token/{token.name}"
