"""The steps of the protocol: a closed union of values, each able to put itself into words for the plan."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rotator.durations import spell_duration
from rotator.model import Credential, Grant, TokenId


@dataclass(frozen=True, slots=True)
class Preflight:
    """Make sure that what follows can be done, touching nothing. ``destinations`` are indices."""

    destinations: tuple[int, ...]

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return "preflight: may be written: " + ", ".join(credential.destinations[i].label for i in self.destinations)


@dataclass(frozen=True, slots=True)
class Issue:
    """Create a token ``<base>-<serial>-<random>``, or under the pinned name without a serial."""

    serial: int | None
    predecessor: TokenId | None

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        name = credential.base if self.serial is None else f"{credential.base}-{self.serial}-…"
        after = f", successor of {self.predecessor}" if self.predecessor else ""
        return f"issue {credential.userid}!{name}{after}"


@dataclass(frozen=True, slots=True)
class Regenerate:
    """Replace the secret of the pinned token in place; the old one dies at this call."""

    token: TokenId
    keep: str
    """What somebody else wrote into its comment."""

    def told(self, _credential: Credential) -> str:
        """Put it into words."""
        return f"regenerate the secret of {self.token}: the old one dies at once, consumers fail until they read again"


@dataclass(frozen=True, slots=True)
class GrantRoles:
    """Give the new token its entries in the access control list; None: those of the predecessor."""

    grants: tuple[Grant, ...] | None

    def told(self, _credential: Credential) -> str:
        """Put it into words."""
        if self.grants is None:
            return "grant what its predecessor has"
        return "grant " + (", ".join(f"{it.role} on {it.path}" for it in self.grants) or "nothing")


@dataclass(frozen=True, slots=True)
class Verify:
    """Log in with the new token on every endpoint, compare its permissions, do the probes."""

    predecessor: TokenId | None

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        same = f" equal to those of {self.predecessor}" if self.predecessor and credential.grants is None else ""
        probes = "".join(f", GET {probe.path}" for probe in credential.probes)
        return f"verify: log in on every endpoint, permissions{same}{probes}"


@dataclass(frozen=True, slots=True)
class Publish:
    """Put the new token into the primary, if that still is what was observed."""

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return f"publish to {credential.primary.label}"


@dataclass(frozen=True, slots=True)
class Confirm:
    """Read the primary back and log in with exactly what was read."""

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return f"confirm: read {credential.primary.label} back and log in with it"


@dataclass(frozen=True, slots=True)
class Mirror:
    """Put the current token into a mirror, read it back. ``destination`` is an index."""

    destination: int

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return f"mirror to {credential.destinations[self.destination].label}"


@dataclass(frozen=True, slots=True)
class Announce:
    """Make the consumers of a destination read it anew, once for each rotation. ``destination`` is an index."""

    destination: int

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return f"restart {', '.join(credential.destinations[self.destination].audience)}"


@dataclass(frozen=True, slots=True)
class Mark:
    """Write into the current token's comment that the rotation is finished."""

    token: TokenId | None
    """None: the one issued in this plan."""

    def told(self, _credential: Credential) -> str:
        """Put it into words."""
        return f"mark {self.token or 'the new token'} as published"


@dataclass(frozen=True, slots=True)
class Fence:
    """Publish the primary's record again, unchanged, so that no older observer can publish any more."""

    def told(self, credential: Credential) -> str:
        """Put it into words."""
        return f"fence: publish {credential.primary.label} again, unchanged"


@dataclass(frozen=True, slots=True)
class Retire:
    """Let PVE end an old token after the overlap."""

    token: TokenId
    overlap: timedelta
    expire: datetime | None
    """Its own end, which is never put off."""

    def told(self, _credential: Credential) -> str:
        """Put it into words."""
        return f"retire {self.token}: PVE ends it {spell_duration(self.overlap)} later"


@dataclass(frozen=True, slots=True)
class Revoke:
    """Delete a token and make sure that it is gone."""

    token: TokenId

    def told(self, _credential: Credential) -> str:
        """Put it into words."""
        return f"revoke {self.token}"


Step = (
    Preflight
    | Issue
    | Regenerate
    | GrantRoles
    | Verify
    | Publish
    | Confirm
    | Mirror
    | Announce
    | Mark
    | Fence
    | Retire
    | Revoke
)
