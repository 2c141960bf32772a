"""Maintenance windows: when a due rotation may happen. Pure; the caller says what time it is.

A window opens at each match of a cron expression on the wall clocks of its time zone and stays open for a duration of
real time. Clock changes are treated as Debian's cron treats them (cronsim): an opening at a time that does not exist
happens right after the change, one at a time that exists twice happens once, the first time; with ``*`` in minute or
hour it happens at each real match.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from rotator.faults import InvalidValueError, suggestion
from rotator.model import Window

LONGEST = timedelta(days=7)
_FIELDS = 5
_CRON_ADVICE = 'write minute, hour, day of month, month and weekday, for example "0 2 * * *"'
_NEVER = "never matches any day"
_LEAP_DAY = datetime(2024, 2, 28, tzinfo=UTC)


def is_open(window: Window, at: datetime) -> bool:
    """Say whether the window is open at a time; its end does not belong to it."""
    opening = _opening_after(window, at - window.duration)
    return opening is not None and opening <= at


def next_opening(windows: Iterable[Window], at: datetime) -> datetime | None:
    """Return the first time, from this one on, when any of the windows is open.

    Without windows that is now. None when there is none in the next 50 years.
    """
    windows = tuple(windows)
    if not windows or any(is_open(window, at) for window in windows):
        return at
    return min((opening for window in windows if (opening := _opening_after(window, at))), default=None)


def _opening_after(window: Window, after: datetime) -> datetime | None:
    return next_match(window.cron, window.timezone, after)


def next_match(cron: str, timezone: str, after: datetime) -> datetime | None:
    """Return the first match of a cron expression after a time; None when there is none in the next 50 years."""
    moments = CronSim(cron, after.astimezone(parse_timezone(timezone)))
    for moment in moments:
        opening = moment.astimezone(UTC)  # times of one zone compare by their wall clocks, which run twice
        if opening > after:
            return opening
    return None


@lru_cache(maxsize=256)
def parse_cron(text: str) -> str:
    """Read a cron expression of five fields that matches some time. Raises: ``InvalidValueError``."""
    fields = text.split()
    if len(fields) != _FIELDS:
        raise InvalidValueError("not a cron expression of five fields", _CRON_ADVICE)
    fault = _cron_fault(text)
    if fault and (fault == _NEVER or not _cron_fault(" ".join([*fields[:3], "*", *fields[4:]]))):
        raise InvalidValueError(_NEVER, "correct the day of month, the month or the weekday")
    if fault:
        raise InvalidValueError(f"not a cron expression: {fault}", _CRON_ADVICE)
    return text


def _cron_fault(text: str) -> str:
    try:
        next(CronSim(text, _LEAP_DAY))
    except StopIteration:
        return _NEVER
    except CronSimError as error:
        return str(error).lower()
    return ""


def parse_window_duration(duration: timedelta) -> timedelta:
    """Check how long a window stays open. Raises: ``InvalidValueError``."""
    if duration > LONGEST:
        raise InvalidValueError("longer than a week", "write 7d at most, or leave the window out")
    return duration


def parse_timezone(name: str) -> tzinfo:
    """Find a time zone by its IANA name; UTC is known without a time zone database. Raises: ``InvalidValueError``."""
    if name.upper() == "UTC":
        return UTC
    if zone := _zone(name):
        return zone
    if not _zone_names():
        raise InvalidValueError("this machine has no time zone database", "install tzdata, or write UTC")
    raise InvalidValueError("not a time zone", _zone_advice(name))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        return None


@lru_cache(maxsize=1)
def _zone_names() -> frozenset[str]:
    return frozenset(available_timezones())


@lru_cache(maxsize=64)
def _zone_advice(name: str) -> str:
    return suggestion(name, _zone_names()) or "write a name like Europe/Vienna, or UTC"
