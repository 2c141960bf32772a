"""The service by a clock that is turned: when it works, what it does after failures, what it takes up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from rotator.errors import ExitCode
from rotator.events import Listener, Outcome, Step
from rotator.fleet import Fleet
from rotator.model import Request
from rotator.service.board import Change
from rotator.service.standing import LeadershipStanding, Role, State, Trigger
from rotator.settings import ServiceSettings, Settings
from rotator.shards import Shard
from tests.service.world import EVERY, OVERLAP, Outage, Street

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """Return one cluster without credentials."""
    return Street(tmp_path)


def counted(street: Street) -> Callable[[], int]:
    """Count the list calls of all clusters from now on."""
    count = [0]

    def guard(label: str, call: Callable[[], object]) -> object:
        count[0] += label == "GET /access/users"
        return call()

    street.guard = guard  # type: ignore[assignment] # a guard of any call
    return lambda: count[0]


def test_each_credential_is_rotated_when_it_is_due_and_revoked_when_its_overlap_has_passed(street: Street) -> None:
    """To the second, whatever the interval of the looks."""
    street.service_settings = ServiceSettings(look=7 * DAY)
    credential = street.add("ci")
    service = street.serve()
    street.go_on(service, MINUTE)
    due = street.stands(service, "ci").next_change
    assert due is not None
    street.go_on(service, EVERY)
    (_, (at, _)) = street.shop.written["ci"]
    assert timedelta() <= at - due < timedelta(seconds=3)
    street.go_on(service, OVERLAP + HOUR)
    assert street.tokens(credential) == ["ci-2"]
    assert street.stands(service, "ci").state is State.WELL


def test_nothing_due_costs_one_call_for_each_cluster_and_look(tmp_path: Path) -> None:
    """Whatever the number of credentials."""
    street = Street(tmp_path, clusters=("one", "two"))
    count = counted(street)
    for number in range(20):
        street.add(f"a{number}")
        street.add(f"b{number}", "two")
    service = street.serve()
    street.go_on(service, HOUR)
    before = count()
    street.go_on(service, 4 * HOUR)
    assert count() - before == 2 * 4 * 4


def test_looks_are_spread_by_the_names_of_the_clusters(tmp_path: Path) -> None:
    """A fleet does not ask everybody at once, and a restart changes nothing about it."""
    names = tuple(f"c{number}" for number in range(8))
    street = Street(tmp_path, clusters=names)
    for name in names:
        street.add(f"in-{name}", name)
    service = street.serve()
    service.begin_due()
    looks = {it.next_look for it in service.board.standing.clusters.values()}
    assert len(looks) == 8
    again = street.serve()
    again.begin_due()
    assert {it.next_look for it in again.board.standing.clusters.values()} == looks


def test_a_failure_is_tried_again_ever_later_until_a_person_is_needed_and_recovers(street: Street) -> None:
    """After 1, 2, 4, ... minutes, at most 6 hours; a success forgets it all."""
    credential = street.add("ci")
    states: list[tuple[State, timedelta]] = []
    fails = [True]
    street.guard = Outage(lambda label, _: fails[0] and label.startswith("POST"))
    service = street.serve()
    for _ in range(12):
        service.begin_due()
        it = street.stands(service, "ci")
        assert it.backoff_until is not None
        states.append((it.state, it.backoff_until - street.clock.now()))
        street.clock.pass_by(it.backoff_until - street.clock.now())
    minutes = [round(wait / MINUTE) for _, wait in states]
    assert minutes == [1, 2, 4, 8, 16, 32, 64, 128, 256, 360, 360, 360]
    assert [state for state, _ in states] == [State.FAILING] * 9 + [State.NEEDS_ATTENTION] * 3
    fails[0] = False
    service.begin_due()
    it = street.stands(service, "ci")
    assert (it.state, it.failures, it.backoff_until) == (State.WELL, 0, None)
    assert it.last is not None
    assert (it.last.trigger, it.last.result.done) == (Trigger.RETRY, ("first-issue",))
    assert street.works(credential)


def test_a_retry_mints_anew_and_repeats_no_value_that_failed(street: Street) -> None:
    """A token that could not be proven is deleted, and the next one has another name and another secret."""
    credential = street.add("ci")

    def issued() -> list[str]:
        return [it.token for it in street.events if (it.step, it.outcome) == (Step.ISSUE, Outcome.DONE)]

    street.guard = Outage(lambda label, _: label == "GET /version" and 0 < len(issued()) < 4)
    service = street.serve()
    street.go_on(service, HOUR)
    assert len(issued()) == len(set(issued())) == 4
    assert len(street.shop.written["ci"]) == 1
    assert list(street.pves["one"].tokens("ci@pve")) == [issued()[-1].partition("!")[2]]
    assert street.works(credential)


def test_a_cluster_that_is_down_is_asked_at_each_look_and_found_again_soon(street: Street) -> None:
    """One call for all of its credentials each time, even after a night."""
    for number in range(5):
        street.add(f"c{number}")
    service = street.serve()
    street.go_on(service, MINUTE)
    street.down()
    street.go_on(service, DAY)
    it = street.stands(service, "c0")
    assert (it.state, it.reason) == (State.NEEDS_ATTENTION, "cluster-unreachable")
    assert service.board.standing.clusters["one"].is_reachable is False
    street.down(is_down=False)
    street.go_on(service, 15 * MINUTE)
    assert {it.state for it in service.board.standing.credentials.values()} == {State.WELL}
    assert service.board.standing.clusters["one"].is_reachable is True


def test_one_credential_that_fails_takes_nobody_with_it(street: Street) -> None:
    """Not even a bug in it."""
    bad, good = street.add("bad"), street.add("good")

    def break_it(label: str, _: int) -> bool:
        if bad.userid in label:
            raise KeyError("words")
        return False

    street.guard = Outage(break_it)
    service = street.serve()
    street.go_on(service, MINUTE)
    it = street.stands(service, "bad")
    assert (it.state, it.reason) == (State.FAILING, "bug")
    assert it.last is not None
    assert it.last.result.exit_code is ExitCode.BUG
    assert "words" not in str(service.board.standing)
    assert street.works(good)
    assert {type(error) for error in street.bugs} == {KeyError}


def test_a_wall_clock_that_is_set_neither_loses_nor_repeats_work(street: Street) -> None:
    """A year ahead, two years back: the looks come as before."""
    count = counted(street)
    street.add("ci")
    service = street.serve()
    street.go_on(service, MINUTE)
    for jump in (365 * DAY, -730 * DAY, timedelta()):
        street.clock.set_by = jump
        before = count()
        street.go_on(service, 4 * HOUR)
        assert count() - before == 16
    assert len(street.shop.written["ci"]) == 1


def test_a_machine_that_slept_for_days_does_everything_once(street: Street) -> None:
    """What was missed is coalesced into one look, and what came due meanwhile is done in it."""
    count = counted(street)
    credential = street.add("ci")
    service = street.serve()
    street.go_on(service, MINUTE)
    before = count()
    street.clock.pass_by(EVERY + 3 * DAY)
    service.begin_due()
    assert count() - before == 1
    assert len(street.shop.written["ci"]) == 2
    assert street.works(credential)


def test_with_cron_it_works_at_its_times_and_retries_in_between(street: Street) -> None:
    """Spread by at most five minutes."""
    street.service_settings = ServiceSettings(cron="0 3 * * *", timezone="Europe/Vienna")
    street.add("ci")
    service = street.serve()
    street.go_on(service, MINUTE)
    street.shop.written.clear()
    street.go_on(service, EVERY + DAY)
    ((at, _),) = street.shop.written["ci"]
    local = at.astimezone(ZoneInfo("Europe/Vienna"))
    assert (local.hour, local.minute < 6) == (3, True)
    look = service.board.standing.clusters["one"].next_look
    assert look is not None
    assert timedelta() < look - street.clock.now() <= DAY + 5 * MINUTE


def test_with_cron_a_wall_clock_set_past_the_time_is_a_look_at_once(street: Street) -> None:
    """And one that is set back waits for the next time that the clock shows."""
    count = counted(street)
    street.service_settings = ServiceSettings(cron="0 3 * * *")
    street.add("ci")
    service = street.serve()
    street.go_on(service, MINUTE)
    before = count()
    street.clock.set_by = DAY
    street.go_on(service, MINUTE)
    assert count() - before == 1
    street.clock.set_by = -100 * DAY
    street.go_on(service, DAY + 6 * MINUTE)
    assert count() - before == 2


def test_a_changed_file_is_taken_up_once_it_keeps_still(street: Street) -> None:
    """Who is new is looked at, who is gone is left alone, who stays keeps his place."""
    kept, gone = street.add("kept"), street.add("gone")
    service = street.serve()
    service.begin_due()
    before = street.stands(service, "kept")
    street.credentials.remove(gone)
    new = street.add("new")
    service.begin_due()
    assert "new" not in service.board.standing.credentials
    service.begin_due()
    assert set(service.board.standing.credentials) == {"kept", "new"}
    assert street.stands(service, "kept") == before
    assert street.works(new)
    assert street.works(kept)
    assert street.closed == 1


def test_a_wrong_file_is_refused_and_shown_and_the_old_one_goes_on(street: Street) -> None:
    """Until a right one comes."""
    street.service_settings = ServiceSettings(look=7 * DAY)
    credential = street.add("ci")
    service = street.serve()
    service.begin_due()
    digest = service.board.standing.configuration.digest
    street.spoil()
    street.go_on(service, EVERY + HOUR)
    shown = service.board.standing.configuration
    assert (shown.digest, [it.where for it in shown.problems]) == (digest, ["owner"])
    assert shown.refused is not None
    assert "owner" in shown.message
    assert len(street.shop.written["ci"]) == 2
    assert street.works(credential)
    street.mend()
    service.begin_due()
    service.begin_due()
    shown = service.board.standing.configuration
    assert (shown.refused, shown.problems) == (None, ())
    assert shown.digest != digest


def test_a_wish_to_reload_looks_at_everything_and_forgets_the_waiting(street: Street) -> None:
    """Somebody has mended something and does not want to wait for six hours."""
    street.add("ci")
    street.guard = Outage(lambda label, number: label.startswith("POST") and number < 100)
    service = street.serve()
    service.begin_due()
    failures = street.stands(service, "ci").failures
    service.reload()
    service.begin_due()
    assert street.stands(service, "ci").failures == failures + 1


@pytest.mark.parametrize("cron", [None, "0 3 * * 0"])
def test_a_look_whose_time_has_come_is_not_lost_to_another_configuration(street: Street, cron: str | None) -> None:
    """Both come at once, as when the file is made anew each Sunday night: the next look is a week away."""
    street.service_settings = ServiceSettings(cron=cron)
    street.add("ci")
    count = counted(street)
    service = street.serve()
    service.begin_due()
    look = service.board.standing.clusters["one"].next_look
    assert look is not None
    street.clock.pass_by(look - street.clock.now() - timedelta(seconds=1))
    street.touch()
    service.begin_due()
    before = count()
    street.clock.pass_by(timedelta(seconds=2))
    service.begin_due()
    assert street.closed == 1
    assert count() - before == 1


def test_what_failed_is_tried_again_under_another_configuration(street: Street) -> None:
    """It may be what mends it, as another operator does; nobody waits for six hours, nor sends a signal to a pod."""
    credential = street.add("ci")
    fails = [True]
    street.guard = Outage(lambda label, _: fails[0] and label.startswith("POST"))
    service = street.serve()
    street.go_on(service, 10 * HOUR)
    held = street.stands(service, "ci").backoff_until
    assert held is not None
    assert held - street.clock.now() > HOUR
    fails[0] = False
    street.touch()
    street.go_on(service, MINUTE)
    service.begin_due()
    service.begin_due()
    assert street.works(credential)
    assert street.stands(service, "ci").state is State.WELL


def test_what_is_paused_is_left_alone_until_it_is_asked_for(street: Street) -> None:
    """As on the command line: by name it is rotated."""
    street.add("ci", paused=True)
    service = street.serve()
    street.go_on(service, DAY)
    assert street.stands(service, "ci").state is State.PAUSED
    assert "ci" not in street.shop.written
    assert service.ask("ci", Request(forced=True), who="alice")
    service.begin_due()
    it = street.stands(service, "ci")
    assert it.last is not None
    assert (it.last.trigger, it.last.who, it.last.result.done) == (Trigger.ASKED, "alice", ("forced",))
    assert not service.ask("nobody", Request(forced=True), who="alice")


def test_of_a_cluster_that_nobody_looks_at_any_more_nothing_is_known(street: Street) -> None:
    """Somebody has paused all that is there because it is down: it is not told for ever that it does not answer."""
    street.add("ci")
    service = street.serve()
    street.down()
    service.begin_due()
    assert service.board.standing.clusters["one"].is_reachable is False
    street.add("ci", paused=True)
    service.reload()
    street.go_on(service, HOUR)
    stands = service.board.standing.clusters["one"]
    assert (stands.is_reachable, stands.reason, stands.endpoints) == (None, "", ("one:8006",))
    street.down(is_down=False)
    street.add("ci")
    service.reload()
    service.begin_due()
    assert service.board.standing.clusters["one"].is_reachable is True


def test_a_wish_is_done_once(street: Street) -> None:
    """And not again at the next look."""
    street.add("ci")
    service = street.serve()
    service.begin_due()
    service.ask("ci", Request(forced=True), who="alice")
    street.go_on(service, 2 * HOUR)
    assert len(street.shop.written["ci"]) == 2


def test_the_tokens_are_shown_with_their_ends(street: Street) -> None:
    """The current one first, then what is retiring, with the deadline that PVE enforces."""
    street.add("ci")
    service = street.serve()
    service.begin_due()
    service.ask("ci", Request(forced=True), who="alice")
    service.begin_due()
    current, retiring = street.stands(service, "ci").tokens
    assert (current.role, current.expire) == (Role.CURRENT, None)
    assert retiring.role is Role.RETIRING
    assert retiring.expire is not None
    assert abs(retiring.expire - datetime.fromtimestamp(street.clock.seconds, UTC) - OVERLAP) < 5 * MINUTE


def test_a_watcher_sees_every_transition_and_cannot_break_anything(street: Street) -> None:
    """Failed, recovered; what it raises is told and survived."""
    street.add("ci")
    street.guard = Outage(lambda label, number: label.startswith("POST") and number < 10)
    service = street.serve()
    seen: list[State] = []

    def watch(change: Change) -> None:
        seen.extend(change.after.credentials[name].state for name in change.credentials)
        raise ValueError("not my day")

    service.board.watch(watch)
    street.go_on(service, HOUR)
    assert list(dict.fromkeys(seen)) == [State.FAILING, State.WELL]
    assert street.bugs
    assert service.board.standing.at_work == {}


class Double:
    """A leader that a test appoints."""

    def __init__(self) -> None:
        self.is_leading = False
        self.closed = 0

    def leads(self) -> bool:
        """Say what the test says."""
        return self.is_leading

    def standing(self) -> LeadershipStanding:
        """Tell it."""
        return LeadershipStanding("double", self.is_leading)

    def close(self) -> None:
        """Count."""
        self.closed += 1


def test_who_does_not_lead_stands_by_and_takes_over_at_once(tmp_path: Path) -> None:
    """And begins nothing more when the leadership is lost."""
    leader = Double()
    street = Street(tmp_path, leader=leader)
    count = counted(street)
    credential = street.add("ci")
    service = street.serve()
    street.go_on(service, DAY)
    assert count() == 0
    leader.is_leading = True
    service.begin_due()
    assert street.works(credential)
    assert service.board.standing.leadership.leads
    leader.is_leading = False
    service.begin_due()
    before = count()
    street.go_on(service, EVERY)
    assert count() == before
    service.close()
    assert leader.closed == 1


def test_a_shard_serves_its_clusters_and_no_other(tmp_path: Path) -> None:
    """All shards together serve everything once."""
    names = tuple(f"c{number}" for number in range(6))
    street = Street(tmp_path, clusters=names)
    for name in names:
        street.add(f"in-{name}", name)
    served: list[str] = []
    for index in (0, 1):
        street.shard = Shard(index, 2)
        served += street.serve().board.standing.clusters
    assert sorted(served) == sorted(names)


def test_a_backend_that_cannot_be_closed_ends_nothing(street: Street) -> None:
    """What was in force before is let go of by the main loop; somebody's own code, say, breaks there."""
    plain = street.open_fleet

    @contextmanager
    def opened(_settings: Settings, listen: Listener) -> Iterator[Fleet]:
        with plain(_settings, listen) as fleet:
            yield fleet
        raise RuntimeError

    street.open_fleet = opened  # type: ignore[method-assign] # what the street is made of
    street.add("ci")
    service = street.serve()
    service.begin_due()
    new = street.add("new")
    service.begin_due()
    service.begin_due()
    assert street.works(new)
    service.close()
    assert (street.closed, [type(it) for it in street.bugs]) == (2, [RuntimeError, RuntimeError])


def test_a_stopped_service_begins_nothing_and_lets_go_of_everything(street: Street) -> None:
    """The end of a process."""
    street.add("ci")
    service = street.serve()
    service.stop()
    service.begin_due()
    assert "ci" not in street.shop.written
    assert service.is_idle
    assert service.board.standing.is_stopping
    service.close()
    assert street.closed == 1
