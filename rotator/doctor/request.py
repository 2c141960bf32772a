"""Examine what a consumer shows to PVE: address, then form, then the operator's side, and only then PVE itself.

A consumer's request is never repeated: what is asked is GET /version with what it shows, its path where that is a GET,
and a login with its password. So a refusal is met once, and only where nothing else explains it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import SplitResult, quote, urlsplit

from rotator.doctor.cluster_checks import host_of, right_port
from rotator.doctor.evidence import Login, TokenSeen, lists
from rotator.doctor.finding import Diagnosis, Finding, Kind, found
from rotator.doctor.gather import Look
from rotator.doctor.given import TICKET_LIFE, Given, Ticket
from rotator.doctor.token_checks import namesake, secret_wrong, why_forbidden, why_no_user, why_refused
from rotator.errors import ConfigError, UnavailableError
from rotator.model import Secret, Token, TokenId
from rotator.proxmox_answer import ANYTHING
from rotator.proxmox_visit import Response
from rotator.pve import Greeting
from rotator.view import at

PORT = 8006
OK, UNAUTHORIZED, FORBIDDEN = 200, 401, 403
TICKETS_ONLY = ("/access/ticket", "/access/password")
_NEEDED = re.compile(r"\((?P<path>/[^,()]*), (?P<privileges>[^()]+)\)")
_AS_IT_IS = "!#$%&'()*+,/:;=?@[]~"
"""What clients leave as it is, a percent sign too: it may have been put there by them."""


class Visits(Protocol):
    """How PVE is met as the consumer meets it; ``rotator.proxmox_visit.Visitor`` is it."""

    def greet(self, address: str) -> Greeting:
        """Look who answers there."""
        ...

    def show(self, address: str, path: str, headers: dict[str, Secret]) -> Response:
        """Do a GET with these headers."""
        ...

    def log_in(self, address: str, userid: str, password: Secret) -> Response:
        """Log in with a password."""
        ...

    def speak_plainly(self, address: str) -> Response | None:
        """Speak plain HTTP, showing nothing."""
        ...


@dataclass(frozen=True)
class Asked:
    """Where a consumer asks, and how. Without an address it is the cluster's own, and only what is shown is judged."""

    address: str
    is_plain: bool = False
    path: str = ""
    """Of the API, without /api2/json; "" when only the address is known."""
    method: str = "GET"

    @property
    def host(self) -> str:
        """The address without its port."""
        return host_of(self.address)

    @property
    def changes(self) -> bool:
        """Whether it may change something."""
        return self.method not in {"GET", "HEAD"}


def read_url(url: str, method: str) -> Asked:
    """Read where a consumer asks. Raises: ``ConfigError`` for what is no address."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        port = parts.port
    except ValueError:
        raise ConfigError("not an address of PVE's API", hint="write https://HOST:8006/api2/json/PATH") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.password:
        raise ConfigError("not an address of PVE's API", hint="write https://HOST:8006/api2/json/PATH")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme] if "://" in url else PORT
    return Asked(f"{host}:{usual if port is None else port}", parts.scheme == "http", path_of(parts), method)


def path_of(parts: SplitResult) -> str:
    """Return the path within the API, as clients write it on a request's line; "" where it is only the way to it."""
    path = re.sub(r"^/api2/(?:json|extjs)", "", parts.path).rstrip("/")
    return quote(f"{path}?{parts.query}" if path and parts.query else path, _AS_IT_IS, errors=ANYTHING)


@dataclass(frozen=True)
class Reception:
    """One consumer's request before the cluster that it is meant for."""

    look: Look
    visits: Visits
    asked: Asked
    given: Given | None

    def diagnosis(self) -> Diagnosis:
        """Name the first thing that is wrong, and what only doing it would tell."""
        finding = next(self._findings(), None)
        name = self.given.name if self.given else self.asked.address
        unknown = [] if finding else [*self._unknown()]
        return Diagnosis(Kind.REQUEST, name, self.look.pve.name, (finding,) if finding else (), tuple(unknown))

    def _findings(self) -> Iterator[Finding]:
        yield from self._of_address()
        if self.given is None:
            return
        yield from self._of_form(self.given)
        if self.given.password:
            yield from self._of_password(self.given, self.given.password)
        elif self.given.ticket:
            yield from self._of_ticket(self.given, self.given.ticket)
        elif self.given.token and self.given.token.token:
            yield from self._of_token(self.given, Token(self.given.token.token, self.given.token.secret))

    def _of_address(self) -> Iterator[Finding]:
        address, about = self.asked.address, {"endpoint": self.asked.address, "host": self.asked.host}
        reached = [it.address for it in self.look.cluster.endpoints if it.is_reached]
        right = right_port(address, reached)
        if self.asked.is_plain:
            about["right"] = address if address in reached else right or address
            answer = self.visits.speak_plainly(address)
            heard = f"it answers {answer.status}, to {answer.location or 'nowhere'}" if answer else "it does not answer"
            yield found("plain-http", f"the address begins with http://; {heard}", about=about)
            return
        greeting = self.visits.greet(address)
        if not greeting.code:
            return
        about["right"] = right
        if right and greeting.code in {"connection-refused", "no-answer", "wrong-port"}:
            yield found("wrong-port", greeting.message, f"PVE's API answers at {right}", about=about)
        yield found(greeting.code, greeting.message, about=about | {"fingerprint": greeting.fingerprint})

    def _of_form(self, given: Given) -> Iterator[Finding]:
        token, ticket = given.token, given.ticket
        if token and ticket:
            yield found("cookie-beside-token", "there is a PVEAuthCookie beside an Authorization header")
        if token and token.fault:
            yield found(token.fault, token.evidence, about={"token": str(token.token or "")})
        if not (token or ticket or given.password):
            yield found("nothing-shown", "there is no Authorization header, no PVEAuthCookie and no password")
        if token and self.asked.changes and self.asked.path in TICKETS_ONLY:
            yield found("ticket-needed", f"{self.asked.method} {self.asked.path}", about={"token": str(token.token)})

    def _of_password(self, given: Given, password: Secret) -> Iterator[Finding]:
        yield from self._of_user(given.userid)
        answer = self.visits.log_in(self.asked.address, given.userid, password)
        if answer.status == UNAUTHORIZED:
            yield from filter(None, [namesake(self._user(given.userid))])
            evidence = f"PVE lists {given.userid}, enabled and not expired; yet it answered `{answer.said}`, once"
            known = given.userid in self.look.users
            said = evidence if known else f"PVE answered `{answer.said}`, once; the operator does not see the user"
            yield found("password-wrong", said, about={"userid": given.userid})
        yield from self._of_answer("the login", answer)

    def _of_ticket(self, given: Given, ticket: Ticket) -> Iterator[Finding]:
        now = self.look.pve.now()
        if ticket.born and now - ticket.born > TICKET_LIFE:
            yield found("ticket-expired", f"it was made at {at(ticket.born)}; at PVE it is {at(now)}")
        if not ticket.userid:
            yield found("ticket-refused", "what the cookie holds is no ticket of a user (PVE:user@realm:HEX::...)")
        yield from self._of_user(ticket.userid)
        answer = self.visits.show(self.asked.address, "/version", given.headers)
        if answer.status == UNAUTHORIZED:
            yield found("ticket-refused", f"PVE answered `{answer.said}` to GET /version, once")
        yield from self._of_answer("GET /version", answer)
        if self.asked.changes and not given.has_csrf:
            yield found("csrf-missing", f"{self.asked.method} with a ticket, and no CSRFPreventionToken header")
        yield from self._of_path(given, self._user(ticket.userid))

    def _of_user(self, userid: str) -> Iterator[Finding]:
        yield from filter(None, [why_no_user(self._user(userid))])

    def _user(self, userid: str) -> TokenSeen:
        seen = self.look.claimed(TokenId(userid, ""))
        permissions = self.look.permissions_of(userid)
        return replace(seen, effective=permissions, user_permissions=permissions, entries=())

    def _of_token(self, given: Given, token: Token) -> Iterator[Finding]:
        seen = self.look.claimed(token.id)
        if finding := why_refused(seen):
            yield finding
            return
        answer = self.visits.show(self.asked.address, "/version", given.headers)
        if answer.status == UNAUTHORIZED:
            blamed = None if self._lags(token.id) else secret_wrong(replace(seen, login=Login.REFUSED))
            about = {"endpoint": self.asked.address}
            yield blamed or found("node-lag", "another node lists the token, and this one refuses it", about=about)
            return
        yield from self._of_answer("GET /version", answer)
        seen = self.look.rights(replace(seen, login=Login.ACCEPTED), token)
        yield from self._of_path(given, seen, why_forbidden(seen))

    def _lags(self, token: TokenId) -> bool:
        """Say whether the node that is asked does not know a token that another one knows."""
        here = next((it for it in self.look.cluster.endpoints if it.address == self.asked.address), None)
        behind = here is not None and here.users is not None and not lists(here.users, token)
        return behind and self.look.cluster.knows(token)

    def _of_path(self, given: Given, seen: TokenSeen, otherwise: Finding | None = None) -> Iterator[Finding]:
        """Explain what comes of the path itself; what is wrong ``otherwise`` explains it where nothing else does."""
        if not self.asked.path or self.asked.changes:
            yield from filter(None, [otherwise])
            return
        answer = self.visits.show(self.asked.address, self.asked.path, given.headers)
        if answer.status == FORBIDDEN:
            yield from self._of_forbidden(answer, seen)
        yield from filter(None, [otherwise])
        yield from self._of_answer(f"GET {self.asked.path}", answer)

    def _of_forbidden(self, answer: Response, seen: TokenSeen) -> Iterator[Finding]:
        if "API token" in answer.said:
            yield found("ticket-needed", f"PVE says: {answer.said}", about=seen.values)
        needed = _NEEDED.search(answer.said)
        if needed:
            wanted = {needed["path"]: frozenset(needed["privileges"].split("|")[:1])}
            yield from filter(None, [why_forbidden(replace(seen, wanted=wanted))])

    def _of_answer(self, what: str, answer: Response) -> Iterator[Finding]:
        """See an answer that is none, and that nothing else explains."""
        if answer.status // 100 != OK // 100:
            evidence = f"PVE answered `{answer.status} {answer.said}` to {what}, once"
            yield found("answered-otherwise", evidence, about={"endpoint": self.asked.address})

    def _unknown(self) -> Iterator[str]:
        yield "whether the consumer itself trusts the certificate: it was judged by what is trusted here"
        if self.asked.path and self.asked.changes:
            yield f"whether {self.asked.method} {self.asked.path} is allowed: only doing it would tell"


def examined(look: Look, visits: Visits, asked: Asked, given: Given | None) -> Diagnosis:
    """Examine a consumer's request; where nobody answers in time, that is the finding."""
    try:
        return Reception(look, visits, asked, given).diagnosis()
    except UnavailableError as error:
        name = given.name if given else asked.address
        finding = found("no-answer", str(error), about={"endpoint": asked.address})
        return Diagnosis(Kind.REQUEST, name, look.pve.name, (finding,))
