"""What a configuration says of telling others: whom to notify, which commands to run, where the audit trail is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from pathlib import Path

from rotator.references import SecretReference


class Occasion(StrEnum):
    """What somebody is notified of."""

    FAILED = "failed"
    RECOVERED = "recovered"
    NEEDS_ATTENTION = "needs-attention"
    LOCKED_OUT = "locked-out"
    EXPIRING = "expiring"
    ORPHAN = "orphan"


@dataclass(frozen=True, slots=True)
class CommandSettings:
    """A program with its arguments, started without a shell, and how long it may take."""

    argv: tuple[str, ...]
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Where a notification is posted. Without ``ca`` the system's trust decides."""

    url: str
    secret: SecretReference
    ca: Path | None
    timeout: timedelta


@dataclass(frozen=True, slots=True)
class ChannelSettings:
    """One way to somebody, and of what he is told."""

    name: str
    way: WebhookSettings | CommandSettings
    occasions: frozenset[Occasion] = frozenset(Occasion)


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Whom to notify. ``only`` names the channels of each credential that does not want all."""

    channels: tuple[ChannelSettings, ...] = ()
    expires_within: timedelta = timedelta(days=7)
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HookSettings:
    """The commands that are run for one credential."""

    after_publish: tuple[CommandSettings, ...] = ()
    after_revoke: tuple[CommandSettings, ...] = ()


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """Where the audit trail is. ``secret`` is in its hashes, so that nobody else makes them."""

    path: Path
    is_chained: bool = True
    secret: SecretReference | None = None
    is_synced: bool = True
    is_required: bool = False


@dataclass(frozen=True, slots=True)
class TellingSettings:
    """All of it. ``hooks`` are those of each credential that has any, by its name."""

    notify: NotifySettings = NotifySettings()
    hooks: Mapping[str, HookSettings] = field(default_factory=dict)
    audit: AuditSettings | None = None
