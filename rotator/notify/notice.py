"""What somebody is told: one notice, as JSON for machines. ``schema.json`` beside this file is the same as a schema."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import ClassVar

from rotator.secrecy import HIDDEN, UUID, known

VERSION = 1
TEST = "test"
"""The occasion of a notice that tells of nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class About:
    """What has changed. Nothing in it is secret; what is not known is empty.

    ``credential`` is empty where a cluster as a whole is meant. ``state``, ``reason``, ``message`` and ``hint`` are
    those of the product's other output. ``expires`` is when PVE ends the token. ``held_back`` counts how often it came
    to that since the last notice and nobody was told, because it went to and fro too often.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    owner: str
    host: str
    occasion: str
    cluster: str
    credential: str = ""
    state: str = ""
    reason: str = ""
    message: str = ""
    hint: str = ""
    token: str = ""
    expires: datetime | None = None
    failures: int = 0
    held_back: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One notice. ``id`` is the same however often it is sent; keys may be added, none changes its meaning.

    ``type`` is ``rotate.`` and the occasion: ``rotate.failed``.
    """

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    version: int = VERSION
    id: str
    type: str
    timestamp: datetime
    data: About

    @property
    def body(self) -> bytes:
        """Write it."""
        return json.dumps(asdict(self), default=written, separators=(",", ":")).encode()

    @property
    def variables(self) -> Mapping[str, str]:
        """Say the most important by environment variables."""
        told = self.data
        named = {
            "event": told.occasion,
            "credential": told.credential,
            "cluster": told.cluster,
            "token": told.token,
            "state": told.state,
            "reason": told.reason,
            "message": told.message,
            "notice": self.id,
        }
        return {f"ROTATE_{key.upper()}": value.replace("\0", " ") for key, value in named.items()}


def notice(about: About, at: datetime) -> Notice:
    """Make a notice with an id of its own; what is known to be secret is hidden in what others may have written."""
    names = (about.token, about.credential, about.cluster)
    message, hint = (UUID.sub(HIDDEN, known.hide(text, spared=names)) for text in (about.message, about.hint))
    data = replace(about, message=message, hint=hint)
    return Notice(id=f"msg_{secrets.token_hex(12)}", type=f"rotate.{about.occasion}", timestamp=at, data=data)


def written(value: object) -> str:
    """Write a time."""
    if not isinstance(value, datetime):
        raise TypeError(f"{type(value).__name__} has no place in a notice")
    return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
