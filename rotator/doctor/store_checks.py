"""What is wrong with a store, and what no store tells. Small pure checks, the first finding counts."""

from __future__ import annotations

from rotator.doctor.evidence import StoreSeen
from rotator.doctor.finding import Finding, Severity, found


def ailments(seen: StoreSeen) -> list[Finding]:
    """Find what keeps a record from being read or written, and what the store cannot do."""
    values, notes = {"place": seen.label}, []
    if not seen.compares_and_sets:
        evidence = "the backend says so of itself"
        notes.append(found("store-without-compare-and-set", evidence, about=values, severity=Severity.NOTE))
    for trouble in filter(None, (seen.unread, seen.unwritable)):
        return [found(trouble.code, *trouble.told, about=values), *notes]
    return notes


def unknown_of(seen: StoreSeen) -> list[str]:
    """Say what a store does not tell."""
    if seen.unread:
        return []
    return ["who else may read or write it, its consumers above all: a store tells each caller of its own rights alone"]
