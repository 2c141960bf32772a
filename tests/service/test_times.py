"""The pure rules of time: the axis, the timetable, the back-off."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.clock import BOOT, SystemClock
from rotator.service.axis import Axis
from rotator.service.backoff import Backoff
from rotator.service.timetable import WIDEST, Look, moved, next_look, share
from rotator.settings import ServiceSettings
from tests.service.world import Clock

MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2030, 1, 1)).map(lambda it: it.replace(tzinfo=UTC))  # noqa: DTZ001 - hypothesis adds the zone itself
NAMES = st.text("abcdef", min_size=1)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_apscheduler_asks_the_axis_for_the_time() -> None:
    """``datetime.now`` with the zone of an axis is its time, whatever the machine's clock shows."""
    clock = Clock()
    axis = Axis(clock)
    clock.pass_by(DAY)
    clock.set_by = -99 * DAY
    assert datetime.now(axis.zone) == axis.now() == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert axis.drift() == -99 * DAY
    assert axis.wall(axis.now() + HOUR) == clock.now() + HOUR
    assert (axis.zone.dst(None), axis.zone.tzname(None)) == (timedelta(), "axis")


def test_the_machines_clock_only_goes_on_also_while_the_machine_sleeps() -> None:
    """PVE's does. It would be taken to show less than it does, and an old token would end that much sooner."""
    clock = SystemClock()
    before = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert before <= clock.monotonic() <= time.clock_gettime(time.CLOCK_BOOTTIME)
    assert BOOT == time.CLOCK_BOOTTIME, "on a machine that never slept both show the same"
    assert abs(clock.now() - datetime.now(UTC)) < MINUTE


@given(MOMENTS, NAMES, st.integers(10, 100_000))
def test_the_looks_of_a_cluster_are_one_interval_apart(now: datetime, name: str, seconds: int) -> None:
    """The next one is always ahead, at most an interval, and has the one place that the name has."""
    settings = ServiceSettings(look=timedelta(seconds=seconds))
    look = next_look(settings, name, axis=now, wall=now)
    assert timedelta() < look.at - now <= settings.look
    following = next_look(settings, name, axis=look.at, wall=look.at)
    assert abs(following.at - look.at - settings.look) < timedelta(milliseconds=1)


@given(MOMENTS, NAMES)
def test_a_cron_look_comes_after_its_time_and_not_much(now: datetime, name: str) -> None:
    """At most five minutes, at most a tenth of the time between two."""
    look = next_look(ServiceSettings(cron="30 * * * *"), name, axis=now, wall=now)
    assert look.wall is not None
    assert now < look.wall <= now + HOUR + WIDEST
    assert 30 <= look.wall.minute < 35
    often = next_look(ServiceSettings(cron="* * * * *"), name, axis=now, wall=now)
    assert often.wall is not None
    assert often.wall.second < 6


def test_a_look_that_was_wanted_meanwhile_is_now_and_another_is_worked_out_anew() -> None:
    """When somebody sets the wall clock."""
    settings, now = ServiceSettings(cron="0 3 * * *"), datetime(2026, 3, 1, 12, tzinfo=UTC)
    look = next_look(settings, "c", axis=now, wall=now)
    ahead = moved(look, settings, "c", axis=now, wall=now + 2 * DAY)
    assert ahead.at == now
    back = moved(look, settings, "c", axis=now, wall=now - 2 * DAY)
    assert abs((back.at - now) - (look.at - now)) < MINUTE
    plain = Look(now + HOUR)
    assert moved(plain, ServiceSettings(), "c", axis=now, wall=now + 2 * DAY) is plain


@pytest.mark.parametrize(
    ("now", "hours"),
    [("2026-03-28T03:00", 24 - 1), ("2026-10-24T03:00", 24 + 1), ("2026-06-01T03:00", 24)],
    ids=["spring", "autumn", "summer"],
)
def test_a_cron_look_comes_once_on_the_day_of_another_time(now: str, hours: int) -> None:
    """At three o'clock as the place has it, which is 23 or 25 hours after the day before."""
    settings, zone = ServiceSettings(cron="0 3 * * *", timezone="Europe/Vienna"), ZoneInfo("Europe/Vienna")
    wall = datetime.fromisoformat(now).replace(tzinfo=zone).astimezone(UTC) + WIDEST
    look = next_look(settings, "c", axis=wall, wall=wall)
    assert look.wall is not None
    assert look.wall.astimezone(zone).hour == 3
    assert abs(look.wall - wall - timedelta(hours=hours)) <= WIDEST
    after = next_look(settings, "c", axis=look.at, wall=look.wall)
    assert after.wall is not None
    assert after.wall - look.wall > 23 * HOUR


def test_the_time_zone_of_the_machine_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody travels with it, or sets it right: looks, and what is due, are reckoned in UTC and in ``timezone``."""
    settings, now = ServiceSettings(cron="0 3 * * *", timezone="Europe/Vienna"), datetime(2026, 5, 9, 12, tzinfo=UTC)
    axis = Axis(SystemClock())
    looks = set()
    try:
        for zone in ("UTC", "Pacific/Auckland", "America/Los_Angeles"):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            looks.add(next_look(settings, "c", axis=now, wall=now))
            assert abs(axis.drift()) < MINUTE
            assert abs(datetime.now(axis.zone) - axis.now()) < MINUTE
    finally:
        monkeypatch.undo()
        time.tzset()
    assert len(looks) == 1


@given(NAMES)
def test_every_name_has_its_place(name: str) -> None:
    """In the interval, always the same."""
    assert 0 <= share(name) < 1
    assert share(name) == share(name)


@given(st.integers(1, 10_000))
def test_waiting_doubles_up_to_the_most(failures: int) -> None:
    """However many failures there were."""
    backoff = Backoff(MINUTE, 6 * HOUR)
    wait = backoff.after(failures)
    assert MINUTE <= wait <= 6 * HOUR
    assert backoff.is_spent(failures) == (wait == 6 * HOUR)
    assert backoff.after(failures + 1) == min(2 * wait, 6 * HOUR)
    assert not backoff.is_spent(0)
