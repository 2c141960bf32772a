"""What a line of the audit trail says: names, times, words and outcomes; never a secret, and nothing that is empty."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.events import Event
from rotator.secrecy import HIDDEN, UUID, known
from rotator.trigger import TriggeredBy

VERSION = 1
LONGEST = 2000
"""Characters of a text; what others wrote, such as an error of a store, may be longer."""
STEP, BEGUN, NOTICE, LOST, TORN = "step", "begun", "notice", "lost", "torn"
"""The kinds of lines."""

Fields = Mapping[str, Any]


def line(kind: str, at: datetime, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Make the fields of a line, without those that are empty."""
    place = {"host": os.uname().nodename, "pid": os.getpid()}
    whole = {"v": VERSION, "kind": kind, "at": stamp(at), **place, **fields}
    return {key: short(value) for key, value in whole.items() if value not in ("", None)}


def of_event(event: Event) -> dict[str, Any]:
    """Make the fields of an event's line."""
    return line(
        STEP,
        event.at,
        pve_at=event.pve_at and stamp(event.pve_at),
        **of_trigger(event.trigger),
        credential=event.credential,
        cluster=event.cluster,
        rotation=event.rotation,
        step=str(event.step),
        outcome=str(event.outcome),
        reason=str(event.reason),
        token=event.token,
        destination=event.destination,
        ms=event.duration // timedelta(milliseconds=1) or None,
        message=hidden(event.message, event),
        hint=hidden(event.hint, event),
    )


def hidden(text: str, event: Event) -> str:
    """Hide what is known to be secret in a text that others may have had a hand in; names are none."""
    names = (event.token, event.destination, event.credential, event.cluster)
    return UUID.sub(HIDDEN, known.hide(text, spared=names))


def of_trigger(trigger: TriggeredBy | None) -> dict[str, str]:
    """Make the fields that say who or what began it."""
    return {"by": str(trigger.by), "what": trigger.what, "who": trigger.who} if trigger else {}


def stamp(at: datetime) -> str:
    """Write a time, to the millisecond."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def short(value: object) -> object:
    """Shorten a text that is too long for a line."""
    return value if not isinstance(value, str) or len(value) <= LONGEST else f"{value[:LONGEST]}..."
