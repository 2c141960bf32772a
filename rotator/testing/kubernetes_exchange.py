"""What tests see of the traffic with the simulated Kubernetes API, and how they disturb it.

A fault is what ``SimulatedKubernetes.intercept`` returns for a request; None lets it pass. ``HangUpBefore`` and
``HangUpAfter`` are those of ``rotator.testing.exchange``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rotator.testing.exchange import HangUpAfter, HangUpBefore
from rotator.testing.kubernetes_status import StatusError


@dataclass(frozen=True, slots=True)
class Message:
    """One HTTP request as it came."""

    method: str
    target: str
    headers: Mapping[str, str] = field(repr=False)
    """Names in lower case."""
    body: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = field(default=b"", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, status: int = 200, **headers: str) -> Answer:  # noqa: ANN401 - JSON
        """Make an answer of JSON."""
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"
        return cls(status, text.encode(), {"Content-Type": "application/json", **headers})

    @classmethod
    def refusing(cls, error: StatusError) -> Answer:
        """Make an answer of a refusal."""
        return cls.of(error.body, error.code, **error.headers)

    @classmethod
    def text(cls, status: int, text: str, **headers: str) -> Answer:
        """Make an answer that is no JSON, as proxies give."""
        return cls(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8", **headers})


@dataclass(frozen=True, slots=True)
class Request:
    """One API request before it is handled."""

    method: str
    verb: str
    path: str
    plural: str
    namespace: str
    name: str
    user: str
    """Empty when nobody has logged in."""
    is_dry_run: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One API request that was answered; status 0 when there was no answer."""

    request: Request
    status: int

    def __str__(self) -> str:
        request = self.request
        return f"{request.verb} {request.plural}{' (dry run)' * request.is_dry_run}: {self.status}"


@dataclass(frozen=True, slots=True)
class AnswerInstead:
    """Answer this and do nothing."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class AnswerAfter:
    """Do it, then answer this whatever came of it."""

    answer: Answer


@dataclass(frozen=True, slots=True)
class SilenceBefore:
    """Do nothing and say nothing until the client hangs up."""


@dataclass(frozen=True, slots=True)
class SilenceAfter:
    """Do it and say nothing until the client hangs up."""


Fault = AnswerInstead | AnswerAfter | HangUpBefore | HangUpAfter | SilenceBefore | SilenceAfter

Intercept = Callable[[Request], Fault | None]
