"""Survivors that are allowed, each with its reason: ``explained.toml``.

A mutant is known by its function and by the line that it changes, so that a change elsewhere leaves the list alone.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

LIST = Path(__file__).with_name("explained.toml")


@dataclass(frozen=True, slots=True, order=True)
class Mutant:
    """One change of one function."""

    where: str
    was: str
    becomes: str

    def __str__(self) -> str:
        return f"{self.where}\n  - {self.was}\n  + {self.becomes}"


def explained() -> dict[Mutant, str]:
    """Read which mutants may survive, and why."""
    entries = tomllib.loads(LIST.read_text())["mutant"]
    return {Mutant(it["where"], it["was"], it["becomes"]): it["because"] for it in entries}


def of_diff(where: str, diff: str) -> Mutant:
    """Read a mutant out of the unified diff that mutmut shows."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "#"))]
    was = " ".join(line[1:].strip() for line in lines if line.startswith("-"))
    becomes = " ".join(line[1:].strip() for line in lines if line.startswith("+"))
    return Mutant(where, was, becomes)
