"""What was told already, read back from the audit trail: the memory of runs that have none of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rotator.audit.chain import parsed
from rotator.audit.lines import NOTICE
from rotator.audit.reading import opened, rotated
from rotator.notify.vigil import Subject, Told
from rotator.settings_telling import Occasion

MARK = f'"kind":"{NOTICE}"'.encode()
RECENT = 2
"""So many files are looked at: the trail, and what logrotate made of it last."""


def told_before(path: Path) -> dict[Subject, Told]:
    """Read what was told of each subject; of a trail that cannot be read, nothing."""
    told: dict[Subject, Told] = {}
    with suppress(OSError):
        for fields in notices(path):
            subject = (str(fields.get("cluster", "")), str(fields.get("credential", "")))
            with suppress(ValueError):
                at = datetime.fromisoformat(str(fields.get("at"))).astimezone(UTC)
                ending = str(fields.get("ending", ""))
                told[subject] = told.get(subject, Told()).noting(Occasion(str(fields.get("reason"))), at, ending)
    return told


def notices(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines that tell of notices."""
    files = [*rotated(path), *([path] if path.exists() else [])]
    for file in files[-RECENT:]:
        with opened(file) as stream:
            yield from (fields for text in stream if MARK in text and (fields := parsed(text.rstrip(b"\n"))))
