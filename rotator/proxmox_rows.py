"""PVE's JSON rows as our values. Pure.

PVE gives numbers on reads and echoes what was sent as strings; both are taken. A row of another shape raises one of
``MISSHAPEN``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from rotator.model import Grant, Permissions, TokenId, TokenState, UserState
from rotator.pve import Entry

MISSHAPEN = (KeyError, TypeError, ValueError, AttributeError, OverflowError)

Row = Mapping[str, Any]

LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""No end is later, so that a time can be reckoned from each."""


def user(row: Row) -> UserState:
    """Read a row of ``GET /access/users?full=1``; ``tokens`` is null without any, ``groups`` a comma-separated text."""
    return UserState(
        userid=text(row["userid"]),
        enabled=bool(int(row.get("enable", 1))),
        expire=moment(row.get("expire")),
        groups=tuple(filter(None, (row.get("groups") or "").split(","))),
        tokens=tuple(token(TokenId(row["userid"], text(each["tokenid"])), each) for each in row.get("tokens") or ()),
    )


def token(token_id: TokenId, row: Row) -> TokenState:
    """Read what PVE tells of a token."""
    return TokenState(
        id=token_id,
        expire=moment(row.get("expire")),
        privsep=bool(int(row.get("privsep", 1))),
        comment=text(row.get("comment") or ""),
    )


def grant(row: Row) -> Grant:
    """Read an entry of ``GET /access/acl``."""
    return Grant(text(row["path"]), text(row["roleid"]), propagate=bool(int(row.get("propagate", 1))))


def entry(row: Row) -> Entry:
    """Read an entry of ``GET /access/acl`` with whom it is for."""
    found = grant(row)
    return Entry(found.path, text(row["type"]), text(row["ugid"]), found.role, propagate=found.propagate)


def is_quorate(found: Iterable[Row]) -> bool:
    """Read ``GET /cluster/status``; a node that is in no cluster has no such row, and is its own majority."""
    return all(bool(int(row["quorate"])) for row in found if row["type"] == "cluster")


def permissions(paths: Mapping[str, Mapping[str, Any]]) -> Permissions:
    """Read ``GET /access/permissions``."""
    return {path: {name: int(bit) for name, bit in held.items()} for path, held in paths.items()}


def text(value: object) -> str:
    """Take a text for a text. Raises: ``TypeError`` for anything else: whoever searches in it later relies on it."""
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def moment(expire: object) -> datetime | None:
    """Read an ``expire``: 0 is no end; PVE takes ends beyond the calendar's (measured), which become ``LATEST``."""
    seconds = int(str(expire or 0))
    if seconds < 0:
        raise ValueError("an end before all time")
    if seconds == 0:
        return None
    return datetime.fromtimestamp(min(seconds, LATEST.timestamp()), UTC)


def seconds(expire: datetime | None) -> int:
    """Write an ``expire``; PVE knows whole seconds only, so a fraction is cut off."""
    return 0 if expire is None else int(expire.timestamp())
