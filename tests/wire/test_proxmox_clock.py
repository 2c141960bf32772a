"""PVE's time is known to the second from one answer, and better from more."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.proxmox_clock import PveClock, date_of

AT = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)


class World:
    """A monotonic clock of ours, and PVE's, which is ahead of it."""

    def __init__(self) -> None:
        self.ours = 5000.0
        self.theirs = AT
        self.clock = PveClock(lambda: self.ours)

    def pass_by(self, seconds: float) -> None:
        """Let time pass for both."""
        self.ours += seconds
        self.theirs += timedelta(seconds=seconds)

    def exchange(self, there: float = 0.0, back: float = 0.0) -> None:
        """Send a request and take its answer in; ``Date`` is made in between, in whole seconds."""
        sent = self.ours
        self.pass_by(there)
        date = self.theirs.strftime("%a, %d %b %Y %H:%M:%S GMT")
        self.pass_by(back)
        self.clock.saw(date, sent=sent)

    def error(self) -> float:
        """Say how far the clock is off, in seconds."""
        now = self.clock.now()
        assert now is not None
        return abs((now - self.theirs).total_seconds())


def test_nothing_is_known_before_the_first_answer() -> None:
    """No guess from our own clock is passed off for PVE's."""
    world = World()
    assert world.clock.now() is None
    for date in (None, "", "yesterday", "Sat, 99 Nov 2026 12:00:00 GMT"):
        world.clock.saw(date, sent=0.0)
    assert world.clock.now() is None


@pytest.mark.parametrize("date", ["Sat, 21 Nov 2026 12:00:00 -0000", "Sat Nov 21 12:00:00 2026"])
def test_a_date_that_names_no_zone_is_in_utc(date: str) -> None:
    """As all of HTTP's dates are, the old form too; it is not on the clock of the machine that we run on."""
    assert date_of(date) == AT
    assert date_of("Sat, 21 Nov 2026 13:00:00 +0100") == AT


@given(st.floats(0, 0.999), st.floats(0, 2), st.floats(0, 2), st.floats(0, 10_000))
def test_one_answer_is_good_to_a_second_and_the_way(begin: float, there: float, back: float, later: float) -> None:
    """The truth is never further away than half of what is in doubt."""
    world = World()
    world.pass_by(begin)
    world.exchange(there, back)
    world.pass_by(later)
    assert world.error() <= (1 + there + back) / 2 + 1e-4


def test_more_answers_narrow_it() -> None:
    """Answers at different fractions of a second find out where the second begins."""
    world = World()
    for _ in range(20):
        world.exchange(back=0.001)
        world.pass_by(1.05)
    assert world.error() < 0.1


def test_a_slow_answer_does_not_spoil_what_is_known() -> None:
    """Half a minute on the way tells little; what was known better stays."""
    world = World()
    world.exchange()
    before = world.error()
    world.exchange(there=15, back=15)
    assert world.error() <= before


@pytest.mark.parametrize("jump", [-3600, 3600])
def test_a_clock_that_was_set_is_followed(jump: float) -> None:
    """An answer that cannot be true with what is known starts anew, in both directions."""
    world = World()
    world.exchange()
    world.theirs += timedelta(seconds=jump)
    world.exchange()
    assert world.error() <= 0.51


def test_whoever_was_stopped_while_waiting_asks_again() -> None:
    """Two requests in a row that were hours on their way leave hours of doubt, one answered at once does not."""
    world = World()
    world.exchange(there=4 * 3600)
    world.exchange(there=3 * 3600)
    assert world.error() > 3600
    asked: list[float] = []

    def ask() -> None:
        asked.append(world.error())
        world.exchange(back=0.01)

    world.clock.settled(ask)
    world.clock.settled(ask)
    assert len(asked) == 1
    assert world.error() <= 0.51


@pytest.mark.parametrize(("delay", "times"), [(0.0, 1), (9.0, 1), (12.0, 3), (3600.0, 3)])
def test_the_time_of_a_cluster_that_is_always_slow_is_taken_as_well_as_it_is_known(delay: float, times: int) -> None:
    """Up to ten seconds of doubt are well enough; nobody asks for ever."""
    world, asked = World(), list[int]()

    def ask() -> None:
        asked.append(1)
        world.exchange(back=delay)

    assert world.clock.settled(ask) is not None
    assert len(asked) == times


def test_a_cluster_without_a_date_is_asked_a_few_times() -> None:
    """Then it has no time."""
    asked: list[int] = []
    assert World().clock.settled(lambda: asked.append(1)) is None
    assert len(asked) == 3


def test_a_cluster_that_is_always_slow_is_not_asked_each_time() -> None:
    """Only what contradicts the best that is known, as after a machine was stopped, is a reason to ask again."""
    world, asked = World(), list[int]()

    def ask() -> None:
        asked.append(1)
        world.exchange(back=12.0)

    for _ in range(5):
        world.clock.settled(ask)
        world.pass_by(100)
    assert len(asked) == 3
    world.theirs += timedelta(hours=1)
    world.exchange(back=12.0)
    world.clock.settled(ask)
    assert len(asked) == 3 + 3
