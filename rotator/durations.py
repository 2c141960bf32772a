"""Durations the way people write them: ``90s``, ``12h``, ``30d``, ``1d12h``.

Not taken: pydantic's own ``timedelta`` and isodate, which speak ISO 8601 (``P30D``) and take a bare number for seconds;
pytimeparse, which takes bare numbers and clock times too. A token's lifetime must not depend on a guessed unit.
"""

from __future__ import annotations

import re
from datetime import timedelta

from rotator.faults import InvalidValueError

PATTERN = r"(?:(\d{1,4})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?"
LONGEST = timedelta(days=3650)
EXAMPLES = "for example 90s, 10m, 12h, 30d, 2w or 1d12h"

_DURATION = re.compile(PATTERN, re.ASCII)
_UNITS = (("w", 604_800), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


def parse_duration(value: object) -> timedelta:
    """Read a duration: whole numbers, each with its unit, largest first.

    Raises: ``InvalidValueError`` for anything else, a bare number above all.
    """
    if _is_bare_number(value):
        raise InvalidValueError("a number without a unit", f"write {value}d for days or {value}h for hours")
    if not isinstance(value, str) or not value or not (match := _DURATION.fullmatch(value)):
        raise InvalidValueError("not a duration", f"write whole numbers with w, d, h, m or s, {EXAMPLES}")
    seconds = sum(int(amount or 0) * size for amount, (_, size) in zip(match.groups(), _UNITS, strict=True))
    if seconds > LONGEST.total_seconds():
        raise InvalidValueError("longer than ten years", "write 3650d at most")
    return timedelta(seconds=seconds)


def parse_positive_duration(value: object) -> timedelta:
    """Read a duration longer than nothing. Raises: ``InvalidValueError``."""
    duration = parse_duration(value)
    if not duration:
        raise InvalidValueError("nothing is not a duration here", f"write a longer one, {EXAMPLES}")
    return duration


def spell_duration(duration: timedelta) -> str:
    """Write a duration so that ``parse_duration`` reads the same; parts of a second are left out."""
    rest = int(duration.total_seconds())
    spelled = ""
    for unit, size in _UNITS[1:]:
        amount, rest = divmod(rest, size)
        spelled += f"{amount}{unit}" if amount else ""
    return spelled or "0s"


def _is_bare_number(value: object) -> bool:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return is_number or (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < len("1000000"))
