"""What is wrong with the audit trail."""

from __future__ import annotations

from rotator.advice.cause import Cause

TRAILS = (
    Cause(
        "audit-not-writable",
        "the audit trail {place} cannot be written",
        "its file, its folder, the room on its disk, what logrotate put aside and the key are looked at, as before a "
        "line is written; nothing is written",
        "with `audit.required` no rotation begins (`unaudited`); without it they go on, and the trail lacks them",
        (
            "free some space on its disk; or let the user that runs `rotate` write there",
            "put right what `audit.secret` names",
            "rotate doctor",
        ),
    ),
)
