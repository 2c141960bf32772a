"""What tests see of the traffic with the simulated Vault, and how they disturb it; and its answers and refusals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.testing.exchange import HangUpAfter, HangUpBefore

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class VaultRequest:
    """One request. ``path`` has no namespace, no ``/v1/`` and no quoting; ``namespace`` has no slash at its end."""

    method: str
    path: str
    namespace: str = ""
    token: str = field(default="", repr=False)
    body: Mapping[str, Any] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict)
    wrap_ttl: str = ""
    certificate: bytes = field(default=b"", repr=False)
    """What the client showed in the TLS handshake, in DER."""
    connection: int = 0
    """The how many-th connection it came by, from 1."""


@dataclass(frozen=True, slots=True)
class VaultReply:
    """One answer; without a body it has no content at all."""

    status: int
    body: Json | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VaultCall:
    """One request that was answered; status 0 when we hung up instead."""

    method: str
    path: str
    namespace: str
    status: int
    connection: int = 0


class VaultRefusalError(Exception):
    """An answer that is no success: a status and the errors in it."""

    def __init__(self, status: int, *errors: str) -> None:
        super().__init__(status)
        self.reply = VaultReply(status, {"errors": list(errors)})


@dataclass(frozen=True, slots=True)
class VaultAnswerInstead:
    """Do nothing, and answer this; what a proxy says has no body of Vault's."""

    status: int
    errors: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VaultAnswerAfter:
    """Do it, and answer this."""

    status: int
    errors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hold:
    """Never answer; with ``after``, once it is done."""

    after: bool = False


VaultFault = VaultAnswerInstead | VaultAnswerAfter | Hold | HangUpBefore | HangUpAfter

VaultIntercept = Callable[[VaultRequest], VaultFault | None]


def reply(data: Json | None, *, auth: Json | None = None, warnings: list[str] | None = None) -> VaultReply:
    """Answer as all of Vault's methods do."""
    return VaultReply(200, envelope(data, auth=auth, warnings=warnings))


def envelope(data: Json | None, *, auth: Json | None = None, warnings: list[str] | None = None) -> Json:
    """Put data into what all answers have around them."""
    return {
        "request_id": "00000000-0000-4000-8000-000000000000",
        "lease_id": "",
        "renewable": False,
        "lease_duration": 0,
        "data": data,
        "wrap_info": None,
        "warnings": warnings,
        "auth": auth,
    }


NOTHING = VaultReply(204)


def seconds(value: object) -> float:
    """Read a duration as Vault takes it: a number, or a text such as 90, 90s, 5m or 1h."""
    text = str(value or 0)
    units = {"s": 1, "m": 60, "h": 3600}
    return float(text[:-1]) * units[text[-1]] if text[-1:] in units else float(text)


def names(value: object) -> list[str]:
    """Read a list as Vault takes it: a list, or a text with commas."""
    return (
        [str(one) for one in value] if isinstance(value, list) else [one for one in str(value or "").split(",") if one]
    )
