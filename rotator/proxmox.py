"""One PVE cluster over HTTPS: the port ``rotator.pve`` by way of proxmoxer.

::

    ProxmoxCluster ── proxmoxer.ProxmoxResource (paths, statuses) ── _Session ── proxmox_wire.Endpoint ── http.client
        proxmox_login (as whom)   proxmox_answer, proxmox_rows (what it means)   proxmox_tls (whom we believe)
    proxmox_failover (where)   proxmox_clock

What of proxmoxer is used: the resource, with a session and a serializer of ours, which is how its ``ProxmoxAPI``
builds it too. Its HTTPS back end is not: see ``proxmox_wire`` and ``proxmox_login``. proxmoxer logs what is sent at
INFO and what comes at DEBUG. Its logger is shut for good, by a filter, which no logging set-up takes away; and were it
open, it is never given a secret: logins do not go through it, and an answer hides its content until it is opened.

Reads go to the endpoint that answered last and from there to the next. A change goes out once, to an endpoint that has
answered, and to another one only when no connection came about. Writes wait for each other here, in one lock per
cluster, because PVE's own waiters look only once a second; they connect before, so that nobody waits for that too.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from proxmoxer.core import ProxmoxResource, ResourceException

from rotator import proxmox_rows as rows
from rotator.errors import (
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    UnauthenticatedError,
    UnavailableError,
)
from rotator.model import Grant, Permissions, Secret, Token, TokenId, TokenState, UserState
from rotator.proxmox_answer import Call, errors_by_parameter, read, refusal, sentence, silence
from rotator.proxmox_clock import PveClock
from rotator.proxmox_failover import Endpoints
from rotator.proxmox_login import API, FORM, Login, Shown, TicketLogin, TicketOperator, TokenOperator, shown
from rotator.proxmox_tls import TlsTrust
from rotator.proxmox_visit import greet
from rotator.proxmox_wire import Answer, Endpoint, NotConnectedError, Request
from rotator.pve import Consumer, Entry, Greeting, OperatorSource
from rotator.record import Sealed

__all__ = ["ProxmoxCluster", "TicketLogin", "TlsTrust"]

logging.getLogger("proxmoxer.core").addFilter(lambda _record: False)

CONNECT_TIMEOUT = timedelta(seconds=5)
READ_TIMEOUT = timedelta(seconds=35)
"""Longer than the 30 s after which pveproxy gives up on its daemon: an answer is better than none."""

NOBODYS = "x"
"""Not the id of any token: they have two characters at least (measured)."""


def unheeded() -> None:
    """Heed no answer."""


class _Session:
    """What proxmoxer takes for a session of requests. It calls ``request`` and looks at the answer's attributes."""

    def __init__(
        self,
        call: Call,
        endpoint: Endpoint,
        as_whom: Shown,
        clock: PveClock,
        answered: Callable[[], None],
        *,
        query: str,
    ) -> None:
        self._call = call
        self._query = query
        self._endpoint = endpoint
        self._shown = as_whom
        self._clock = clock
        self._answered = answered

    def request(
        self, method: str, url: str, *, data: Mapping[str, Any] | None, params: Mapping[str, Any] | None
    ) -> Answer:
        """Send what proxmoxer asks for.

        Raises: what ``Endpoint.exchange`` does; a redirect is no answer, and what comes before an answer (1xx) neither.
        """
        changes = self._shown.beside_changes if method != "GET" else {}
        form = FORM if data is not None else {}
        query = self._query or urlencode(params or {})
        target = f"{url}?{query}" if query else url
        body = urlencode(data) if data is not None else None
        sent = self._clock.monotonic()
        answer = self._endpoint.exchange(Request(self._call, target, {**self._shown.headers, **changes, **form}, body))
        self._answered()
        self._clock.saw(answer.date, sent=sent)
        is_good = HTTPStatus.OK <= answer.status_code < HTTPStatus.MULTIPLE_CHOICES
        return answer if is_good else self._unanswered(answer)

    def _unanswered(self, answer: Answer) -> Answer:
        """Prepare what will become an error: PVE's sentence for a reason, and no echo of what was shown to it."""
        if answer.status_code < HTTPStatus.BAD_REQUEST:  # proxmoxer would take it for an empty answer
            raise silence(self._call, f"{self._call}: answered {answer.status_code}, which PVE's API never does")
        content = self._shown.hide(answer.content.reveal())
        reason = sentence(self._shown.hide(answer.reason), content)
        return Answer(answer.status_code, reason, Sealed(content), answer.date)


class _Json:
    """Opens answers for proxmoxer."""

    def loads(self, answer: Answer) -> Any:  # noqa: ANN401 - JSON
        return read(answer.content.reveal())

    def loads_errors(self, answer: Answer) -> dict[str, str]:
        return errors_by_parameter(answer.content.reveal())


class _Api:
    """Single calls through proxmoxer, as anybody; shared by the operator's view and the consumers'."""

    def __init__(self, cluster: str, endpoints: Endpoints, clock: PveClock) -> None:
        self.cluster = cluster
        self.endpoints = endpoints
        self.clock = clock

    def ask(
        self,
        endpoint: Endpoint,
        as_whom: Shown,
        method: str,
        *path: str,
        query: str = "",
        answered: Callable[[], None] = unheeded,
        **params: object,
    ) -> Any:  # noqa: ANN401 - JSON
        """Do one call at one endpoint and translate what goes wrong; ``answered`` is called as soon as it is over.

        ``query`` is somebody else's, with names of its own; it goes out as it is.
        """
        call = Call(self.cluster, str(endpoint), method.upper(), "/" + "/".join(path), as_whom.who)
        session = _Session(call, endpoint, as_whom, self.clock, answered, query=query)
        resource = ProxmoxResource(base_url=API, session=session, serializer=_Json())
        try:
            return getattr(resource([quote(part, safe="@!") for part in path]), method)(**params)
        except ResourceException as answer:
            raise refusal(call, answer.status_code, answer.content, answer.errors) from None
        except ValueError:
            raise silence(call, f"{call}: the answer is not one of PVE's API") from None

    def permissions(self, answer: Any) -> Permissions:  # noqa: ANN401 - JSON
        """Read an answer of /access/permissions."""
        with self.understood("the permissions"):
            return rows.permissions(answer)

    @contextmanager
    def understood(self, what: str) -> Iterator[None]:
        """Say so when what PVE answered to a read has another shape than it should."""
        try:
            yield
        except rows.MISSHAPEN:
            raise UnavailableError(
                f"cluster {self.cluster} answered with something unexpected for {what}",
                hint="is it a PVE that this program knows?",
            ) from None


class _TokenView:
    """PVE through one token; implements ``rotator.pve.Consumer``."""

    def __init__(self, api: _Api, token: Token) -> None:
        self._api = api
        self._token = token

    def login(self, endpoint: str) -> None:
        """Prove the secret there."""
        self._api.ask(self._api.endpoints.at(endpoint), self._shown(), "get", "version")

    def permissions(self, endpoint: str | None = None) -> Permissions:
        """Read this token's permissions."""
        if endpoint is None:
            return self._api.permissions(self._get("access", "permissions"))
        at = self._api.endpoints.at(endpoint)
        return self._api.permissions(self._api.ask(at, self._shown(), "get", "access", "permissions"))

    def get(self, path: str) -> None:
        """Do a GET; a query may follow the path after a question mark."""
        plain, _, query = path.partition("?")
        self._get(*plain.strip("/").split("/"), query=query)

    def _get(self, *path: str, query: str = "") -> Any:  # noqa: ANN401 - JSON
        as_whom = self._shown()
        return self._api.endpoints.first(
            lambda endpoint: self._api.ask(endpoint, as_whom, "get", *path, query=query), UnavailableError
        )

    def _shown(self) -> Shown:
        return shown(self._token, str(self._token.id))


class ProxmoxCluster:
    """A cluster as its operator sees it; implements ``rotator.pve.Inspected``.

    ``endpoints`` are ``host``, ``host:port`` or ``[IPv6]:port``, port 8006 unless given. Nothing is contacted and no
    operator is read before the first call. Threads share it: a connection belongs to one call at a time, and nothing
    else is kept between calls that is not behind a lock or replaced as a whole.
    Raises: ``ConfigError`` for what is wrong with the endpoints or the trust.
    """

    def __init__(
        self,
        name: str,
        endpoints: Sequence[str],
        *,
        login: OperatorSource | TicketLogin,
        trust: TlsTrust,
        connect_timeout: timedelta = CONNECT_TIMEOUT,
        read_timeout: timedelta = READ_TIMEOUT,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._endpoints = Endpoints(
            name, endpoints, trust, connect=connect_timeout, read=read_timeout, monotonic=monotonic
        )
        self.endpoints: Sequence[str] = self._endpoints.addresses
        self._clock = PveClock(monotonic)
        self._api = _Api(name, self._endpoints, self._clock)
        self._source = login
        self._login: Login = (
            TicketOperator(login, name, monotonic) if isinstance(login, TicketLogin) else TokenOperator(login)
        )
        self._sees_acl = False
        self._writing = threading.Lock()

    def now(self) -> datetime:
        """Tell PVE's time; who was stopped while waiting for an answer does not know it, and asks again."""
        now = self._clock.settled(lambda: self._read("version"))
        if now is None:
            raise UnavailableError(f"cluster {self.name} does not tell the time: its answers have no Date")
        return now

    def users(self) -> dict[str, UserState]:
        """List users with their tokens."""
        found = self._read("access", "users", full=1)
        with self._api.understood("the list of users"):
            return {row["userid"]: rows.user(row) for row in found}

    def tokens(self, userid: str) -> tuple[TokenState, ...]:
        """List one user's tokens."""
        found = self._read("access", "users", userid, "token")
        with self._api.understood("the list of tokens"):
            return tuple(rows.token(TokenId(userid, rows.text(row["tokenid"])), row) for row in found)

    def token_on(self, endpoint: str, token: TokenId) -> TokenState | None:
        """Ask one endpoint for one token."""
        try:
            found = self._read_on(endpoint, *_path(token))
        except NotFoundError:
            return None
        with self._api.understood("a token"):
            return rows.token(token, found)

    def issue(self, token: TokenId, *, privsep: bool, expire: datetime | None, comment: str) -> Secret:
        """Create a token."""
        data = {"privsep": int(privsep), "expire": rows.seconds(expire), "comment": comment}
        return self._secret(self._change("post", *_path(token), **data), token)

    def update(self, token: TokenId, *, expire: datetime | None = None, comment: str | None = None) -> None:
        """Change a token's end or comment."""
        end = None if expire is None else rows.seconds(expire)
        self._change("put", *_path(token), expire=end, comment=comment)  # proxmoxer leaves out what is None

    def regenerate(self, token: TokenId, *, expire: datetime | None, comment: str) -> Secret:
        """Replace a token's secret."""
        data = {"regenerate": 1, "expire": rows.seconds(expire), "comment": comment}
        return self._secret(self._change("put", *_path(token), **data), token)

    def revoke(self, token: TokenId) -> None:
        """Delete a token."""
        self._change("delete", *_path(token))

    def grants(self, token: TokenId) -> tuple[Grant, ...]:
        """Read the token's own ACL entries, once it is sure that the operator sees them all."""
        self._require_sight()
        found = self._read("access", "acl")
        with self._api.understood("the access control list"):
            own = [row for row in found if row["type"] == "token" and row["ugid"] == str(token)]
            return tuple(sorted(rows.grant(row) for row in own))

    def grant(self, token: TokenId, grant: Grant) -> None:
        """Add an ACL entry."""
        entry = {"path": grant.path, "roles": grant.role, "tokens": str(token), "propagate": int(grant.propagate)}
        self._change("put", "access", "acl", **entry)

    def role(self, name: str) -> frozenset[str]:
        """Read a role's privileges."""
        found = self._read("access", "roles", name)
        with self._api.understood("a role"):
            return frozenset(privilege for privilege, held in found.items() if held)

    def permissions_of(self, owner: str) -> Permissions:
        """Ask for somebody's permissions."""
        return self._api.permissions(self._read("access", "permissions", userid=owner))

    def own_permissions(self) -> Permissions:
        """Read the operator's permissions."""
        return self._api.permissions(self._read("access", "permissions"))

    def consumer(self, token: Token) -> Consumer:
        """Look through another token."""
        return _TokenView(self._api, token)

    def greet(self, endpoint: str) -> Greeting:
        """Look who answers there."""
        return greet(self._endpoints.at(endpoint), self.name)

    def users_on(self, endpoint: str) -> dict[str, UserState]:
        """List users as one endpoint knows them."""
        found = self._read_on(endpoint, "access", "users", full=1)
        with self._api.understood("the list of users"):
            return {row["userid"]: rows.user(row) for row in found}

    def quorum_on(self, endpoint: str) -> bool | None:
        """Ask one endpoint for its quorum."""
        try:
            found = self._read_on(endpoint, "cluster", "status")
        except RefusedError:
            return None
        with self._api.understood("the state of the cluster"):
            return rows.is_quorate(found)

    def acl(self) -> tuple[Entry, ...]:
        """List the entries that the operator sees."""
        found = self._read("access", "acl")
        with self._api.understood("the access control list"):
            return tuple(sorted(rows.entry(row) for row in found))

    def nodes(self) -> tuple[str, ...]:
        """List the nodes."""
        found = self._read("nodes")
        with self._api.understood("the list of nodes"):
            return tuple(sorted(rows.text(row["node"]) for row in found))

    def knows_regenerate(self, userid: str) -> bool:
        """Ask for something that no PVE does: an id of one letter is refused, and so is a parameter it does not know.

        Both stand in one 400 (measured), so that nothing can happen, whoever holds which token.
        """
        try:
            self._change("put", "access", "users", userid, "token", NOBODYS, regenerate=1)
        except RefusedError as refused:
            if isinstance(refused, UnauthenticatedError) or "tokenid:" not in refused.message:
                raise
            return "regenerate:" not in refused.message
        return True

    def switch(self, token: Token) -> None:
        """Be this operator; a later 401 still asks the source, where there is one."""
        again = (lambda: token) if isinstance(self._source, TicketLogin) else self._source
        self._login = TokenOperator(again, token)
        self._sees_acl = False

    def close(self) -> None:
        """Let go of connections."""
        self._endpoints.close()

    def _read(self, *path: str, **params: object) -> Any:  # noqa: ANN401 - JSON
        self._login.ready()
        return self._endpoints.first(lambda endpoint: self._operate(endpoint, "get", *path, **params), UnavailableError)

    def _read_on(self, endpoint: str, *path: str, **params: object) -> Any:  # noqa: ANN401 - JSON
        self._login.ready()
        return self._operate(self._endpoints.at(endpoint), "get", *path, **params)

    def _change(self, method: str, *path: str, **data: object) -> Any:  # noqa: ANN401 - JSON
        if self._endpoints.answered is None:
            self._read("version")
        if ready := self._endpoints.answered:
            ready.make_ready()
        with self._turn() as is_over:
            if self._endpoints.answered is None:  # another change has found out that it is gone
                self._read("version")
            return self._endpoints.first(
                lambda endpoint: self._operate(endpoint, method, *path, answered=is_over, **data), NotConnectedError
            )

    @contextmanager
    def _turn(self) -> Iterator[Callable[[], None]]:
        """Wait for our turn to change something. The next one's begins once PVE has answered: what is called then."""
        with ExitStack() as held:
            held.enter_context(self._writing)
            yield held.close

    def _operate(self, endpoint: Endpoint, method: str, *path: str, **params: Any) -> Any:  # noqa: ANN401 - JSON
        """Call as the operator; on 401, which means that nothing happened, once more with what the source says now."""
        login = self._login
        before = login.show(endpoint)
        try:
            return self._api.ask(endpoint, before, method, *path, **params)
        except UnauthenticatedError:
            now = login.renewed(before, endpoint)
            if now is None:
                raise
        return self._api.ask(endpoint, now, method, *path, **params)

    def _require_sight(self) -> None:
        """Make sure of Sys.Audit on /access, without which PVE leaves entries out silently (measured)."""
        if not self._sees_acl and "Sys.Audit" not in self.own_permissions().get("/access", {}):
            raise RefusedError(
                f"the operator may not see the whole access control list of cluster {self.name}",
                hint="it needs Sys.Audit on /access; if it is privilege-separated, its user does too; "
                "more: rotate explain operator-cannot-see-acl",
            )
        self._sees_acl = True

    def _secret(self, answer: Any, token: TokenId) -> Secret:  # noqa: ANN401 - JSON
        value = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(value, str) or not value:
            raise OutcomeUnknownError(
                f"cluster {self.name} told no secret for {token}", hint="look whether the token exists; delete it then"
            )
        return Secret(value)


def _path(token: TokenId) -> tuple[str, ...]:
    return ("access", "users", token.userid, "token", token.name)
