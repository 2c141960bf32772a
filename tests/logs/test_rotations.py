"""One line for each rotation, and for what a person who reads a service's log has to know besides."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Event as Signal

import pytest

from rotator.events import Event, Outcome
from rotator.logs.rotations import Line
from rotator.model import Request
from rotator.service.diary import Diary
from rotator.service.scheduler import in_threads
from rotator.service.service import Service
from rotator.service.standing import LeadershipStanding
from rotator.settings import ServiceSettings
from tests.service.world import EVERY, OVERLAP, Outage, Street

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def street(tmp_path: Path) -> Street:
    """Return one cluster without credentials, looked at once a week."""
    return Street(tmp_path, service_settings=ServiceSettings(look=7 * DAY))


def kept(street: Street) -> tuple[Service, list[Line]]:
    """Serve, and keep a diary."""
    lines: list[Line] = []
    diary = Diary(lines.append)
    street.listeners.append(diary.hear)
    service = street.serve()
    service.board.watch(diary.see)
    return service, lines


def told(lines: list[Line]) -> list[tuple[str, str]]:
    """Return level and event of lines, and forget them."""
    found = [(it.level, it.event) for it in lines]
    lines.clear()
    return found


def test_a_rotation_is_one_line_with_all_about_it(street: Street) -> None:
    """Old and new token, reason, outcome, duration, steps, rotation id, what began it."""
    street.add("ci")
    service, lines = kept(street)
    street.go_on(service, HOUR)
    street.go_on(service, EVERY)
    first, second = lines
    assert (first.event, first.fields["reason"], first.fields["old"]) == ("rotated", "first-issue", "")
    about = second.fields
    assert (second.level, second.event) == ("info", "rotated")
    assert about["old"] == first.fields["new"]
    assert about["new"].startswith("ci@pve!ci-2-")
    assert (about["credential"], about["cluster"], about["reason"], about["outcome"]) == ("ci", "one", "due", "done")
    assert about["trigger"] == "schedule change"
    steps = ["preflight", "issue", "verify", "publish", "confirm", "mark", "retire"]
    assert [it["step"] for it in about["steps"]] == steps
    events = [it for it in street.events if it.rotation == about["rotation"] and it.outcome is Outcome.DONE]
    assert len(events) == len(steps)
    assert about["duration"] == sum((it.duration for it in events), timedelta())


def test_what_ends_an_overlap_is_a_line_too_and_a_quiet_look_is_none(street: Street) -> None:
    """Whoever reads sees that the old token is gone."""
    street.add("ci")
    service, lines = kept(street)
    street.go_on(service, HOUR)
    service.ask("ci", Request(forced=True), who="alice")
    street.go_on(service, OVERLAP + HOUR)
    assert told(lines) == [("info", "rotated"), ("info", "rotated"), ("info", "tidied up")]
    street.go_on(service, 14 * DAY)
    assert lines == []


def test_who_asked_is_told(street: Street) -> None:
    """With what he asked for."""
    street.add("ci")
    service, lines = kept(street)
    street.go_on(service, MINUTE)
    service.ask("ci", Request(forced=True), who="alice")
    street.go_on(service, MINUTE)
    assert "alice" in lines[-1].fields["trigger"]
    assert lines[-1].fields["reason"] == "forced"


def test_a_failure_is_a_warning_until_a_person_is_needed_and_its_end_is_told(street: Street) -> None:
    """With the step that failed, what is live, what to do, and when it is tried again."""
    street.add("ci")
    fails = [True]
    street.guard = Outage(lambda label, _: fails[0] and label == "GET /version")
    service, lines = kept(street)
    street.go_on(service, MINUTE / 2)
    (line,) = lines
    assert (line.level, line.event) == ("warning", "failed")
    assert (line.fields["step"], line.fields["state"], line.fields["outcome"]) == ("verify", "failing", "failed")
    assert {"message", "live", "retry", "rotation", "new", "steps"} <= line.fields.keys()
    assert any(it["outcome"] != "done" and it["message"] for it in line.fields["steps"])
    street.go_on(service, DAY)
    assert lines[-1].level == "error"
    assert lines[-1].fields["state"] == "needs-attention"
    fails[0] = False
    lines.clear()
    street.go_on(service, 7 * HOUR)
    assert told(lines) == [("info", "rotated"), ("info", "well again")]


def test_a_cluster_that_is_lost_is_told_once_and_not_for_each_credential(street: Street) -> None:
    """The rest is among the details."""
    for number in range(5):
        street.add(f"c{number}")
    street.service_settings = ServiceSettings()
    service, lines = kept(street)
    street.go_on(service, MINUTE)
    street.down()
    lines.clear()
    street.go_on(service, HOUR)
    loud = [it for it in lines if it.level != "debug"]
    assert [(it.level, it.event, it.fields["reason"]) for it in loud] == [
        ("warning", "cluster lost", "cluster-unreachable")
    ]
    assert {it.fields["credential"] for it in lines if it.level == "debug"} == {f"c{number}" for number in range(5)}
    lines.clear()
    street.down(is_down=False)
    street.go_on(service, HOUR)
    assert told(lines).count(("info", "cluster there again")) == 1


def test_a_configuration_is_told_when_it_is_refused_and_when_it_is_taken_up(street: Street) -> None:
    """With everything that is wrong; each once."""
    street.add("ci")
    service, lines = kept(street)
    street.go_on(service, MINUTE)
    lines.clear()
    street.spoil()
    service.reload()
    street.go_on(service, HOUR)
    (line,) = lines
    assert (line.level, line.event) == ("error", "configuration refused")
    assert "owner" in str(line.fields["all"])
    lines.clear()
    street.mend()
    service.reload()
    street.go_on(service, MINUTE)
    assert told(lines) == [("info", "configuration taken up")]


def test_a_credential_that_goes_in_the_middle_of_a_rotation_is_told_all_the_same(street: Street) -> None:
    """Nothing of it is kept for ever."""
    gone, other = street.add("gone"), street.add("other")

    def go(event: Event) -> None:
        if event.credential == "gone" and event.step == "verify" and gone in street.credentials:
            street.credentials.remove(gone)
            street.touch()

    street.listeners.append(go)
    service, lines = kept(street)
    street.go_on(service, HOUR)
    service.reload()
    street.go_on(service, HOUR)
    assert sorted(it.fields["credential"] for it in lines if it.event == "rotated") == ["gone", "other"]
    assert street.works(other)


def test_who_goes_while_a_thread_is_at_work_is_told_of_when_that_is_done(street: Street) -> None:
    """And not as having tidied up what was only begun by then."""
    gone, reached, taken = street.add("gone"), Signal(), Signal()

    def wait(event: Event) -> None:
        if event.step == "verify" and event.outcome is Outcome.STARTED:
            reached.set()
            taken.wait(20)

    street.executor = in_threads(1)
    street.listeners.append(wait)
    service, lines = kept(street)
    service.begin_due()
    assert reached.wait(20)
    street.credentials.remove(gone)
    street.touch()
    service.reload()
    service.begin_due()
    early = told(lines)
    taken.set()
    street.executor.shutdown()
    service.close()
    assert (early, told(lines)) == ([("info", "configuration taken up")], [("info", "rotated")])


class Wavering:
    """A leader that a test appoints."""

    leader = LeadershipStanding("double", leads=True, holder="a", identity="a")

    def leads(self) -> bool:
        """Say what the test says."""
        return self.leader.leads

    def standing(self) -> LeadershipStanding:
        """Tell it."""
        return self.leader

    def close(self) -> None:
        """Do nothing."""


def test_who_leads_is_told_when_it_changes(tmp_path: Path) -> None:
    """And when nobody knows."""
    leader = Wavering()
    street = Street(tmp_path, leader=leader)
    service, lines = kept(street)
    for standing in (
        LeadershipStanding("double", leads=False, holder="b", identity="a"),
        LeadershipStanding("double", leads=False, holder="b", identity="a", message="no answer"),
        LeadershipStanding("double", leads=True, holder="a", identity="a"),
    ):
        leader.leader = standing
        street.go_on(service, MINUTE)
    assert told(lines) == [("info", "standing by"), ("warning", "who leads is not known"), ("info", "leading")]
