"""Who is calling: the credentials in the headers of a request, checked as PVE checks them.

Measured on PVE 9.2: with a ``PVEAuthCookie`` the token header is not looked at; whatever is wrong, the answer is the
same 401 without a body; a changing call of a ticket needs its CSRF token.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from urllib.parse import unquote

from rotator.testing.method import Place
from rotator.testing.names import split_token
from rotator.testing.state import State, is_over
from rotator.testing.wire import Message

_OPEN = {
    ("GET", "/access/domains"),
    ("GET", "/access/ticket"),
    ("POST", "/access/ticket"),
}
_NO_TICKET = "No ticket"
_FAILED = "Authentication failed!"
_BAD_CSRF = "Permission denied - invalid csrf token"


class UnknownCallerError(Exception):
    """Nobody that we know: a 401 with this reason phrase."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who has logged in (nobody: an empty text), and whether a token header came along."""

    who: str
    shows_token: bool


def caller(place: Place, message: Message, path: str) -> Caller:
    """Find out who is calling. Raises: ``UnknownCallerError``."""
    authorization = message.header("authorization")
    ticket = _shown(message.header("cookie"), "PVEAuthCookie") or _shown(authorization, "PVEAuthCookie")
    token = "" if ticket else _shown(authorization, "PVEAPIToken")
    if (message.method, path) in _OPEN:
        return Caller("", bool(token))
    if token:
        return Caller(_of_token(place, token), shows_token=True)
    return Caller(_of_ticket(place, ticket, message), shows_token=False)


def accepts(state: State, full_id: str, secret: str, now: float) -> bool:
    """Say whether a token logs in: the user enabled and not expired, the token there, not ended, the secret right."""
    owner, name = split_token(full_id) or ("", "")
    user, token = state.users.get(owner), state.find_token(owner, name)
    if user is None or token is None or not user.is_usable(now) or is_over(token.expire, now):
        return False
    return hmac.compare_digest(token.secret.encode(), secret.encode())


def _of_token(place: Place, shown: str) -> str:
    full_id, _, secret = shown.rpartition("=")
    if not accepts(place.view(), full_id, secret, place.now()):
        raise UnknownCallerError(_FAILED)
    return full_id


def _of_ticket(place: Place, ticket: str, message: Message) -> str:
    if not ticket:
        raise UnknownCallerError(_NO_TICKET)
    who = place.tickets.userid(ticket, place.now())
    if who is None:
        raise UnknownCallerError(_FAILED)
    csrf = message.header("csrfpreventiontoken")
    if message.method != "GET" and not place.tickets.is_csrf(csrf, who, place.now()):
        raise UnknownCallerError(_BAD_CSRF)
    return who


def _shown(header: str, name: str) -> str:
    found = re.search(rf"(?:^|\s){name}[= ]([^;]*)", header)
    return unquote(found[1]) if found else ""
