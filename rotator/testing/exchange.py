"""What tests see of the traffic, and how they disturb it: ``Call``, ``Request`` and the faults.

A fault is what ``SimulatedPve.intercept`` returns for a request; None lets it pass. The statuses worth knowing
(measured): 595 nothing happened, 596 nobody knows, and it may still happen.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from rotator.testing.schema import Value

SECRET_PARAMETERS = frozenset(
    {"password", "confirmation-password", "tfa-challenge", "otp", "value", "totp", "challenge", "keys"}
)
"""Parameters that are left out of ``Call.params`` and ``Request.params``."""


@dataclass(frozen=True, slots=True)
class Request:
    """One API request before it is handled. ``path`` is relative to the API: ``/access/users``."""

    node: str
    method: str
    path: str
    who: str
    """The user or token id that has logged in; empty when nobody has."""
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class Call:
    """One API request that was answered; status 0 when we hung up instead."""

    node: str
    method: str
    path: str
    who: str
    status: int
    params: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """Answer this and do nothing: 500, 403, 595."""

    status: int
    reason: str = "refused by a fault"


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """Do it, then answer this whatever came of it: 596, the outcome that nobody knows."""

    status: int = 596
    reason: str = "Broken pipe"


@dataclass(frozen=True, slots=True)
class AnswerLate:
    """Answer this now; what was asked happens when the test calls ``SimulatedPve.apply_late``."""

    status: int = 596
    reason: str = "Connection timed out"


@dataclass(frozen=True, slots=True)
class HangUpBefore:
    """Close the connection and do nothing."""


@dataclass(frozen=True, slots=True)
class HangUpAfter:
    """Do it and close the connection without an answer."""


@dataclass(frozen=True, slots=True)
class Delay:
    """Wait so many seconds, then handle the request as usual."""

    seconds: float


class Arrival(StrEnum):
    """What becomes of an answer on its way to the client."""

    WHOLE = "whole"
    RESET = "reset"
    """None comes, the connection is reset."""
    SILENT = "silent"
    """None comes, and the connection stays open for as long as the client waits."""
    CUT = "cut"
    """Its first half comes, then the connection ends."""
    DRIPPING = "dripping"
    """It comes byte by byte, slower than anybody waits for."""
    GARBAGE = "garbage"
    """A page of a proxy comes in its place, with status 200."""
    REDIRECTED = "redirected"
    """It comes as a redirect to somewhere else."""


@dataclass(frozen=True, slots=True)
class Spoilt:
    """Let the answer arrive like this; with ``is_done`` false nothing is done before."""

    arrival: Arrival
    is_done: bool = True


Fault = AnswerInstead | AnswerAfter | AnswerLate | HangUpBefore | HangUpAfter | Delay | Spoilt

Intercept = Callable[[Request], Fault | None]
