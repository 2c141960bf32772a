"""Second factors of a user: TOTP and recovery codes. Codes are checked by ``cryptography``."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP = 30
DIGITS = 6
_RECOVERY_CODES = 10


@dataclass(frozen=True, slots=True)
class Totp:
    """One authenticator: a base32 secret, and the last time step used, because a code is good once."""

    secret: str = field(repr=False)
    description: str = ""
    created: int = 0
    last_step: int = -1

    def code(self, now: float) -> str:
        """Compute the code that an authenticator shows at that time."""
        return TOTP(_key(self.secret), DIGITS, SHA1(), STEP, enforce_key_length=False).generate(int(now)).decode()  # noqa: S303 - the algorithm of TOTP as everybody uses it

    def used(self, code: str, now: float) -> Totp | None:
        """Return this factor after the code was used; None when the code is wrong, too old or spent."""
        for step in range(int(now) // STEP - 1, int(now) // STEP + 2):
            if step > self.last_step and secrets.compare_digest(self.code(step * STEP), code):
                return replace(self, last_step=step)
        return None


@dataclass(frozen=True, slots=True)
class Factors:
    """All second factors of one user."""

    totp: Mapping[str, Totp] = field(default_factory=dict)
    recovery: tuple[str, ...] = field(default=(), repr=False)
    recovery_created: int = 0

    def __bool__(self) -> bool:
        return bool(self.totp or self.recovery)

    def challenge(self) -> dict[str, object]:
        """Tell a client that has shown its password which second factors it may use."""
        asked: dict[str, object] = {"totp": True} if self.totp else {}
        return asked | ({"recovery": list(range(len(self.recovery)))} if self.recovery else {})

    def used(self, response: str, now: float) -> Factors | None:
        """Return the factors after ``totp:CODE`` or ``recovery:CODE`` was used; None when it is not accepted."""
        kind, _, code = response.partition(":")
        if kind == "recovery" and code in self.recovery:
            return replace(self, recovery=tuple(one for one in self.recovery if one != code))
        for name, factor in self.totp.items() if kind == "totp" else ():
            used = factor.used(code, now)
            if used:
                return replace(self, totp={**self.totp, name: used})
        return None

    def with_recovery(self, now: float) -> Factors:
        """Draw ten recovery codes of 16 hexadecimal digits in PVE's grouping."""
        codes = (secrets.token_hex(8) for _ in range(_RECOVERY_CODES))
        grouped = tuple("-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in codes)
        return replace(self, recovery=grouped, recovery_created=int(now))

    def without(self, entry: str) -> Factors | None:
        """Return the factors without one entry; None when there is no such entry."""
        if entry == "recovery" and self.recovery:
            return replace(self, recovery=())
        if entry in self.totp:
            return replace(self, totp={name: one for name, one in self.totp.items() if name != entry})
        return None

    def entries(self) -> list[dict[str, object]]:
        """List them as ``/access/tfa`` does, without what is secret."""
        listed: list[dict[str, object]] = [
            {"id": name, "type": "totp", "description": one.description, "created": one.created, "enable": 1}
            for name, one in self.totp.items()
        ]
        if self.recovery:
            about = {"id": "recovery", "type": "recovery", "description": "", "created": self.recovery_created}
            listed.append({**about, "enable": 1})
        return listed


def totp_from_uri(uri: str, description: str, now: float) -> Totp | None:
    """Read an ``otpauth://totp/...?secret=...`` address; None when it is not one."""
    parts = urlsplit(uri)
    secret = parse_qs(parts.query).get("secret", [""])[0]
    if parts.scheme != "otpauth" or parts.netloc != "totp" or not is_base32(secret):
        return None
    return Totp(secret, description=description, created=int(now))


def is_base32(secret: str) -> bool:
    """Say whether a text can be a TOTP secret."""
    try:
        return bool(_key(secret))
    except binascii.Error:
        return False


def _key(secret: str) -> bytes:
    return base64.b32decode(secret + "=" * (-len(secret) % 8), casefold=True)
