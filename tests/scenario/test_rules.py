"""Each row of the decision table: a situation is planted, the run says what it found and does just that."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rotator.errors import ExitCode
from rotator.model import Window
from rotator.testing.exchange import AnswerInstead
from rotator.testing.faulty_backend import Operation
from tests.world import OVERLAP, World, comes_to_rest

LONG = timedelta(minutes=30)
DAY = timedelta(days=1)


def test_a_published_token_that_is_gone_is_replaced_at_once(w: World) -> None:
    """Rule 1: consumers are locked out, so nothing is waited for."""
    ci = w.settled()
    w.pve.delete_token(w.read()["token_id"])
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("published-token-dead",), "ci-2")
    assert any("is published and does not exist at PVE" in event.message for event in w.events)
    assert w.standing() == {"ci-2": "marked"}
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_published_token_that_has_expired_is_replaced_and_tidied_up(w: World) -> None:
    """Rule 1: whoever set the end, PVE refuses it now."""
    ci = w.due(lifetime=timedelta(days=29), every=timedelta(days=30))
    assert not w.works()
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("published-token-dead", "overlap-passed"))
    assert w.standing() == {"ci-2": f"marked, ends in {29}d"}
    assert w.works()


def test_a_dead_token_is_replaced_while_a_rotation_is_in_flight(w: World) -> None:
    """Rule 1 comes before rule 2; the rotation in flight loses its publish, its token is retired like any other."""
    ci = w.settled()
    w.pve.delete_token(w.read()["token_id"])
    w.plant(2, ago=timedelta(minutes=1))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("published-token-dead", "not-retired"), "ci-3")
    assert w.standing() == {"ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


@pytest.mark.stores("file", because="the mode of its folder is what refuses the write")
def test_a_dead_token_that_cannot_be_replaced_counts_as_a_lockout(w: World) -> None:
    """Rule 1: exit code 4 would say that consumers are unaffected, and they are not."""
    ci = w.settled()
    w.pve.delete_token(w.read()["token_id"])
    w.folder.chmod(0o777)  # a folder that anybody may write is refused
    result = w.run(ci)
    w.folder.chmod(0o700)
    assert (result.exit_code, result.reason, result.done) == (ExitCode.LOCKED_OUT, "published-token-dead", ())
    assert result.live == "ci@pve!ci-1-10000 is still published and does not log in"
    assert w.standing() == {}
    assert comes_to_rest(w, ci) == "ci-2"


def test_who_failed_with_a_dead_token_that_somebody_else_has_replaced_says_that_all_is_well(w: World) -> None:
    """Nobody is locked out by then, so it is neither exit code 5 nor a failure."""
    ci = w.settled()
    w.pve.delete_token(w.read()["token_id"])

    def be_faster() -> None:
        w.run(ci)
        w.disturb("PUT", "/access/acl", AnswerInstead(403, "Permission check failed"))

    w.meanwhile(Operation.PREFLIGHT, be_faster)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.done) == (ExitCode.DONE, "up-to-date", ())
    assert w.standing() == {"ci-2": "marked"}


@pytest.mark.parametrize("change", [{"enable": False}, {"expire": 1}])
def test_a_disabled_user_stops_the_run_because_no_token_of_it_logs_in(w: World, change: dict[str, int]) -> None:
    """Rule 1: a new token would be as dead as the old one, and the old one may come back."""
    ci = w.due()
    w.set_user(**change)
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "user-disabled")
    assert result.message == "ci@pve is disabled or has expired at PVE: no token of it can log in"
    assert result.hint == "pveum user modify ci@pve --enable 1 --expire 0"
    assert w.changes() == []
    w.set_user(enable=True, expire=0)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_disabled_user_without_a_record_locks_nobody_out(w: World) -> None:
    """Nobody reads a record yet, so the stop is an ordinary failure."""
    w.set_user(enable=False)
    result = w.run(w.credential())
    assert (result.exit_code, result.reason, w.tokens()) == (ExitCode.FAILED, "user-disabled", [])


@pytest.mark.parametrize("has_record", [True, False])
def test_a_rotation_in_flight_is_left_alone(w: World, *, has_record: bool) -> None:
    """Rule 2: somebody may be between issue and publish, with a record or without one."""
    ci = w.due() if has_record else w.credential()
    before = w.standing()
    w.plant(2, ago=timedelta(minutes=9))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.done) == (ExitCode.IN_FLIGHT, "rotation-in-flight", ())
    assert "is not published: a rotation may be under way" in result.message
    assert result.until == w.clock.now() + timedelta(minutes=1)
    assert w.standing() == before | {"ci-2": "unmarked"}
    assert w.changes() == []


def test_a_forced_run_goes_ahead_of_a_rotation_in_flight(w: World) -> None:
    """Rule 2: its publish makes the other one lose, whose token is then retired like any other."""
    ci = w.settled()
    w.plant(2, ago=timedelta(minutes=1))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.done, w.published()) == (0, ("forced", "not-retired"), "ci-3")
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


def test_an_orphan_is_fenced_and_then_deleted(w: World) -> None:
    """Rule 3: the record is published again unchanged first, so that a maker that still lives can no longer publish."""
    ci = w.settled()
    w.plant(2, ago=LONG)
    before = (w.read(), w.version())
    result = w.run(ci)
    assert (result.exit_code, result.done, w.steps()) == (0, ("orphan",), ["fence", "revoke"])
    assert w.read() == before[0]
    assert w.version() != before[1]
    assert w.standing() == {"ci-1": "marked"}


@pytest.mark.stores("file", because="it is about PVE's clock")
def test_an_orphan_of_a_clock_that_was_set_back_keeps_nobody_waiting_until_its_own_end(w: World) -> None:
    """Rule 2: issued a year from now, it would be in flight for a year, while the published token dies by itself."""
    ci = w.settled(lifetime=timedelta(days=40))
    w.plant(2, ago=-365 * DAY)
    w.clock.pass_by(27 * DAY)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("orphan", "expiring"), "ci-2")
    assert w.works()


def test_an_orphan_is_kept_when_the_fence_does_not_hold(w: World) -> None:
    """Rule 3: somebody who publishes in between may have published that very token."""
    ci = w.settled()
    orphan = w.plant(2, ago=LONG)
    w.meanwhile(Operation.WRITE, lambda: w.put(orphan))
    result = w.run(ci)
    assert (result.exit_code, w.published()) == (0, "ci-2")
    assert w.steps()[0] == "fence!failed"
    assert result.done == ("unfinished", "not-retired")
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_an_orphan_that_is_published_after_the_record_was_read_is_no_orphan(w: World) -> None:
    """Rule 3: the fence compares with what the decision was made on, and not with what is there by then."""
    ci = w.settled()
    orphan = w.plant(2, ago=LONG)
    w.traffic.watchers.append(
        lambda it: w.put(orphan) if it.path.endswith("/token") and w.published() == "ci-1" else None
    )
    result = w.run(ci)
    assert (result.exit_code, w.published(), w.works()) == (0, "ci-2", True)
    assert w.steps()[0] == "fence!failed"
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_without_a_record_an_orphan_is_retired_by_what_is_published_above_it(w: World) -> None:
    """Rule 3: there is nothing to fence with, so the first token is issued above it and rule 4 ends it."""
    ci = w.credential()
    w.plant(1, ago=LONG)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("first-issue", "not-retired"))
    assert w.standing() == {"ci-1": "unmarked, ends in 1d", "ci-2": "marked"}
    assert comes_to_rest(w, ci, note="") == "ci-2"


def test_three_orphans_are_tidied_up(w: World) -> None:
    """Rule 3: each is fenced and deleted for itself."""
    ci = w.settled()
    for serial in (2, 3, 4):
        w.plant(serial, ago=LONG)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("orphan",) * 3, {"ci-1": "marked"})


@pytest.mark.parametrize("has_record", [True, False])
def test_more_than_three_orphans_stop_the_run(w: World, *, has_record: bool) -> None:
    """Rule 3: something goes on failing, and more of the same would not help."""
    ci = w.settled() if has_record else w.credential()
    for serial in (2, 3, 4, 5):
        w.plant(serial, ago=LONG)
    w.forget()
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.done) == (ExitCode.FAILED, "too-many-orphans", ())
    assert result.message.startswith("4 tokens were issued and are not published: ci@pve!ci-2-")
    assert "delete these tokens, run again" in result.hint
    assert w.changes() == []


def test_what_was_replaced_gets_an_end(w: World) -> None:
    """Rule 4: a token below the record's without a deadline is retired, whether or not it was ever published."""
    ci = w.settled()
    w.plant(1, ago=LONG)
    w.replace_record(3)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("not-retired", "not-retired"))
    assert sorted(w.standing().values()) == ["marked", "marked, ends in 1d", "unmarked, ends in 1d"]
    assert comes_to_rest(w, ci) == "ci-3"


def test_an_end_that_a_token_has_already_is_kept_if_it_is_earlier(w: World) -> None:
    """Rule 4: no rotation puts off what PVE already enforces."""
    ci = w.settled()
    w.plant(1, ends_in=timedelta(hours=2))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.done) == (0, ("forced",))
    assert sorted(w.standing().values()) == ["marked", "marked, ends in 1d", "unmarked, ends in 2h"]


def test_a_later_end_is_brought_forward_when_the_overlap_was_shortened(w: World) -> None:
    """Rule 4: a deadline beyond the overlap is none."""
    ci = w.settled(overlap=timedelta(days=7))
    w.run(ci, forced=True)
    assert w.standing()["ci-1"] == "marked, ends in 7d"
    result = w.run(w.credential(overlap=DAY))
    assert (result.exit_code, result.done) == (0, ("not-retired",))
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_longer_overlap_puts_no_end_off(w: World) -> None:
    """Rule 4: only ever earlier."""
    w.run(w.settled(), forced=True)
    result = w.run(w.credential(overlap=timedelta(days=7)))
    assert (result.exit_code, result.done) == (0, ())
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_mirror_that_holds_the_old_token_keeps_it_alive(w: World) -> None:
    """Rule 4: a consumer of the mirror still uses it, so it is retired only once the mirror was written."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.replace_record(2)
    w.lock_up("mirror.json")
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.done) == (ExitCode.FAILED, "unfinished", ())
    assert w.standing() == {"ci-1": "marked", "ci-2": "marked"}
    assert w.works("mirror.json")
    w.spoil()
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("unfinished", "not-retired"))
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_mirror_that_cannot_be_read_may_hold_the_old_token(w: World) -> None:
    """Rule 4: what was not read is not known to be safe."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.replace_record(2)
    w.write({"token_id": "nonsense", "token_secret": "nonsense"}, "mirror.json")
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "unfinished")
    assert "mirror.json holds something that is no token" in result.message
    assert w.standing() == {"ci-1": "marked", "ci-2": "marked"}


def test_a_token_whose_overlap_has_passed_is_revoked(w: World) -> None:
    """Rule 5: PVE has ended it, what is left is tidied up."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.clock.pass_by(OVERLAP + timedelta(seconds=4))
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("overlap-passed",))
    assert w.standing() == {"ci-2": "marked"}


def test_a_token_is_not_revoked_in_the_second_of_its_end(w: World) -> None:
    """Rule 5: it still works then (measured), and the clocks may differ by another second."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.clock.pass_by(OVERLAP + timedelta(seconds=1))
    assert w.run(ci).done == ()
    assert w.standing() == {"ci-1": "marked, ends in 0s", "ci-2": "marked"}


def test_what_was_adopted_is_revoked_also_when_its_successor_is_gone_before_it(w: World) -> None:
    """Its own marker and its end say that it was retired; nobody else names it any more."""
    w.pve.grant("/vms", "PVEVMUser", token=str(w.hand_made()))
    ci = w.credential(adopt=True)
    w.run(ci)
    w.run(ci, forced=True)
    w.pve.delete_token(f"ci@pve!{next(it for it in w.tokens() if it.startswith('ci-1-'))}")
    assert w.standing() == {"ci-2": "marked", "hand": "marked, ends in 1d"}
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_lacks_the_token_gets_it(w: World) -> None:
    """Rule 6: also one that was added to the configuration later."""
    w.settled()
    ci = w.credential(destinations=(w.place("ci.json"), w.place("late.json")))
    w.clock.pass_by(timedelta(days=26))
    result = w.run(ci, overlap=OVERLAP)
    assert (result.exit_code, result.done, w.steps()) == (0, ("unfinished",), ["mirror"])
    assert w.read("late.json") == {key: w.read()[key] for key in ("token_id", "token_secret")}


def test_a_record_that_is_not_marked_is_proved_fenced_and_marked(w: World) -> None:
    """Rule 6: a rotation that died after publishing; the fence keeps its maker from putting the predecessor back."""
    ci = w.settled()
    w.replace_record(2, published=False)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("unfinished", "not-retired"))
    assert w.steps() == ["fence", "mark", "retire"]
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}


def test_a_record_that_is_not_marked_and_does_not_log_in_is_replaced(w: World) -> None:
    """Rules 6 and 1: the record names a token that lives, with a secret that PVE does not accept."""
    ci = w.settled()
    planted = w.replace_record(2, published=False)
    w.write({**w.read(), "token_secret": "00000000-0000-0000-0000-000000000000"})
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("published-token-dead", "not-retired"), "ci-3")
    assert any(f"{planted.id} is published with a secret that PVE does not accept" in it.message for it in w.events)
    assert comes_to_rest(w, ci) == "ci-3"


def test_an_emptied_record_is_filled_after_tidying_up_in_the_same_run(w: World) -> None:
    """What PVE's list tells is not taken for what the record holds, where that was seen to be empty."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.clock.pass_by(OVERLAP + LONG)
    w.write({"note": "by hand"})
    result = w.run(ci)
    assert result.done == ("overlap-passed", "first-issue", "not-retired")
    assert (w.published(), w.works()) == ("ci-3", True)


def test_an_empty_destination_gets_its_first_token(w: World) -> None:
    """Rule 7: the record is made, with nothing in it but our two keys."""
    result = w.run(w.credential())
    assert (result.exit_code, result.done, result.token) == (0, ("first-issue",), "ci@pve!ci-1-10000")
    assert set(w.read()) == {"token_id", "token_secret"}
    assert w.works()
    assert w.standing() == {"ci-1": "marked"}


def test_a_due_token_is_replaced(w: World) -> None:
    """Rule 8: old, new, and the old one with an end; foreign keys of the record stay."""
    result = w.run(w.due())
    assert (result.exit_code, result.done, w.published()) == (0, ("due",), "ci-2")
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
    assert w.read()["note"] == "by hand"
    assert "to be replaced every 30d" in w.events[0].message


def test_due_times_are_spread_and_never_late(w: World) -> None:
    """Rule 8: at most a tenth of the interval early, and the same in every run."""
    ci = w.settled()
    until = w.run(ci).until
    assert until is not None
    assert timedelta(days=27) <= until - w.clock.now() <= timedelta(days=30)
    w.clock.pass_by(until - w.clock.now() - timedelta(seconds=2))
    assert w.run(ci).done == ()
    w.clock.pass_by(timedelta(seconds=4))
    assert w.run(ci).done == ("due",)


def test_a_window_delays_what_is_due(w: World) -> None:
    """Rule 8: the maintenance window is at two in the morning, and until then nothing is done."""
    ci = w.due(windows=(Window("0 2 * * *", timedelta(hours=1)),))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())
    assert result.until == datetime(2026, 4, 1, 2, 0, tzinfo=UTC)
    w.clock.pass_by(timedelta(hours=14, minutes=30))
    assert w.run(ci).done == ("due",)


def test_no_window_delays_what_expires(w: World) -> None:
    """Rule 8: past two thirds of its lifetime a token is replaced at any hour."""
    ci = w.settled(lifetime=timedelta(days=33), windows=(Window("0 2 * * *", timedelta(hours=1)),))
    w.clock.pass_by(timedelta(days=22, seconds=5))
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("expiring",))
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked, ends in 33d"}


def test_no_window_delays_what_is_asked_for(w: World) -> None:
    """Rule 8: forced means now."""
    ci = w.settled(windows=(Window("0 2 * * *", timedelta(hours=1)),))
    assert w.run(ci, forced=True).done == ("forced",)
    assert w.published() == "ci-2"


def test_when_nothing_is_to_do_the_next_change_is_told(w: World) -> None:
    """Rule 9: and while a token is retiring, its end is the next change."""
    ci = w.settled()
    result = w.run(ci, forced=True)
    assert result.message == "ci@pve!ci-2-10001 is current; next change 2026-03-02 12:00:03Z"
    w.forget()
    again = w.run(ci)
    assert (again.exit_code, again.reason, again.until) == (0, "up-to-date", result.until)
    assert w.changes() == []
