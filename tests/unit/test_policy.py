"""The ordered checks: each rule of the protocol, and which of two comes first."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from rotator.marker import Marker
from rotator.model import Credential, Observation, Request, Strategy, TokenId, TokenState, Unread, UserState, Window
from rotator.policy import Reason, judge, judge_at_a_glance
from rotator.proxmox_rows import moment
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MINUTE, MIRRORED, NOW, USER, foreign, held, ours, seen

CURRENT = ours(7)
PINNED = replace(CREDENTIAL, strategy=Strategy.REGENERATE, overlap=timedelta())
AT_NIGHT = replace(CREDENTIAL, adopt=True, windows=(Window("0 2 * * *", HOUR),))


def reason(observation: Observation, **wish: Any) -> str:  # noqa: ANN401 - fields of a request
    """Judge and give the reason alone."""
    return judge(observation, Request(**wish)).reason.value


def test_a_published_token_that_pve_does_not_have_is_replaced_at_once() -> None:
    """Rule 1, missing: whatever else is in flight."""
    assert reason(seen(ours(8, age=MINUTE, published=False), record=CURRENT)) == "published-token-dead"


def test_a_published_token_that_has_expired_is_replaced_at_once() -> None:
    """Rule 1, expired; in the second of its end it still works (measured), so not yet then."""
    assert reason(seen(token := ours(7, ends_in=timedelta(seconds=-1)), record=token)) == "published-token-dead"
    assert reason(seen(token := ours(7, ends_in=timedelta()), record=token)) == "expiring"


def test_a_record_with_a_dead_secret_is_replaced_at_once() -> None:
    """Rule 1: the token lives, but what consumers read does not log in."""
    assert reason(seen(CURRENT, record=CURRENT, accepted=False)) == "published-token-dead"


def test_nothing_is_issued_for_a_user_who_cannot_log_in() -> None:
    """A disabled user's new token would be as dead as the old one."""
    assert reason(seen(CURRENT, record=CURRENT, user_usable=False)) == "user-disabled"


@pytest.mark.parametrize("record", [CURRENT, None])
def test_a_young_token_above_the_record_may_be_somebodys_rotation(record: TokenState | None) -> None:
    """Rule 2: left alone until it is ten minutes old, with and without a record."""
    young = ours(8, age=9 * MINUTE, published=False)
    finding = judge(seen(CURRENT, young, record=record) if record else seen(young))

    assert finding.reason is Reason.ROTATION_IN_FLIGHT
    assert finding.until == NOW + MINUTE


def test_a_forced_run_goes_ahead_of_a_rotation_in_flight() -> None:
    """Rule 2: its publish makes the other one lose."""
    assert reason(seen(CURRENT, ours(8, age=MINUTE, published=False), record=CURRENT), forced=True) == "forced"


def test_an_old_token_above_the_record_is_an_orphan() -> None:
    """Rule 3, with a record."""
    finding = judge(seen(CURRENT, ours(8, age=10 * MINUTE, published=False), record=CURRENT))

    assert finding.reason is Reason.ORPHAN
    assert str(finding.token and finding.token.id) == "ci@pve!ci-8-aaaaa"


def test_without_a_record_an_orphan_waits_for_the_first_issue() -> None:
    """Rule 3, without a record there is nothing to fence with: rule 7."""
    assert reason(seen(ours(8, age=HOUR, published=False))) == "first-issue"


@pytest.mark.parametrize("record", [CURRENT, None])
def test_four_orphans_need_a_person(record: TokenState | None) -> None:
    """Rule 3: three are cleaned up, more mean that something goes on failing."""
    orphans = [ours(serial, published=False) for serial in (8, 9, 10, 11)]

    assert reason(seen(CURRENT, *orphans, record=record) if record else seen(*orphans)) == "too-many-orphans"
    assert reason(seen(CURRENT, *orphans[:3], record=CURRENT)) == "orphan"


def test_a_published_token_above_the_record_means_that_the_record_was_put_back() -> None:
    """Consumers may hold it, so it is no orphan: the rotation goes forward."""
    assert reason(seen(ours(7, ends_in=DAY), ours(8), record=ours(7))) == "record-rolled-back"


def test_what_a_mirror_holds_above_the_record_was_published() -> None:
    """Its consumers read it, so the rotation goes forward; a mirror that is down may hold it."""
    record, newer = ours(7), ours(8, published=False)

    assert reason(seen(record, newer, record=record, mirrors=[held(newer)])) == "record-rolled-back"
    assert reason(seen(record, newer, record=record, mirrors=[Unread("down")])) == "unfinished"


def test_what_was_replaced_gets_an_end_whether_or_not_it_was_published() -> None:
    """Rule 4: it may have been."""
    for published in (True, False):
        finding = judge(seen(ours(6, published=published), CURRENT, record=CURRENT))
        assert finding.reason is Reason.NOT_RETIRED
        assert str(finding.token and finding.token.id) == "ci@pve!ci-6-aaaaa"


def test_an_end_beyond_the_overlap_is_none() -> None:
    """Rule 4: a lifetime of its own does not count as retired."""
    assert reason(seen(ours(6, ends_in=2 * DAY), CURRENT, record=CURRENT)) == "not-retired"
    assert reason(seen(ours(6, ends_in=DAY), CURRENT, record=CURRENT)) == "up-to-date"


def test_what_a_mirror_holds_or_may_hold_is_not_retired() -> None:
    """Rule 4 waits for rule 6: the mirror's consumers still read it."""
    for mirror in (held(ours(6)), Unread("down")):
        assert reason(seen(ours(6), CURRENT, record=CURRENT, mirrors=[mirror])) == "unfinished"


def test_what_has_passed_its_overlap_is_revoked() -> None:
    """Rule 5, with two seconds for PVE's clock, whose header has whole seconds."""
    assert reason(seen(ours(6, ends_in=timedelta(seconds=-2)), CURRENT, record=CURRENT)) == "overlap-passed"
    assert reason(seen(ours(6, ends_in=timedelta(seconds=-1)), CURRENT, record=CURRENT)) == "up-to-date"


def test_an_unmarked_rotation_is_finished_before_anything_is_retired() -> None:
    """Rule 6 before rule 4: the predecessor lives until the record was confirmed."""
    unmarked = ours(7, published=False)

    assert reason(seen(ours(6), unmarked, record=unmarked, accepted=True)) == "unfinished"


def test_a_mirror_that_holds_another_secret_is_unfinished() -> None:
    """Rule 6: the id alone is not enough."""
    assert reason(seen(CURRENT, record=CURRENT, mirrors=[held(CURRENT, secret="old")])) == "unfinished"
    assert reason(seen(CURRENT, record=CURRENT, mirrors=[held(CURRENT)])) == "up-to-date"


def test_an_empty_destination_gets_its_first_token() -> None:
    """Rule 7."""
    assert reason(seen()) == "first-issue"


def test_a_credential_is_due_within_the_last_tenth_of_its_interval() -> None:
    """Rule 8: spread by a hash of the name, so always at the same age."""
    ages = [hours for hours in range(720) if reason(seen(token := ours(7, age=hours * HOUR), record=token)) == "due"]

    assert 0.9 * 720 <= ages[0] < 720
    assert ages == list(range(ages[0], 720))


def test_credentials_of_one_interval_are_not_due_together() -> None:
    """The spread is by name: a hundred credentials are due at about as many times."""
    finds = {
        judge(seen(CURRENT, record=CURRENT, credential=replace(CREDENTIAL, overlap=DAY, every=n * DAY))).until
        for n in range(10, 110)
    }
    assert len(finds) == 100


@pytest.mark.parametrize("age", [40 * DAY + MINUTE])
def test_past_two_thirds_of_its_life_a_token_is_replaced(age: timedelta) -> None:
    """Rule 8, expiring: counted from the token's own end at PVE."""
    credential = replace(CREDENTIAL, every=90 * DAY)
    old = ours(7, age=age, ends_in=60 * DAY - age)
    young = ours(7, age=age - 2 * MINUTE, ends_in=60 * DAY - age + 2 * MINUTE)

    assert reason(seen(old, record=old, credential=credential)) == "expiring"
    assert reason(seen(young, record=young, credential=credential)) == "up-to-date"


def test_a_window_delays_what_is_due_but_not_what_expires() -> None:
    """Rule 8: at noon the night's window is closed."""
    credential = replace(CREDENTIAL, windows=(Window("0 2 * * *", HOUR),))
    due, expiring = ours(7, age=40 * DAY), ours(7, age=40 * DAY, ends_in=HOUR)
    finding = judge(seen(due, record=due, credential=credential))

    assert (finding.reason, finding.until) == (Reason.UP_TO_DATE, NOW + 14 * HOUR)
    assert reason(seen(expiring, record=expiring, credential=credential)) == "expiring"
    assert (
        reason(seen(due, record=due, credential=replace(credential, windows=(Window("0 11 * * *", 2 * HOUR),))))
        == "due"
    )


def test_expiring_does_not_wait_for_a_mirror_that_is_down() -> None:
    """A broken mirror must not let the primary's token die."""
    token = ours(7, age=40 * DAY, ends_in=HOUR)

    assert reason(seen(token, record=token, mirrors=[Unread("down")])) == "expiring"


def test_due_waits_until_the_last_rotation_is_finished() -> None:
    """Rule 6 before rule 8: one rotation at a time."""
    token = ours(7, age=40 * DAY)

    assert reason(seen(token, record=token, mirrors=[Unread("down")])) == "unfinished"


def test_with_nothing_to_do_the_next_change_is_told() -> None:
    """Rule 9: the deadline of the retiring token comes before the next rotation."""
    finding = judge(seen(ours(6, ends_in=2 * HOUR), CURRENT, record=CURRENT))

    assert finding.reason is Reason.UP_TO_DATE
    assert finding.until == NOW + 2 * HOUR + timedelta(seconds=2)


def test_a_hand_made_token_is_refused_until_it_is_adopted() -> None:
    """Section 5; its age is unknown, so that it is due at once."""
    hand = foreign()

    assert reason(seen(hand, record=hand)) == "not-adopted"
    assert reason(seen(hand, record=hand), adopt=True) == "adopt"
    assert reason(seen(hand, record=hand, credential=replace(CREDENTIAL, adopt=True))) == "adopt"


def test_a_hand_made_token_in_a_mirror_is_refused_too() -> None:
    """A wrong path must not overwrite somebody's secret."""
    assert reason(seen(foreign(), CURRENT, record=CURRENT, mirrors=[held(foreign())])) == "not-adopted"


@pytest.mark.parametrize(
    "marked", [{"owner": "somebody"}, {"credential": "other"}], ids=["another owner", "another credential"]
)
def test_a_token_with_somebody_elses_marker_is_not_ours(marked: dict[str, Any]) -> None:
    """Two installations on one cluster never touch each other's tokens."""
    theirs = ours(9, **marked)

    assert reason(seen(theirs, record=theirs)) == "not-adopted"
    assert reason(seen(theirs, CURRENT, record=CURRENT)) == "up-to-date"


def test_an_adopted_predecessor_is_retired_like_any_other() -> None:
    """It bears our marker from its retirement on; what a crash left of it still gets its end."""
    adopted = foreign(comment=Marker("tests", "ci", "r", NOW).as_published().comment("by hand"))
    finding = judge(seen(adopted, successor := ours(1, after="hand"), record=successor))

    assert (finding.reason, finding.token and finding.token.id.name) == (Reason.NOT_RETIRED, "hand")


@pytest.mark.parametrize("comment", ["", "by hand", Marker("somebody", "x", "r", NOW).comment()])
def test_a_namesake_of_an_adopted_predecessor_is_left_alone(comment: str) -> None:
    """Somebody may use the name again; without our marker it is theirs."""
    successor = ours(1, after="hand")

    assert reason(seen(foreign(comment=comment), successor, record=successor)) == "up-to-date"


def test_a_record_of_another_user_is_refused() -> None:
    """The list of this user's tokens says nothing about it."""
    assert reason(seen(record=TokenId("other@pve", "ci-1-aaaaa")), adopt=True) == "other-token"


@pytest.mark.parametrize("name", ["ci-1-aaaaa", "hand"])
def test_a_mirror_of_another_user_is_refused(name: str) -> None:
    """Also one whose name has our form, and whoever may take over what is made by hand: others read it there."""
    observation = seen(CURRENT, record=CURRENT, mirrors=[held(TokenId("other@pve", name))])
    assert reason(observation) == reason(observation, adopt=True) == "other-token"


def test_a_primary_that_cannot_be_read_decides_nothing() -> None:
    """No record is not the same as an unreadable one."""
    observation = replace(seen(CURRENT), destinations=(Unread("file:a: permission denied"),))

    assert judge(observation).message == "file:a: permission denied"
    assert reason(observation, forced=True) == "record-unreadable"


def test_a_paused_credential_is_left_alone_unless_it_is_named() -> None:
    """Paused means paused, even where the token is dead."""
    paused = replace(CREDENTIAL, paused=True)

    assert reason(seen(record=CURRENT, credential=paused)) == "paused"
    assert reason(seen(CURRENT, record=CURRENT, credential=paused), forced=True) == "forced"


def test_compromised_leaves_no_old_token_an_overlap() -> None:
    """What has a deadline already is ended all the same."""
    observation = seen(ours(6, ends_in=HOUR), CURRENT, record=CURRENT)

    assert judge(observation, Request(compromised=True)).reason is Reason.NOT_RETIRED


class TestAtAGlance:
    """One list call says for most credentials that nothing is to do."""

    @staticmethod
    def look(*tokens: TokenState, **changes: object) -> str | None:
        """Glance at a user's tokens."""
        user = UserState(USER, tokens=tokens)
        finding = judge_at_a_glance(replace(CREDENTIAL, **changes), user, NOW)  # type: ignore[arg-type] # fields of a credential
        return finding.reason.value if finding else None

    def test_a_live_marked_token_that_is_not_due_needs_nothing(self) -> None:
        """Also beside one that retires with a deadline."""
        assert self.look(CURRENT) == "up-to-date"
        assert self.look(ours(6, ends_in=HOUR), CURRENT) == "up-to-date"

    @pytest.mark.parametrize(
        "tokens",
        [
            (),
            (foreign(),),
            (ours(7, published=False),),
            (ours(6), CURRENT),
            (ours(6, ends_in=-HOUR), CURRENT),
            (ours(7, age=40 * DAY),),
            (CURRENT, ours(8, published=False, age=MINUTE)),
        ],
        ids=["none", "foreign", "unmarked", "not retired", "overlap passed", "due", "in flight"],
    )
    def test_anything_else_needs_a_closer_look(self, tokens: tuple[TokenState, ...]) -> None:
        """The record must be read before anything is decided."""
        assert self.look(*tokens) is None

    def test_a_disabled_user_needs_a_closer_look(self) -> None:
        """Its tokens are dead however young they are."""
        assert judge_at_a_glance(CREDENTIAL, UserState(USER, enabled=False, tokens=(CURRENT,)), NOW) is None

    def test_a_paused_credential_needs_none(self) -> None:
        """Whatever its tokens look like."""
        assert self.look(ours(7, age=40 * DAY), paused=True) == "paused"


class TestRegenerate:
    """The checks of the strategy that keeps the name."""

    token = TokenState(
        TokenId(USER, "ci"), comment="by terraform " + Marker("tests", "ci", "r", NOW - HOUR).as_published().comment()
    )

    def test_a_marked_token_is_up_to_date(self) -> None:
        """The marker may stand behind what somebody else wrote."""
        assert reason(seen(self.token, record=self.token, credential=PINNED)) == "up-to-date"

    def test_a_crash_between_the_call_and_publishing_is_repaired_at_once(self) -> None:
        """The record is refused: no waiting for somebody who may be at it, the consumers are locked out."""
        lost = replace(self.token, comment=Marker("tests", "ci", "r", NOW - MINUTE).comment())

        assert reason(seen(lost, record=lost, accepted=False, credential=PINNED)) == "published-token-dead"
        assert reason(seen(lost, record=lost, accepted=True, credential=PINNED)) == "unfinished"

    def test_a_pinned_token_that_somebody_made_is_refused_until_adopted(self) -> None:
        """With a record of it, and without."""
        for record in (foreign("ci"), None):
            observation = seen(foreign("ci"), record=record, credential=PINNED)
            assert reason(observation) == "not-adopted"
            assert reason(observation, adopt=True) == ("adopt" if record else "first-issue")

    def test_a_record_of_another_name_is_refused(self) -> None:
        """The pinned name is the one thing that must stay."""
        assert reason(seen(foreign(), record=foreign(), credential=PINNED), adopt=True) == "other-token"

    def test_a_pinned_token_that_is_gone_is_made_again(self) -> None:
        """Its name is ours by configuration."""
        assert reason(seen(record=TokenId(USER, "ci"), credential=PINNED)) == "published-token-dead"


@pytest.mark.parametrize("credential", [PINNED, AT_NIGHT])
def test_the_latest_of_all_ends_can_be_told(credential: Credential) -> None:
    """A token of another strategy's time that somebody gave an end in the year three million stands beside it."""
    beside = TokenState(
        TokenId(USER, "old"), moment(99_999_999_999_999), comment=Marker("tests", "ci", "r", NOW).comment()
    )
    mine = foreign("ci", comment=Marker("tests", "ci", "r", NOW, published=True).comment())
    assert reason(seen(beside, mine, record=mine, credential=credential)) == "up-to-date"


def test_mirrors_are_named_in_what_is_unfinished() -> None:
    """A person must see which store is behind."""
    finding = judge(seen(CURRENT, record=CURRENT, mirrors=[Unread("down")], credential=MIRRORED))

    assert finding.message == "file:b: not yet ci@pve!ci-7-aaaaa"
