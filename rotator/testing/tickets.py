"""Tickets and CSRF tokens in PVE's shape. They are signed with a key of this cluster, so every node takes them.

PVE signs with RSA; here it is an HMAC, which is as unforgeable for clients and takes no time.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from urllib.parse import quote

LIFETIME = 7200
"""Seconds that a ticket and a CSRF token are good for, by PVE's clock."""

_EARLY = 300
"""Seconds by which a ticket may lie in the future: clocks of nodes differ."""
_CHALLENGE = "!tfa!"
_FIELDS = 5


class Tickets:
    """Issues and checks the tickets of one cluster."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)

    def issue(self, userid: str, now: float) -> str:
        """Make a full ticket."""
        return self._signed(f"PVE:{userid}:{int(now):08X}")

    def issue_challenge(self, userid: str, factors: object, now: float) -> str:
        """Make a ticket that only lets its user answer for the second factor."""
        asked = quote(json.dumps(factors, separators=(",", ":")), safe="")
        return self._signed(f"PVE:{_CHALLENGE}{asked}:{int(now):08X}", userid)

    def issue_csrf(self, userid: str, now: float) -> str:
        """Make the token that must come with a changing call of a ticket."""
        stamp = f"{int(now):08X}"
        return f"{stamp}:{self._digest(f'{stamp}:{userid}', 'sha256')}"

    def userid(self, ticket: str, now: float) -> str | None:
        """Return whose full ticket it is; None when it is forged, too old or only a challenge."""
        fields = self._checked(ticket, "", now)
        return None if fields is None or fields.startswith(_CHALLENGE) else fields

    def is_challenge(self, ticket: str, userid: str, now: float) -> bool:
        """Say whether a ticket is a challenge for that user."""
        fields = self._checked(ticket, userid, now)
        return fields is not None and fields.startswith(_CHALLENGE)

    def is_csrf(self, token: str, userid: str, now: float) -> bool:
        """Say whether a CSRF token belongs to that user and is young enough."""
        stamp, _, digest = token.partition(":")
        good = hmac.compare_digest(self._digest(f"{stamp}:{userid}", "sha256").encode(), digest.encode())
        return good and _is_young(stamp, now)

    def _signed(self, text: str, bound_to: str = "") -> str:
        return f"{text}::{self._digest(text + bound_to, 'sha512')}"

    def _checked(self, ticket: str, bound_to: str, now: float) -> str | None:
        parts = ticket.split(":")
        if len(parts) != _FIELDS or parts[0] != "PVE" or parts[3]:
            return None
        text = ":".join(parts[:3])
        good = hmac.compare_digest(self._digest(text + bound_to, "sha512").encode(), parts[4].encode())
        return parts[1] if good and _is_young(parts[2], now) else None

    def _digest(self, text: str, algorithm: str) -> str:
        return base64.b64encode(hmac.digest(self._key, text.encode(), algorithm)).decode()


def _is_young(stamp: str, now: float) -> bool:
    return -_EARLY <= int(now) - int(stamp, 16) <= LIFETIME
