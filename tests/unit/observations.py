"""Observations made by hand, for the pure part: no I/O, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from rotator.marker import Marker
from rotator.model import (
    Credential,
    Destination,
    Held,
    Observation,
    Secret,
    Token,
    TokenId,
    TokenState,
    Unread,
    Version,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
USER = "ci@pve"
CREDENTIAL = Credential(
    name="ci",
    cluster="home",
    owner="tests",
    userid=USER,
    base="ci",
    every=30 * DAY,
    overlap=DAY,
    destinations=(Destination("file", "a", "file:a"),),
)
MIRRORED = replace(CREDENTIAL, destinations=(*CREDENTIAL.destinations, Destination("file", "b", "file:b")))


def ours(
    serial: int,
    *,
    age: timedelta = HOUR,
    published: bool = True,
    after: str = "",
    ends_in: timedelta | None = None,
    **marked: Any,  # noqa: ANN401 - fields of a marker
) -> TokenState:
    """Make a token of the credential, issued some time ago."""
    marker = Marker("tests", "ci", "r1", NOW - age, after, published)
    expire = None if ends_in is None else NOW + ends_in
    return TokenState(TokenId(USER, f"ci-{serial}-aaaaa"), expire, comment=replace(marker, **marked).comment())


def foreign(name: str = "hand", **settings: Any) -> TokenState:  # noqa: ANN401 - fields of a token
    """Make a token that somebody else made."""
    return TokenState(TokenId(USER, name), **settings)


def held(token: TokenState | TokenId | None, secret: str = "s") -> Held:  # noqa: S107 - no secret
    """Make a destination that holds a token, or nothing."""
    name = token.id if isinstance(token, TokenState) else token
    return Held(Token(name, Secret(secret)) if name else None, Version("v1") if name else None)


def seen(
    *tokens: TokenState,
    record: TokenState | TokenId | None = None,
    mirrors: Sequence[Held | Unread] = (),
    credential: Credential = CREDENTIAL,
    **more: Any,  # noqa: ANN401 - fields of an observation
) -> Observation:
    """Make an observation: PVE's tokens, the primary's record, the mirrors."""
    wanted = credential if len(credential.destinations) == 1 + len(mirrors) else MIRRORED
    return Observation(wanted, NOW, tokens, (held(record), *mirrors), **more)
