"""What doctor found: causes with their evidence, about one thing that was examined. Pure values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from rotator.advice.book import cause
from rotator.advice.cause import Cause
from rotator.errors import ExitCode


class Severity(StrEnum):
    """How grave a finding is: whether consumers are locked out, something fails, or somebody may do too much."""

    LOCKED_OUT = "locked-out"
    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


EXIT_CODES = {
    Severity.LOCKED_OUT: ExitCode.LOCKED_OUT,
    Severity.ERROR: ExitCode.FAILED,
    Severity.WARNING: ExitCode.FAILED,
    Severity.NOTE: ExitCode.DONE,
}


class Kind(StrEnum):
    """What was examined."""

    CLUSTER = "cluster"
    OPERATOR = "operator"
    STORE = "store"
    AUDIT = "audit"
    CREDENTIAL = "credential"
    REQUEST = "request"


@dataclass(frozen=True, slots=True)
class Finding:
    """One cause that was found, and what speaks for it. Nothing in it is secret."""

    cause: Cause
    evidence: tuple[str, ...]
    severity: Severity = Severity.ERROR

    @property
    def code(self) -> str:
        """The word for it, which ``rotate explain`` knows."""
        return self.cause.code


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What is wrong with one thing, and what could not be found out about it."""

    kind: Kind
    name: str
    cluster: str = ""
    findings: tuple[Finding, ...] = ()
    unknown: tuple[str, ...] = field(default=())
    unexamined: str = ""
    """What kept it from being examined, so that no findings do not mean that it is well."""

    @property
    def exit_code(self) -> ExitCode:
        """What it means for a script: the gravest of its findings."""
        return max((EXIT_CODES[it.severity] for it in self.findings), default=ExitCode.DONE)


def found(
    code: str, *evidence: str, about: Mapping[str, str] | None = None, severity: Severity = Severity.ERROR
) -> Finding:
    """Make a finding of a cause and what is known of the case at hand."""
    return Finding(cause(code, **(about or {})), evidence, severity)
