"""What every fault at every call leads to, as data: a changed outcome is a difference that somebody reads.

``outcomes.txt``: for each rotation and each of its calls the outcomes, and behind each the faults that lead to it::

    rotation, pve 4, grant: PUT /access/acl
        0 up-to-date, ci-2 is out: reset before, reset after, ...
        4 due at grant, ci-1 is out: 403, 403 for good, ...

An outcome is the exit code, the reason, the step that failed, and the token that the record holds afterwards.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

Outcomes = Mapping[tuple[str, str], str]
"""The outcome by call and fault."""

FILE = Path(__file__).with_name("fault_outcomes.txt")
INDENT, WIDTH = "    ", 120


def written(outcomes: Outcomes) -> str:
    """Write outcomes, grouped by call and outcome, in the order of their first coming."""
    groups: dict[str, dict[str, list[str]]] = {}
    for (call, fault), outcome in outcomes.items():
        groups.setdefault(call, {}).setdefault(outcome, []).append(fault)
    return "\n".join(line for call, faults in groups.items() for line in block(call, faults)) + "\n"


def block(call: str, faults: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """Write what can come of one call."""
    yield call
    for outcome, names in faults.items():
        yield from textwrap.wrap(
            f"{outcome}: {', '.join(names)}",
            WIDTH,
            initial_indent=INDENT,
            subsequent_indent=INDENT * 2,
            break_on_hyphens=False,
        )


def read(text: str) -> dict[tuple[str, str], str]:
    """Read outcomes."""
    found: dict[tuple[str, str], str] = {}
    call, entries = "", list[str]()
    for line in text.splitlines():
        if not line.startswith(INDENT):
            call = line
        elif line.startswith(INDENT * 2):
            entries[-1] += f" {line.strip()}"
        else:
            entries.append(f"{call}\n{line.strip()}")
    for entry in entries:
        where, _, said = entry.partition("\n")
        outcome, _, names = said.partition(": ")
        found.update({(where, name): outcome for name in names.split(", ")})
    return found


def expected() -> dict[tuple[str, str], str]:
    """Read the outcomes that are expected."""
    return read(FILE.read_text())


def differences(seen: Outcomes, wanted: Outcomes) -> list[str]:
    """List what came out otherwise than expected."""
    return [
        f"{call} | {fault}: {outcome}, expected: {wanted.get((call, fault), 'nothing yet')}"
        for (call, fault), outcome in seen.items()
        if wanted.get((call, fault)) != outcome
    ]
