"""What a token of ours says about itself: its name and the marker in its comment.

PVE is the only place where a rotation is remembered. The name carries the serial and a random part, so that it is never
used twice; the comment carries who issued it, for which credential, when, after which predecessor, and whether its
publication was finished. Comments have no limit of their own but share 1 MiB with all of user.cfg (measured), so it is
short.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Self

RANDOM_LENGTH = 5
SEVERAL = 256
"""Results of parsing that are kept: one decision reads the same few names and comments several times."""
RANDOM_ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789"
_NAME = re.compile(rf"(?P<base>.+)-(?P<serial>[1-9][0-9]{{0,17}})-(?P<random>[a-z0-9]{{{RANDOM_LENGTH}}})")
_MARKER = re.compile(
    r"rotate: owner=(?P<owner>\S+) credential=(?P<credential>\S+) rotation=(?P<rotation>\S+) "
    r"issued=(?P<issued>\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)(?: after=(?P<after>\S+))?"
    r"(?: (?P<state>published|taken-back))?\Z"
)
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_LATEST = datetime(9000, 1, 1, tzinfo=UTC)
"""Nothing is issued later: an interval after it would be past the end of the calendar."""


@dataclass(frozen=True, slots=True)
class Name:
    """A token name of our form, ``<base>-<serial>-<random>``, such as ``ci-8-k3f9q``."""

    base: str
    serial: int
    random: str

    @classmethod
    @lru_cache(SEVERAL)
    def parse(cls, text: str) -> Self | None:
        """Read a token name; None when it is not of our form."""
        found = _NAME.fullmatch(text)
        return cls(found["base"], int(found["serial"]), found["random"]) if found else None

    def __str__(self) -> str:
        return f"{self.base}-{self.serial}-{self.random}"


@dataclass(frozen=True, slots=True)
class Marker:
    """Who issued a token, for what, when (whole seconds, PVE's clock), and how far it came."""

    owner: str
    credential: str
    rotation: str
    issued: datetime
    after: str = ""
    """The name of the predecessor; empty when there was none."""
    published: bool = False
    """Every destination holds it, and the primary's record was read back and logged in; or it was published and taken
    back, so that consumers may have read it."""
    taken_back: bool = False
    """It was published, and its publisher is about to put the predecessor back: consumers may have read it."""

    @classmethod
    @lru_cache(SEVERAL)
    def parse(cls, comment: str) -> Self | None:
        """Find the marker at the end of a comment; None when there is none or it is damaged."""
        found = _MARKER.search(comment)
        if not found or (found.start() and comment[found.start() - 1] != " "):
            return None
        try:
            issued = datetime.fromisoformat(found["issued"])
        except ValueError:  # the 31st of February
            return None
        if issued > _LATEST:
            return None
        told = (found["state"] == "published", found["state"] == "taken-back")
        return cls(found["owner"], found["credential"], found["rotation"], issued, found["after"] or "", *told)

    def as_published(self) -> Self:
        """Return the same marker saying that the rotation was finished."""
        return replace(self, published=True, taken_back=False)

    def as_taken_back(self) -> Self:
        """Return the same marker saying that consumers may have read it, although the rotation is not finished."""
        return replace(self, taken_back=True)

    def comment(self, keep: str = "") -> str:
        """Write it as a token's comment, behind what somebody else wrote there (``foreign_text``)."""
        after = f" after={self.after}" if self.after else ""
        state = " published" if self.published else " taken-back" if self.taken_back else ""
        text = (
            f"rotate: owner={self.owner} credential={self.credential} rotation={self.rotation} "
            f"issued={self.issued.astimezone(UTC).strftime(_TIME)}{after}{state}"
        )
        return f"{keep} {text}" if keep else text


def foreign_text(comment: str) -> str:
    """Return what a comment says beside our marker."""
    return comment[: found.start()].rstrip(" ") if (found := _MARKER.search(comment)) else comment
