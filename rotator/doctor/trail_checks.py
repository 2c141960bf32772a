"""What is wrong with the audit trail: one small pure check."""

from __future__ import annotations

from rotator.doctor.evidence import TrailSeen
from rotator.doctor.finding import Diagnosis, Finding, Kind, Severity, found


def examine_trail(seen: TrailSeen) -> Diagnosis:
    """Examine the audit trail."""
    return Diagnosis(Kind.AUDIT, seen.path, findings=tuple(ailments(seen)))


def ailments(seen: TrailSeen) -> list[Finding]:
    """Find that it cannot be written; where rotations go on without it that is a warning."""
    if not seen.unwritable:
        return []
    severity = Severity.ERROR if seen.is_required else Severity.WARNING
    about = {"place": seen.path}
    is_required = f"audit.required: {str(seen.is_required).lower()}"
    return [found("audit-not-writable", seen.unwritable, is_required, about=about, severity=severity)]
