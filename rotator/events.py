"""What happened, said once: progress, log lines, metrics, audit trail and notifications are all fed by this stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from rotator.trigger import TriggeredBy


class Step(StrEnum):
    """The steps of the protocol, and the looks that come before them."""

    OBSERVE = "observe"
    DECIDE = "decide"
    PREFLIGHT = "preflight"
    ISSUE = "issue"
    GRANT = "grant"
    VERIFY = "verify"
    PUBLISH = "publish"
    CONFIRM = "confirm"
    MIRROR = "mirror"
    ANNOUNCE = "announce"
    MARK = "mark"
    RETIRE = "retire"
    REVOKE = "revoke"
    FENCE = "fence"
    REGENERATE = "regenerate"
    RESTORE = "restore"
    HOOK = "hook"
    """A command of the user's, after a step: it belongs to no plan, and its failure fails nothing."""


class Outcome(StrEnum):
    """How a step ended."""

    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Event:
    """One step of one credential. ``message`` is a sentence for people; nothing here is secret."""

    at: datetime
    credential: str
    cluster: str
    step: Step
    outcome: Outcome
    reason: str = ""
    message: str = ""
    hint: str = ""
    token: str = ""
    """The token id that the step was about, if any."""
    destination: str = ""
    rotation: str = ""
    duration: timedelta = timedelta()
    trigger: TriggeredBy | None = None
    """Who or what began the run, where its caller said so."""
    pve_at: datetime | None = None
    """The same moment as ``at``, by PVE's clock."""


Listener = Callable[[Event], None]
"""Takes every event, from several threads; must not raise."""
