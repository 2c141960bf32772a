"""What Vault's answers mean: a status and a sentence become one of our errors. Pure.

The server's own words are repeated only where ``vault_wire`` found nothing in them of what was sent, and never after a
login: ``invalid secret_id "…"`` has the secret id in it (OpenBao 2.6, ``builtin/credential/approle``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.errors import (
    ConflictError,
    NotFoundError,
    OutcomeUnknownError,
    RefusedError,
    RotatorError,
    UnauthenticatedError,
    UnavailableError,
)

OK, NO_CONTENT = 200, 204
BAD_REQUEST, FORBIDDEN, NOT_FOUND = 400, 403, 404
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_UNSUPPORTED, _NO_STATE, _TOO_LARGE, _TOO_MANY = 405, 412, 413, 429
_SECONDARY, _PERFORMANCE = 472, 473
_ERROR, _UNINITIALIZED, _UNAVAILABLE = 500, 501, 503

_LOOK = "it may have taken effect: look before repeating"
_NO_ROUTE = re.compile("no handler for route|unsupported path|route entry not found")
_VERSIONED = re.compile("versioned K/V secrets engine|root of a K/V v2 mount")
_CONFLICT = "check-and-set parameter did not match"
_CAS_REQUIRED = "check-and-set parameter required"
_UPGRADING = "from non-versioned to versioned data"
_LEADERLESS = (
    "the node is a standby and finds no active node",
    "wait until the cluster has elected one, then run again",
)
_NOT_FORWARDING = (
    "the node is a standby that does not forward",
    "set `address` to the active node or to a load balancer that asks sys/health; redirects are not followed",
)


@dataclass(frozen=True, slots=True)
class Call:
    """What was asked, for messages; never what was sent with it. ``changing``: whether it may change a record."""

    what: str
    address: str
    changing: bool = False
    policy: str = ""
    """The line that allows it."""

    def __str__(self) -> str:
        return f"cannot {self.what} at {self.address}"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came: the body if it was a JSON object, and the errors in it that repeat nothing of what was sent."""

    status: int
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    said: str = ""
    retry_after: str = ""
    location: str = ""

    @property
    def is_fine(self) -> bool:
        """Say whether it was done."""
        return self.status in {OK, NO_CONTENT}

    def part(self, *keys: str) -> dict[str, Any]:
        """Return an object inside of the body; {} where there is none."""
        found: Any = self.body
        for key in keys:
            found = found.get(key) if isinstance(found, Mapping) else None
        return dict(found) if isinstance(found, Mapping) else {}

    @property
    def warnings(self) -> str:
        """Return all warnings as one text."""
        found = self.body.get("warnings")
        return " ".join(str(warning) for warning in found) if isinstance(found, list) else ""


@dataclass(frozen=True, slots=True)
class Silence:
    """No whole answer: why, and whether anything of the question had been sent by then."""

    why: str
    hint: str
    sent: bool


def policy_line(path: str, capabilities: Iterable[str]) -> str:
    """Write the line of a policy that allows something on a path."""
    quoted = path.replace("\\", "\\\\").replace('"', '\\"').replace("${", "$${")
    listed = ", ".join(f'"{capability}"' for capability in capabilities)
    return f'path "{quoted}" {{ capabilities = [{listed}] }}'


def silence(call: Call, met: Silence) -> RotatorError:
    """Say what is known when no whole answer came."""
    message = f"{call}: {met.why}"
    if met.sent and call.changing:
        return OutcomeUnknownError(message, hint=_LOOK)
    return UnavailableError(message, hint=met.hint)


def garbled(call: Call, answer: Answer) -> RotatorError:
    """Say what is known when something answered that is not Vault, or not as Vault does."""
    message = f"{call}: the answer (status {answer.status}) is not one of Vault's"
    if call.changing:
        return OutcomeUnknownError(message, hint=_LOOK)
    return UnavailableError(message, hint="is this the address of Vault or OpenBao, and what stands in between?")


def refusal(call: Call, answer: Answer) -> RotatorError:
    """Turn an answer that is no success into the error to raise."""
    if judge := _JUDGES.get(answer.status):
        return judge(call, answer)
    if nothing_happened := _passing(call, answer):
        return nothing_happened
    return _broken(call, answer) if answer.status >= _ERROR else _otherwise(call, answer)


def _quoting(call: Call, answer: Answer) -> str:
    return f"{call}: status {answer.status}" + (f", {answer.said}" if answer.said else "")


def _forbidden(call: Call, _answer: Answer) -> RotatorError:
    lacking = f" its policy needs: {call.policy}" if call.policy else ""
    return RefusedError(
        f"{call}: permission denied", hint=f"is the token valid, in this namespace, and not expired?{lacking}"
    )


def _bad_request(call: Call, answer: Answer) -> RotatorError:
    if _CONFLICT in answer.said:
        return ConflictError(f"{call}: it was changed by somebody else")
    if _CAS_REQUIRED in answer.said:
        return RefusedError(
            f"{call}: it takes no write without check-and-set", hint="set kv_version: 2, which always sends it"
        )
    return _passing(call, answer) or RefusedError(_quoting(call, answer))


def _not_found(call: Call, answer: Answer) -> RotatorError:
    if _VERSIONED.search(answer.warnings):
        return RefusedError(f"{call}: the mount is KV version 2", hint="set kv_version: 2")
    if "namespace not found" in answer.said:
        return NotFoundError(f"{call}: the namespace does not exist", hint="correct `namespace`")
    if _NO_ROUTE.search(answer.said):
        return NotFoundError(
            f"{call}: nothing is mounted there", hint="correct `mount` or `namespace`, or enable a KV secrets engine"
        )
    return NotFoundError(_quoting(call, answer), hint="correct `address`, `namespace` or `mount`")


def _passing(call: Call, answer: Answer) -> RotatorError | None:
    """Name the states in which a server, or a mount, takes no request at all: nothing happened, and it will pass."""
    what, hint = _state(answer)
    return UnavailableError(f"{call}: {what}", hint=hint) if what else None


_STATES = (
    (BAD_REQUEST, _UPGRADING, "the mount is still being made", "wait a moment, then run again"),
    (_UNAVAILABLE, "sealed", "it is sealed", "unseal it: bao operator unseal, or vault operator unseal"),
    (_UNAVAILABLE, "locked", "the namespace is locked", "unlock it: bao namespace unlock, or vault namespace unlock"),
    (_UNINITIALIZED, "", "it is not initialized", "initialize it: bao operator init, or vault operator init"),
    (_TOO_MANY, "", "too many requests", "a rate limit quota of the server is used up"),
    (_SECONDARY, "", "the cluster is a disaster recovery secondary", "set `address` to the primary cluster"),
    (_NO_STATE, "", "the node lags behind the active one", "run again"),
    (_PERFORMANCE, "", *_LEADERLESS),
    (_ERROR, "not active but active cluster node", *_LEADERLESS),
    (_UNAVAILABLE, "no active Vault instance", *_LEADERLESS),
    (_UNAVAILABLE, "node is not active", *_LEADERLESS),
    *((status, "", *_NOT_FORWARDING) for status in _REDIRECTS),
)
"""By status and a part of what was said: the state in which no request is taken at all, and what to do."""


_DECISIVE = (
    _CONFLICT,
    _CAS_REQUIRED,
    "namespace not found",
    *_NO_ROUTE.pattern.split("|"),
    *(part for _, part, _, _ in _STATES if part),
)


def decisive(text: str) -> str:
    """Return as much of the server's words as decides what they mean, if the others cannot be shown."""
    return ", ".join(part for part in _DECISIVE if part in text)


def _state(answer: Answer) -> tuple[str, str]:
    for status, part, what, hint in _STATES:
        if answer.status == status and part in answer.said:
            wait = f"; it asks to wait {answer.retry_after} s" if answer.retry_after.isdigit() else ""
            return what, hint + wait
    return "", ""


def _otherwise(call: Call, answer: Answer) -> RotatorError:
    if answer.status == _UNSUPPORTED:
        return RefusedError(_quoting(call, answer), hint="the mount is no KV secrets engine; correct `mount`")
    if answer.status == _TOO_LARGE:
        return RefusedError(f"{call}: the record is larger than Vault takes", hint="remove foreign keys from it")
    return RefusedError(_quoting(call, answer)) if answer.status >= BAD_REQUEST else garbled(call, answer)


def _broken(call: Call, answer: Answer) -> RotatorError:
    message = _quoting(call, answer)
    if call.changing:
        return OutcomeUnknownError(message, hint=_LOOK)
    return UnavailableError(message, hint="look at the log of the server, and of what stands in between")


HEALTHY = frozenset({OK, _TOO_MANY, _PERFORMANCE})
"""What sys/health says of nodes that take requests: active ones, and standbys, which forward them."""


def unwell(call: Call, answer: Answer) -> RotatorError | None:
    """Judge what sys/health says; None when requests are taken, or when what answered is no Vault's health."""
    if answer.status in HEALTHY:
        return None
    if answer.status == _UNAVAILABLE and answer.body.get("sealed") is True:
        return _passing(call, Answer(_UNAVAILABLE, said="sealed"))
    return _passing(call, answer) if answer.status in {_UNINITIALIZED, _SECONDARY} else None


def login_refused(call: Call, answer: Answer, hint: str) -> RotatorError:
    """Turn the refusal of a login into an error, without the server's words."""
    if answer.status == NOT_FOUND:
        return UnauthenticatedError(
            f"{call}: no such login there", hint="correct `mount` or `namespace` of `auth`, or enable the auth method"
        )
    if answer.status in {BAD_REQUEST, FORBIDDEN}:
        return UnauthenticatedError(f"{call}: refused", hint=hint)
    error = refusal(call, Answer(answer.status, said="sealed" if "sealed" in answer.said else ""))
    return error if isinstance(error, UnavailableError) else UnauthenticatedError(error.message, hint=hint)


_JUDGES = {BAD_REQUEST: _bad_request, FORBIDDEN: _forbidden, NOT_FOUND: _not_found}
