"""Windows open when wall clocks say so, for a duration of real time, also when the clocks change."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rotator.faults import InvalidValueError
from rotator.model import Window
from rotator.windows import is_open, next_opening, parse_cron, parse_timezone

SECOND = timedelta(seconds=1)
NIGHT = Window("0 2 * * *", timedelta(hours=2), "Europe/Vienna")


def at(text: str) -> datetime:
    """Read a time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "opens", "closes"),
    [
        (Window("0 2 * * *", timedelta(hours=2)), "2025-06-01T02:00", "2025-06-01T04:00"),
        (NIGHT, "2025-06-01T00:00", "2025-06-01T02:00"),
        (NIGHT, "2025-12-01T01:00", "2025-12-01T03:00"),
        (Window("30 23 * * *", timedelta(hours=2), "Europe/Vienna"), "2025-06-01T21:30", "2025-06-01T23:30"),
        (Window("0 0 * * SAT", timedelta(days=2)), "2025-06-07T00:00", "2025-06-09T00:00"),
        (Window("0 0 * * 0", timedelta(hours=1)), "2025-06-08T00:00", "2025-06-08T01:00"),
        (Window("0 0 29 2 *", timedelta(hours=1)), "2028-02-29T00:00", "2028-02-29T01:00"),
        # The clocks go forward, 02:00 to 03:00: what would open in between opens right after the change.
        (NIGHT, "2025-03-30T01:00", "2025-03-30T03:00"),
        (Window("30 2 * * *", timedelta(hours=1), "Europe/Vienna"), "2025-03-30T01:00", "2025-03-30T02:00"),
        # What opened before the change stays open for its duration of real time.
        (Window("30 1 * * *", timedelta(hours=2), "Europe/Vienna"), "2025-03-30T00:30", "2025-03-30T02:30"),
        # The clocks go back, 03:00 to 02:00: what opens twice by the clocks opens the first time.
        (NIGHT, "2025-10-26T00:00", "2025-10-26T02:00"),
        (Window("30 2 * * *", timedelta(minutes=30), "Europe/Vienna"), "2025-10-26T00:30", "2025-10-26T01:00"),
        (Window("30 1 * * *", timedelta(hours=3), "Europe/Vienna"), "2025-10-25T23:30", "2025-10-26T02:30"),
        # Each hour is each real hour.
        (Window("30 * * * *", timedelta(minutes=5), "Europe/Vienna"), "2025-10-26T01:30", "2025-10-26T01:35"),
    ],
)
def test_a_window_is_open_from_its_opening_to_its_end(window: Window, opens: str, closes: str) -> None:
    """The first moment belongs to it, its end does not; in between it is open."""
    assert not is_open(window, at(opens) - SECOND)
    assert is_open(window, at(opens))
    assert is_open(window, at(opens) + (at(closes) - at(opens)) / 2)
    assert is_open(window, at(closes) - SECOND)
    assert not is_open(window, at(closes))


def test_the_second_time_of_a_repeated_hour_opens_nothing() -> None:
    """02:30 comes twice when the clocks go back; the window was open the first time."""
    window = Window("30 2 * * *", timedelta(minutes=30), "Europe/Vienna")
    assert not is_open(window, at("2025-10-26T01:30"))
    assert next_opening([window], at("2025-10-26T01:00")) == at("2025-10-27T01:30")


def test_parts_of_a_second_do_not_move_an_opening() -> None:
    """Neither before it nor before its end."""
    window, opens, tick = Window("0 2 * * *", timedelta(hours=1)), at("2025-06-01T02:00"), timedelta(microseconds=1)
    assert not is_open(window, opens - tick)
    assert is_open(window, opens + timedelta(hours=1) - tick)
    assert next_opening([window], opens - tick) == opens


def test_windows_that_follow_each_other_leave_no_gap() -> None:
    """One that opens each hour for an hour is always open."""
    assert all(
        is_open(Window("0 * * * *", timedelta(hours=1)), at("2025-06-01T00:59:59") + n * SECOND) for n in range(3)
    )


def test_without_windows_it_is_always_now() -> None:
    """No window is no restriction."""
    assert next_opening([], at("2025-06-01T12:00")) == at("2025-06-01T12:00")


def test_an_open_window_needs_no_waiting() -> None:
    """The time itself is returned, not the beginning of the window."""
    assert next_opening([NIGHT], at("2025-06-01T01:15")) == at("2025-06-01T01:15")


def test_the_first_of_several_windows_counts() -> None:
    """Whatever their order and zones; the time is in UTC."""
    windows = [Window("0 12 * * *", timedelta(hours=1), "America/New_York"), NIGHT]
    for order in (windows, windows[::-1]):
        opening = next_opening(order, at("2025-06-01T04:00"))
        assert opening == at("2025-06-01T16:00")
        assert opening.tzinfo is UTC


def test_a_window_that_never_opens_has_no_next_opening() -> None:
    """Such a one is refused in a configuration; still nobody waits for ever."""
    window = Window("0 0 */30 2 1#5", timedelta(hours=1))
    assert next_opening([window], at("2025-06-01T00:00")) is None
    assert not is_open(window, at("2025-06-01T00:00"))
    assert next_opening([window, NIGHT], at("2025-06-01T12:00")) == at("2025-06-02T00:00")


@settings(deadline=None, max_examples=200)
@given(
    moment=st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC)),  # noqa: DTZ001 - made aware
    cron=st.sampled_from(["0 2 * * *", "*/7 1-3 * * *", "30 2 * * SUN", "15 * * * *", "0 0 1 * MON", "59 23 L * *"]),
    minutes=st.integers(1, 7 * 24 * 60),
    zone=st.sampled_from(["UTC", "Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata"]),
)
def test_the_next_opening_is_the_first_moment_that_is_open(
    moment: datetime, cron: str, minutes: int, zone: str
) -> None:
    """It is open then and not just before, in zones with changes of an hour, of half an hour and with none."""
    window = Window(cron, timedelta(minutes=minutes), zone)
    opening = next_opening([window], moment)
    assert opening is not None
    assert opening >= moment
    assert is_open(window, opening)
    assert opening == moment or not is_open(window, opening - SECOND)


@pytest.mark.parametrize("cron", ["0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 */30 2 1#5", "0 0 */30 * 2#3"])
def test_a_day_that_no_month_has_is_refused(cron: str) -> None:
    """A window that never opens would delay for ever."""
    with pytest.raises(InvalidValueError, match="never matches any day"):
        parse_cron(cron)


@pytest.mark.parametrize("cron", ["0 0 29 2 *", "0 0 31 2 1", "0 0 L 2 *", "*/5 1-3,5 * JAN MON-FRI", "0 0 * * 7"])
def test_what_matches_some_day_is_accepted(cron: str) -> None:
    """A leap day comes; a day of the month or a weekday means either."""
    assert parse_cron(cron) == cron


@pytest.mark.parametrize(
    "name", ["Europe", "../../etc/passwd", "/etc/localtime", "", "Europe/Vienna\0", "a" * 500, "ü"]
)
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    """Also folders of the database and paths out of it."""
    with pytest.raises(InvalidValueError, match="not a time zone"):
        parse_timezone(name)


def test_utc_needs_no_time_zone_database() -> None:
    """On a machine without one UTC works, and another zone is told with what to install."""
    program = (
        "import sys; sys.modules['tzdata'] = None\n"
        "import zoneinfo; zoneinfo.reset_tzpath(to=[])\n"
        "from rotator.windows import parse_timezone\n"
        "print(parse_timezone('UTC'), parse_timezone('utc'))\n"
        "try:\n parse_timezone('Europe/Vienna')\nexcept ValueError as error:\n print(error, '-', error.advice)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - our own
    assert done.stdout.splitlines() == [
        "UTC UTC",
        "this machine has no time zone database - install tzdata, or write UTC",
    ]
