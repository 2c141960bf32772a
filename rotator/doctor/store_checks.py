"""What is wrong with a store, and what no store tells. Small pure checks, the first finding counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from rotator.doctor.evidence import StoreSeen, Trouble
from rotator.doctor.finding import Finding, Severity, found


def ailments(seen: StoreSeen) -> list[Finding]:
    """Find what keeps a record from being read or written, and what the store cannot do."""
    values, notes = {"place": seen.label}, []
    if not seen.compares_and_sets:
        evidence = "the backend says so of itself"
        notes.append(found("store-without-compare-and-set", evidence, about=values, severity=Severity.NOTE))
    for trouble in filter(None, (seen.unread, seen.unwritable)):
        return [told(trouble, values), *notes]
    return notes


def told(trouble: Trouble, values: Mapping[str, str]) -> Finding:
    """Make a finding of what failed; what the store itself says is to be done comes first."""
    made = found(trouble.code, trouble.said, about=values)
    hints = (trouble.hint,) if trouble.hint else ()
    return replace(made, cause=replace(made.cause, commands=(*hints, *made.cause.commands)))


def unknown_of(seen: StoreSeen) -> list[str]:
    """Say what a store does not tell."""
    if seen.unread:
        return []
    return ["who else may read or write it, its consumers above all: a store tells each caller of its own rights alone"]
