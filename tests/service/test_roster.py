"""What comes to a credential while it is being looked at, or was there before, is not lost at the end of that look."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import ExitCode
from rotator.fleet import OPERATOR_UNUSABLE
from rotator.model import Credential, Destination, Request
from rotator.policy import Reason
from rotator.rotate import CLUSTER_UNREACHABLE, Result
from rotator.service.aftermath import state_of
from rotator.service.backoff import Backoff
from rotator.service.roster import Entry, Roster, Wish
from rotator.service.standing import State, Trigger
from rotator.service.timetable import Look

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
CI = Credential(
    name="ci",
    cluster="home",
    owner="tests",
    userid="ci@pve",
    base="ci",
    every=24 * HOUR,
    overlap=HOUR,
    destinations=(Destination("file", "a", "file:a"),),
)


def roster() -> tuple[Roster, Entry]:
    """Make a roster whose one credential is being looked at."""
    made = Roster([CI], Look(NOW + 5 * HOUR), NOW, Trigger.START)
    (entry,) = made.due(NOW)
    return made, entry


def test_after_a_look_it_is_woken_at_its_next_change() -> None:
    """Nothing came in between."""
    made, entry = roster()
    made.settle(entry, Entry(CI, NOW + HOUR))
    assert made.next(NOW) == NOW + HOUR


def test_who_was_woken_during_a_look_is_looked_at_again() -> None:
    """SIGHUP looks at everything, also at what a look had seen already when it came."""
    made, entry = roster()
    made.wake_all(NOW + timedelta(seconds=1), Trigger.RELOAD)
    made.settle(entry, Entry(CI, NOW + HOUR))
    (again,) = made.due(NOW + timedelta(seconds=1))
    assert again.why is Trigger.RELOAD


def test_who_was_woken_during_a_look_that_failed_is_not_held() -> None:
    """It also tries everything again that failed."""
    made, entry = roster()
    made.wake_all(NOW + timedelta(seconds=1), Trigger.RELOAD)
    made.settle(entry, Entry(CI, NOW + HOUR, held_until=NOW + HOUR, failures=1))
    (again,) = made.due(NOW + timedelta(seconds=1))
    assert (again.failures, again.held_until) == (1, None)


def test_of_a_configuration_that_was_replaced_nothing_is_kept() -> None:
    """Neither by who is the same in the new one nor by who was being looked at: that would be memory for ever."""
    made, entry = roster()
    same = replace(CI)
    made.renew([same], NOW)
    (renewed,) = made.due(NOW)
    assert renewed.credential is same
    made.settle(entry, Entry(CI, NOW + HOUR))
    (settled,) = made.due(NOW + HOUR)
    assert settled.credential is same


def test_a_wish_outlives_another_configuration() -> None:
    """Somebody was told that it is noted; what was being done already for it is not done again."""
    made, entry = roster()
    made.settle(entry, Entry(CI, NOW + HOUR))
    made.ask("ci", Wish(Request(forced=True), "alice"))
    made.renew([replace(CI, every=HOUR)], NOW)
    (asked,) = made.due(NOW)
    assert asked.wish == Wish(Request(forced=True), "alice")
    made.renew([replace(CI, every=2 * HOUR)], NOW)
    made.settle(asked, Entry(CI, NOW + HOUR))
    (woken,) = made.due(NOW)
    assert (woken.wish, woken.why) == (None, Trigger.RELOAD)


@pytest.mark.parametrize(
    ("exit_code", "after"),
    [
        (ExitCode.IN_FLIGHT, State.LOCKED_OUT),
        (ExitCode.FAILED, State.LOCKED_OUT),
        (ExitCode.LOCKED_OUT, State.LOCKED_OUT),
        (ExitCode.DONE, State.WELL),
    ],
)
def test_who_was_locked_out_stays_so_until_something_is_well_again(exit_code: ExitCode, after: State) -> None:
    """Also while another rotator is at it: its consumers still cannot log in, and an alert must not end by that."""
    result = Result("ci", "home", exit_code, "due", "")
    assert state_of(State.LOCKED_OUT, result, 1, Backoff(HOUR, 9 * HOUR)) is after


@pytest.mark.parametrize(
    ("reason", "after"),
    [
        (CLUSTER_UNREACHABLE, State.NEEDS_ATTENTION),
        (OPERATOR_UNUSABLE, State.NEEDS_ATTENTION),
        (Reason.RECORD_UNREADABLE, State.FAILING),
    ],
)
def test_who_needs_a_person_does_so_while_nobody_can_look(reason: str, after: State) -> None:
    """A cluster that is away tells nothing of him, and an alert must not end by that."""
    result = Result("ci", "home", ExitCode.FAILED, reason, "")
    assert state_of(State.NEEDS_ATTENTION, result, 2, Backoff(HOUR, 9 * HOUR)) is after
