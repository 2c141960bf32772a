"""As whom we speak to PVE: with a token, or with a ticket for a password.

proxmoxer's password login is not used: its own ``requests.post`` calls know neither our trust nor our time-outs, the
second of them (for the second factor) not even ``cert`` and ``proxies``; a wrong code there ends in a ``TypeError``.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Protocol
from urllib.parse import quote, unquote, urlencode

from rotator.errors import RotatorError, UnauthenticatedError, UnavailableError
from rotator.model import Secret, Token
from rotator.proxmox_answer import ANYTHING, LOGIN, Call, read, refusal
from rotator.proxmox_wire import Endpoint, Request
from rotator.pve import OperatorSource

API = "/api2/json"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OPERATOR = "the operator"
RENEW_AFTER = 3600.0
"""Seconds; PVE's tickets live two hours."""

_PLAIN = re.compile(r"[!-~]+")
_RECOVERY = re.compile(r"[0-9a-f]{4}(?:-[0-9a-f]{4}){3}")
_SENDABLE = re.compile(r"[^\ud800-\udfff]+")
"""JSON may hold half a character."""
_CHALLENGE = re.compile(r"PVE:!tfa!(?P<asked>[^:]*):")


@dataclass(frozen=True, slots=True)
class Shown:
    """What is shown to PVE to be let in. A ticket must not ride beside a token: PVE would ignore the token."""

    who: str
    headers: Mapping[str, str] = field(repr=False)
    secret: Secret
    beside_changes: Mapping[str, str] = field(default_factory=dict, repr=False)

    def hide(self, text: str) -> str:
        """Take the secret out of what came back, should somebody echo it: as it is, decoded, or inside JSON."""
        plain = (self.secret.reveal(), unquote(self.secret.reveal()))
        for form in (*(json.dumps(it)[1:-1] for it in plain), *plain):
            text = text.replace(form, "…")
        return text


@dataclass(frozen=True, slots=True)
class TicketLogin:
    """Log in as a user with a password and, where PVE asks for it, a one-time code or a recovery code."""

    userid: str
    password: Secret
    otp: Callable[[], Secret] | None = None


class Login(Protocol):
    """As whom the operator's calls go out. Used from several threads."""

    def ready(self) -> None:
        """Read what must be read before any endpoint is asked."""
        ...

    def show(self, endpoint: Endpoint) -> Shown:
        """Return what to show there."""
        ...

    def renewed(self, refused: Shown, endpoint: Endpoint) -> Shown | None:
        """Return something else to show after a 401, None when there is nothing else."""
        ...


class UnfitSecretError(UnauthenticatedError):
    """A secret that PVE cannot accept, and was not asked about."""


def shown(token: Token, who: str) -> Shown:
    """Show a token. Raises: ``UnfitSecretError``."""
    if not _PLAIN.fullmatch(token.secret.reveal()):
        raise UnfitSecretError(
            f"the secret of {token.id} is empty, or has white space or other characters that no PVE secret has",
            hint="does the place that it was read from hold a line break after it?",
        )
    value = f"PVEAPIToken={quote(str(token.id), safe='@!')}={token.secret.reveal()}"
    return Shown(who, {"Authorization": value}, token.secret)


class TokenOperator:
    """The operator as a token, read when it is first needed and once more after each 401.

    What cannot be shown is not kept, or nobody would ever look whether it was mended.
    """

    def __init__(self, source: OperatorSource, token: Token | None = None) -> None:
        self._source = source
        self._shown = shown(token, OPERATOR) if token else None
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Read the token unless it is known."""
        self._current()

    def show(self, endpoint: Endpoint) -> Shown:  # noqa: ARG002 - a token is the same everywhere
        """Return the header of the token."""
        return self._current()

    def renewed(self, refused: Shown, endpoint: Endpoint) -> Shown | None:  # noqa: ARG002 - as above
        """Read the token again, unless another thread has done so since."""
        with self._lock:
            if self._shown == refused:
                self._shown = shown(_read_again(self._source), OPERATOR)
            return None if self._shown == refused else self._shown

    def _current(self) -> Shown:
        with self._lock:
            if self._shown is None:
                self._shown = shown(self._source(), OPERATOR)
            return self._shown


def _read_again(source: OperatorSource) -> Token:
    try:
        return source()
    except RotatorError as error:
        raise UnauthenticatedError(
            f"PVE does not accept the operator any more, and reading it again failed: {error}", hint=error.hint
        ) from error


class TicketOperator:
    """The operator as a user with a ticket, renewed with itself before it ends."""

    def __init__(self, login: TicketLogin, cluster: str, monotonic: Callable[[], float]) -> None:
        self._login = login
        self._cluster = cluster
        self._monotonic = monotonic
        self._ticket: Mapping[str, Any] = {}
        self._born = 0.0
        self._lock = threading.Lock()

    def ready(self) -> None:
        """Nothing: a ticket comes from an endpoint."""

    def show(self, endpoint: Endpoint) -> Shown:
        """Return the ticket, a new one when there is none or when it is an hour old."""
        with self._lock:
            if not self._ticket:
                self._take(self._enter(endpoint))
            elif self._monotonic() - self._born >= RENEW_AFTER:
                self._take(self._prolong(endpoint))
            return self._shown()

    def renewed(self, refused: Shown, endpoint: Endpoint) -> Shown | None:
        """Log in with the password again, unless another thread has done so since."""
        with self._lock:
            if self._shown() == refused:
                self._take(self._enter(endpoint))
            return self._shown()

    def _shown(self) -> Shown:
        ticket = quote(self._ticket["ticket"], safe="")
        csrf = {"CSRFPreventionToken": self._ticket["CSRFPreventionToken"]}
        return Shown(self._login.userid, {"Cookie": f"PVEAuthCookie={ticket}"}, Secret(ticket), csrf)

    def _take(self, ticket: Mapping[str, Any]) -> None:
        self._ticket, self._born = ticket, self._monotonic()

    def _prolong(self, endpoint: Endpoint) -> Mapping[str, Any]:
        try:
            return self._post(endpoint, password=self._ticket["ticket"])
        except UnauthenticatedError:
            return self._enter(endpoint)

    def _enter(self, endpoint: Endpoint) -> Mapping[str, Any]:
        given = self._post(endpoint, password=self._login.password.reveal())
        if not given.get("NeedTFA"):
            return given
        if self._login.otp is None:
            raise UnauthenticatedError(
                f"PVE asks for a second factor of {self._login.userid}", hint="give a one-time code, or use a token"
            )
        offered = factors(given["ticket"])
        if offered and offered.isdisjoint({"totp", "recovery"}):
            raise UnauthenticatedError(
                f"the second factor of {self._login.userid} is {' or '.join(sorted(offered))}, which needs a browser",
                hint="add a one-time password or recovery codes to that user, or log in as another",
            )
        return self._post(
            endpoint, **{"tfa-challenge": given["ticket"], "password": response(self._code(self._login.otp))}
        )

    def _code(self, otp: Callable[[], Secret]) -> Secret:
        """Get a code. Where that fails, the endpoint that asked for it is well, and no other one helps."""
        try:
            return otp()
        except UnavailableError as error:
            message = f"PVE asks for a second factor of {self._login.userid}, and getting one failed: {error}"
            raise UnauthenticatedError(message, hint=error.hint) from error

    def _post(self, endpoint: Endpoint, **form: str) -> Mapping[str, Any]:
        call = Call(self._cluster, str(endpoint), "POST", LOGIN, self._login.userid)
        body = urlencode({"username": self._login.userid, **form}, errors=ANYTHING)
        answer = endpoint.exchange(Request(call, f"{API}{LOGIN}", FORM, body))
        if answer.status_code != HTTPStatus.OK:
            raise refusal(call, answer.status_code, "the login was refused", {})  # PVE's words may quote what was sent
        return _ticket(call, answer.content)


def response(code: Secret) -> str:
    """Say to PVE which kind of code it is: recovery codes have a form of their own, blanks in others mean nothing."""
    bare = "".join(code.reveal().split()).lower()
    return f"{'recovery' if _RECOVERY.fullmatch(bare) else 'totp'}:{bare}"


def factors(challenge: str) -> frozenset[str]:
    """Read out of a challenge which kinds of second factors the user has; none when it does not say."""
    found = _CHALLENGE.match(challenge)
    try:
        asked = json.loads(unquote(found["asked"])) if found else {}
    except (ValueError, RecursionError):
        return frozenset()
    return frozenset(str(kind) for kind, has in asked.items() if has) if isinstance(asked, dict) else frozenset()


def _ticket(call: Call, content: Secret) -> Mapping[str, Any]:
    try:
        data = read(content.reveal())
    except ValueError:
        data = None
    forms = {"ticket": _SENDABLE, "CSRFPreventionToken": _PLAIN}
    if isinstance(data, dict) and all(_is_of(form, data.get(key)) for key, form in forms.items()):
        return data
    raise UnavailableError(f"{call}: the answer holds no ticket", hint="does PVE's API answer there?")


def _is_of(form: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None
