"""What PVE's answers mean: a status and a sentence become one of our errors. Pure.

Facts are measured on PVE 9.2. The sentence is the reason phrase or, where the body has one, the longer ``message``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from rotator.advice.book import cause
from rotator.errors import (
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)

LOGIN = "/access/ticket"
ANYTHING = "surrogatepass"
"""How a password is written: what is no text, as an environment or JSON may have it, is a wrong one and no crash."""
_LONGEST = 400
_ABSENT = re.compile(r"no such (?:token|user|role|group)|(?:role|auth domain) '[^']*' does not exist")
_EXISTS = re.compile(r"Token already exists")
_IN_THE_WAY = re.compile(r"got lock (?:request )?timeout|no quorum|cfs-lock")
_UNDERSTOOD = re.compile(r"failed: 400 Parameter verification failed|does not look like a valid")
_PRIVILEGE = re.compile(r"\((?P<path>/[^,()]*), (?P<privileges>[^()]+)\)")
_TOKENS_OF = re.compile(r"/access/users/[^/]+(?:/token|$)")
_UNKNOWN = "it may have taken effect, or may still do so: look before repeating; more: rotate explain 596"
_EXISTS_HINT = "nothing was changed; the existing token is somebody else's until it is looked at"
_TRY_LATER = {
    HTTPStatus.REQUEST_TIMEOUT.value: "a proxy in between did not wait for the request",
    HTTPStatus.TOO_MANY_REQUESTS.value: "a proxy in between asks to try later",
}
"""Statuses that say that nothing happened."""
_DAEMON_HINT = "pveproxy cannot reach its daemon on that node: systemctl status pvedaemon; more: rotate explain 595"
"""595 is pveproxy's for a daemon that refuses connections: nothing happened (measured)."""
_UNWELL = "does PVE's API answer there, and is the node well?"


class UnwellError(UnavailableError):
    """PVE answered, and could not do it: nothing happened. ``code`` is what ``rotate explain`` knows the cause by."""

    def __init__(self, message: str, *, hint: str, code: str) -> None:
        super().__init__(message, hint=hint)
        self.code = code


_DAEMON_DOWN, _DAEMON_SLOW = 595, 596


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, for messages; never what was sent with it."""

    cluster: str
    endpoint: str
    method: str
    path: str
    who: str
    """``the operator``, or a token id."""

    def __str__(self) -> str:
        return f"{self.method} {self.path} at {self.endpoint} ({self.cluster})"

    @property
    def changing(self) -> bool:
        """Say whether it may change something at PVE; logging in does not."""
        return self.method != "GET" and self.path != LOGIN


def read(content: str) -> Any:  # noqa: ANN401 - JSON
    """Take the data out of a good answer. Raises: ``ValueError``, without the content, when it is not PVE's."""
    body = _parsed(content)
    if not isinstance(body, dict) or "data" not in body:
        raise ValueError("not an answer of PVE's API")
    return body["data"]


def sentence(reason: str, content: str) -> str:
    """Say in one line what PVE said: its message, else the reason phrase, without anything unprintable."""
    message = _member(content, "message")
    text = message if isinstance(message, str) and message.strip() else reason
    lines = " ".join(text.split())
    return "".join(letter if letter.isprintable() else "?" for letter in lines)[:_LONGEST]


def errors_by_parameter(content: str) -> dict[str, str]:
    """Read what PVE says of single parameters; {} when it says nothing."""
    errors = _member(content, "errors")
    if not isinstance(errors, dict):
        return {}
    return {sentence(str(name), ""): sentence(str(what), "") for name, what in errors.items()}


def _member(content: str, name: str) -> object:
    body = _parsed(content)
    return body.get(name) if isinstance(body, dict) else None


def _parsed(content: str) -> object:
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def refusal(call: Call, status: int, said: str, errors: Mapping[str, str]) -> RotatorError:
    """Turn an answer of 400 or above into the error to raise."""
    details = "; ".join(f"{name}: {what}" for name, what in sorted(errors.items()))
    message = f"{call}: {status} {said}".rstrip() + (f" ({details})" if details else "")
    if status == HTTPStatus.UNAUTHORIZED:
        return UnauthenticatedError(message, hint=_not_accepted(call))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _died(call, message, said)
    if status in _TRY_LATER:
        return UnavailableError(message, hint=_TRY_LATER[status])
    if status == HTTPStatus.NOT_IMPLEMENTED or status < HTTPStatus.INTERNAL_SERVER_ERROR:
        return _refused(call, status, message, errors)
    return _not_done(call, status, message)


def _not_done(call: Call, status: int, message: str) -> RotatorError:
    if status == _DAEMON_DOWN:
        return UnwellError(message, hint=_DAEMON_HINT, code="daemon-down")
    if status == _DAEMON_SLOW and not call.changing:
        return UnwellError(message, hint=_UNWELL, code="daemon-slow")
    return silence(call, message)


def silence(call: Call, message: str) -> RotatorError:
    """Say what is known when something answered, but not PVE's daemon as it should: 596, a proxy, garbage."""
    if call.changing:
        return OutcomeUnknownError(message, hint=_UNKNOWN)
    return UnavailableError(message, hint=_UNWELL)


def _refused(call: Call, status: int, message: str, errors: Mapping[str, str]) -> RotatorError:
    if status == HTTPStatus.FORBIDDEN:
        return RefusedError(message, hint=_missing_privilege(call, message))
    if status != HTTPStatus.BAD_REQUEST:
        return RefusedError(message, hint="does PVE's API answer there, and is it recent enough for this call?")
    if _EXISTS.search(errors.get("tokenid", "")):
        return ConflictError(message, hint=_EXISTS_HINT)
    if "not defined in schema" in errors.get("regenerate", ""):
        hint = "regenerate needs pve-access-control 9.1.0 (May 2026): update the nodes"
        return RefusedError(message, hint=f"{hint}; more: rotate explain regenerate-unknown")
    return RefusedError(message)


def _died(call: Call, message: str, said: str) -> RotatorError:
    if _EXISTS.search(said):
        return ConflictError(message, hint=_EXISTS_HINT)
    if _ABSENT.search(said):
        return NotFoundError(message)
    if _IN_THE_WAY.search(said):
        return _in_the_way(call, message, said)
    if _UNDERSTOOD.search(said):
        return RefusedError(message)
    return silence(call, message)


def _in_the_way(call: Call, message: str, said: str) -> UnwellError:
    found = cause("no-quorum" if "no quorum" in said else "lock-held", endpoint=call.endpoint)
    hint = f"{found.what}: {found.consequence}; {found.commands[0]}; more: rotate explain {found.code}"
    return UnwellError(message, hint=hint, code=found.code)


def _not_accepted(call: Call) -> str:
    if call.path == LOGIN:
        return (
            f"PVE does not say which it is: the password or the code, the realm of {call.who} (pam or pve?), or that "
            "the user is disabled or has expired; the node's syslog does"
        )
    return (
        f"PVE does not accept {call.who}: secret, expiry, or a disabled user; `rotate doctor` asks which, "
        "`rotate explain 401` lists all causes"
    )


def _missing_privilege(call: Call, said: str) -> str:
    if named := _PRIVILEGE.search(said):
        wanted = " or ".join(named["privileges"].split("|"))
        needs = f"{call.who} needs {wanted} on {named['path']}; if it is privilege-separated, its user does too"
        return f"{needs}; more: rotate explain 403"
    if _TOKENS_OF.match(call.path):
        return (
            f"{call.who} needs User.Modify on /access/groups/<g>, and that user must be a member of g; if it is "
            "privilege-separated, its user needs it too; an unknown user is answered in the same way; more: rotate "
            "explain operator-cannot-manage"
        )
    return f"{call.who} lacks a privilege that PVE does not name; more: rotate explain 403"
