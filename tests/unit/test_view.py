"""An observation in the protocol's terms, at the edges where a second or a name decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.marker import Marker
from rotator.model import (
    Destination,
    Held,
    Request,
    Secret,
    Strategy,
    Token,
    TokenId,
    TokenState,
    Unread,
    UserState,
    Window,
)
from rotator.policy import Reason, judge, judge_at_a_glance
from rotator.view import View, at, at_a_glance, deadline, due_at
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MINUTE, MIRRORED, NOW, USER, foreign, held, ours, seen

CURRENT = ours(7)
SECOND, INSTANT = timedelta(seconds=1), timedelta(microseconds=1)
PINNED = replace(CREDENTIAL, strategy=Strategy.REGENERATE)
CLOSED = replace(CREDENTIAL, windows=(Window("0 2 * * *", HOUR),))
PINNED_TOKEN = foreign("ci", comment=Marker("tests", "ci", "r", NOW).as_published().comment("by hand"))


def test_a_deadline_has_whole_seconds_and_is_never_early() -> None:
    """PVE cuts fractions off, which would end a token before its overlap has passed."""
    assert deadline(NOW, HOUR) == NOW + HOUR
    assert deadline(NOW + INSTANT, HOUR) == NOW + HOUR + SECOND
    assert deadline(NOW + SECOND - INSTANT, HOUR) == NOW + HOUR + SECOND


def test_times_for_people_have_whole_seconds() -> None:
    """PVE's clock is known no better, and nobody reads on after the seconds."""
    when = NOW.replace(hour=7, minute=5, second=9, microsecond=123456)
    assert at(when) == at(when.replace(microsecond=0)) == f"{when:%Y-%m-%d} 07:05:09Z"
    assert at(None) == "never"


def test_the_time_that_is_due_is_the_same_on_every_machine() -> None:
    """It comes from a hash of the name and nothing else, so two rotators agree to the microsecond."""
    when = due_at(CREDENTIAL, NOW - HOUR)

    assert when.isoformat() == "2026-03-30T11:51:21.976846+00:00"
    assert judge(replace(seen(CURRENT, record=CURRENT), now=when)).reason is Reason.DUE
    assert judge(replace(seen(CURRENT, record=CURRENT), now=when - INSTANT)).until == when


def test_twice_the_overlap_before_its_end_a_token_is_expiring() -> None:
    """Counted from its own end, and not a second earlier; of what nobody knows the age of, too."""
    at_the_edge, before = ours(7, age=DAY, ends_in=2 * DAY), ours(7, age=DAY, ends_in=2 * DAY + SECOND)
    adopting = replace(CREDENTIAL, adopt=True, windows=CLOSED.windows)
    ending, lasting = foreign(expire=NOW + 2 * DAY), foreign(expire=NOW + 2 * DAY + SECOND)

    assert judge(seen(at_the_edge, record=at_the_edge)).reason is Reason.EXPIRING
    assert judge(seen(before, record=before)).until == NOW + SECOND
    assert judge(seen(ending, record=ending, credential=adopting)).reason is Reason.EXPIRING
    assert judge(seen(lasting, record=lasting, credential=adopting)).until == NOW + SECOND


def test_an_end_within_the_margin_of_the_overlap_is_one() -> None:
    """The clocks agree to two seconds, so nothing is set again and again."""
    within, beyond = ours(6, ends_in=DAY + 2 * SECOND), ours(6, ends_in=DAY + 3 * SECOND)

    assert judge(seen(within, CURRENT, record=CURRENT)).reason is Reason.UP_TO_DATE
    assert judge(seen(beyond, CURRENT, record=CURRENT)).reason is Reason.NOT_RETIRED


def test_without_a_record_what_is_over_is_tidied_up_whatever_its_serial() -> None:
    """There is nothing that it could be above of."""
    assert judge(seen(over := ours(8, age=DAY, ends_in=-HOUR))).reason is Reason.OVERLAP_PASSED
    assert judge(seen(CURRENT, over, record=CURRENT)).reason is Reason.RECORD_ROLLED_BACK


def test_above_the_record_nothing_is_tidied_up() -> None:
    """What may be an orphan is fenced first; while a mirror is down it may be the one that is read there."""
    over = ours(8, age=DAY, published=False, ends_in=-HOUR)
    observation = seen(CURRENT, over, record=CURRENT, mirrors=[held(CURRENT)])
    read, down = (replace(observation, destinations=(held(CURRENT), it)) for it in (held(over), Unread("down")))

    assert judge(observation).reason is Reason.ORPHAN
    assert judge(read).reason is Reason.RECORD_ROLLED_BACK
    assert judge(down).reason is Reason.UNFINISHED


def test_a_token_of_the_record_s_own_serial_is_not_above_it() -> None:
    """Two rotators that raced took the same serial; one of them has published, so the other is over."""
    loser = replace(ours(7, age=timedelta(), published=False), id=TokenId(USER, "ci-7-bbbbb"))

    assert View(seen(CURRENT, loser, record=CURRENT)).above == ()
    assert judge(seen(CURRENT, loser, record=CURRENT)).reason is Reason.NOT_RETIRED


def test_what_was_taken_back_counts_for_too_many_unless_the_record_is_old() -> None:
    """Rotations that are published and taken back again and again need a person; a record that retires does not."""
    taken_back = [ours(serial) for serial in (8, 9, 10, 11)]
    retiring = ours(7, ends_in=HOUR)

    assert judge(seen(CURRENT, *taken_back, record=CURRENT)).reason is Reason.TOO_MANY_ORPHANS
    assert judge(seen(retiring, *taken_back, record=retiring)).reason is Reason.RECORD_ROLLED_BACK
    assert judge(seen(*taken_back)).reason is Reason.FIRST_ISSUE


def test_what_was_about_to_be_taken_back_is_no_orphan() -> None:
    """Its publisher has died, and a consumer may have read it; nor is it finished where it still is the record's."""
    unfinished = ours(8, age=HOUR, published=False)
    marker = Marker.parse(unfinished.comment)
    assert marker is not None
    taken_back = replace(unfinished, comment=marker.as_taken_back().comment())

    assert judge(seen(CURRENT, unfinished, record=CURRENT)).reason is Reason.ORPHAN
    assert judge(seen(CURRENT, taken_back, record=CURRENT)).reason is Reason.RECORD_ROLLED_BACK
    assert judge(seen(CURRENT, taken_back, record=taken_back)).reason is Reason.UNFINISHED


def test_what_retires_does_not_count_for_too_many() -> None:
    """It was replaced and not taken back, as where somebody rotates by hand soon after several rotations."""
    adopting, hand = replace(CREDENTIAL, adopt=True), foreign()
    retiring, lasting = [ours(serial, ends_in=end) for serial, end in ((8, -HOUR), (9, HOUR), (10, DAY))], ours(11)
    taken_back = [ours(serial) for serial in (12, 13, 14)]

    assert judge(seen(hand, *retiring, lasting, record=hand, credential=adopting)).reason is Reason.RECORD_ROLLED_BACK
    finding = judge(seen(hand, *retiring, lasting, *taken_back, record=hand, credential=adopting))
    assert finding.reason is Reason.TOO_MANY_ORPHANS
    assert finding.message.startswith("4 tokens were issued and are not published: ci@pve!ci-11-aaaaa, ")


def test_all_mirrors_that_are_behind_are_named() -> None:
    """In the order of the configuration."""
    third = Destination("file", "c", "file:c")
    credential = replace(MIRRORED, destinations=(*MIRRORED.destinations, third))
    finding = judge(seen(CURRENT, record=CURRENT, mirrors=[held(None), Unread("down")], credential=credential))

    assert finding.message == "file:b, file:c: not yet ci@pve!ci-7-aaaaa"


def test_a_predecessor_of_our_form_is_that_very_token_for_ever() -> None:
    """Such a name is never used twice, so its marker does not matter."""
    old, successor = foreign("other-4-aaaaa"), ours(1, after="other-4-aaaaa")

    assert judge(seen(old, successor, record=successor)).token == old
    assert judge(seen(old, ours(1), record=ours(1))).reason is Reason.UP_TO_DATE
    assert not View(seen(old)).is_adopted(old)


def test_what_one_token_alone_names_is_forgotten_with_it() -> None:
    """Unless it bears our marker, or has its end: then it is told, or ended, without anybody's word."""
    successor = ours(7, after="other-4-aaaaa", ends_in=-HOUR)
    lasting, ended = foreign("other-4-aaaaa"), foreign("other-4-aaaaa", expire=NOW + DAY)
    own = ours(8, after="ci-7-aaaaa", ends_in=-HOUR)
    record = ours(9, after="ci-8-aaaaa")

    assert View(seen(lasting, successor, record=record)).forgotten_with(successor) == (lasting,)
    assert View(seen(lasting, successor, record=record)).forgotten_with(lasting) == ()
    assert View(seen(ended, successor, record=record)).forgotten_with(successor) == ()
    assert View(seen(CURRENT, own, record=record)).forgotten_with(own) == ()
    assert judge(seen(lasting, successor, record, record=record)).token == lasting
    assert judge(seen(ended, successor, record, record=record)).token == successor


def test_a_marked_token_of_any_name_is_ours_when_it_ends_or_is_named() -> None:
    """What was adopted and retired outlives its successor; without an end nobody has retired it."""
    marker = Marker("tests", "ci", "r", NOW).as_published().comment()
    retired, living = foreign("hand", comment=marker, expire=NOW - HOUR), foreign("hand", comment=marker)

    assert judge(seen(retired, CURRENT, record=CURRENT)).reason is Reason.OVERLAP_PASSED
    assert judge(seen(living, CURRENT, record=CURRENT)).reason is Reason.UP_TO_DATE
    assert not View(seen(living)).is_adopted(living)
    assert View(seen(foreign())).is_adopted(foreign())


def test_what_is_gone_was_ours_if_it_has_our_form() -> None:
    """From the first serial on; the record of a name that people choose may be anybody's."""
    view = View(seen())

    assert not view.is_foreign(TokenId(USER, "ci-1-aaaaa"))
    assert view.is_foreign(TokenId(USER, "hand"))
    assert judge(seen(record=TokenId(USER, "hand"))).reason is Reason.NOT_ADOPTED


def test_in_place_only_the_pinned_token_is_ours() -> None:
    """Also beside one that bears our marker from before the strategy was changed."""
    assert set(View(seen(PINNED_TOKEN, CURRENT, credential=PINNED)).markers) == {PINNED_TOKEN.id}


def test_what_a_clock_issued_that_was_set_back_since_is_in_flight_no_longer_than_any_other() -> None:
    """A little later than now is what two nodes differ by; what is a year ahead would be waited for all that year."""
    ahead, far_ahead = (ours(8, age=-10 * MINUTE + by, published=False) for by in (INSTANT, timedelta()))
    view = View(seen(CURRENT, ahead, record=CURRENT))

    assert view.is_fresh(view.above[0])
    assert judge(seen(CURRENT, far_ahead, record=CURRENT)).reason is Reason.ORPHAN


def test_without_a_record_nothing_is_finished_and_the_first_serial_is_one() -> None:
    """An empty world."""
    assert not View(seen()).is_finished
    assert View(seen()).next_serial == 1


@pytest.mark.parametrize(
    ("tokens", "accepted", "is_dead"),
    [
        ((), None, True),
        ((ours(7, ends_in=-HOUR),), True, True),
        ((CURRENT,), False, True),
        ((CURRENT,), None, False),
        ((CURRENT,), True, False),
    ],
    ids=["gone", "expired", "refused", "unasked", "accepted"],
)
def test_what_is_published_is_dead_when_it_cannot_log_in(
    tokens: tuple[TokenState, ...], *, accepted: bool | None, is_dead: bool
) -> None:
    """Gone, expired, or with another secret; nothing else."""
    assert View(seen(*tokens, record=CURRENT, accepted=accepted)).current_is_dead is is_dead


def test_what_waits_for_a_window_is_told_with_its_opening() -> None:
    """Also a token of unknown age."""
    adopting = replace(CLOSED, adopt=True)

    assert judge(seen(foreign(), record=foreign(), credential=adopting)).until == NOW + 14 * HOUR


def test_at_a_glance_the_newest_published_token_counts_as_held_everywhere() -> None:
    """By the time of its issue; what is not marked published does not count, and with none there is no record."""
    old, new, unmarked = ours(9, age=DAY), ours(8), ours(10, age=timedelta(), published=False)
    user = UserState(USER, tokens=(old, new, unmarked, foreign()))
    glance = at_a_glance(MIRRORED, user, NOW)

    assert (glance.credential, glance.now, glance.tokens) == (MIRRORED, NOW, user.tokens)
    assert glance.destinations == (Held(Token(new.id, Secret(""))),) * 2
    assert at_a_glance(CREDENTIAL, UserState(USER, tokens=(unmarked,)), NOW).destinations == (Held(),)


def test_at_a_glance_an_expired_user_needs_a_closer_look_and_a_pinned_token_none() -> None:
    """The one has an end in the past, the other no serial."""
    user = UserState(USER, tokens=(CURRENT,), expire=NOW - SECOND)

    assert judge_at_a_glance(CREDENTIAL, user, NOW) is None
    assert judge_at_a_glance(CREDENTIAL, replace(user, expire=NOW), NOW) == judge(seen(CURRENT, record=CURRENT))
    assert judge_at_a_glance(PINNED, UserState(USER, tokens=(PINNED_TOKEN,)), NOW) == judge(
        seen(PINNED_TOKEN, record=PINNED_TOKEN, credential=PINNED), Request()
    )


def test_at_a_glance_a_predecessor_that_bears_no_marker_needs_a_closer_look() -> None:
    """It may be what was adopted and taken back; one that is marked, or of our form, or not named, tells nothing."""
    marked = foreign("hand", comment=Marker("tests", "ci", "r", NOW).as_published().comment(), expire=NOW + HOUR)
    formed = foreign("other-4-aaaaa", expire=NOW + HOUR)

    def glance(after: str, *tokens: TokenState) -> Reason | None:
        user = UserState(USER, tokens=(ours(7, after=after), *tokens))
        finding = judge_at_a_glance(CREDENTIAL, user, NOW)
        return finding.reason if finding else None

    assert glance("hand", foreign("hand")) is None
    assert glance("hand", marked) is Reason.UP_TO_DATE
    assert glance("other-4-aaaaa", formed) is Reason.UP_TO_DATE
    assert glance("other-4-aaaaa", foreign("hand")) is Reason.UP_TO_DATE
    assert glance("", foreign("hand")) is Reason.UP_TO_DATE


def test_what_cannot_be_read_is_no_record() -> None:
    """Nor is it an empty one; the policy decides nothing then."""
    assert View(replace(seen(), destinations=(Unread("down"),))).record is None


def test_an_observation_without_one_of_the_destinations_is_a_bug() -> None:
    """Nothing is decided on half of what there is."""
    observation = replace(seen(CURRENT, record=CURRENT, mirrors=[held(CURRENT)]), destinations=(held(CURRENT),))

    with pytest.raises(ValueError, match="shorter"):
        judge(observation)


def test_in_place_no_other_token_is_retired() -> None:
    """Not even one that the pinned token names as its predecessor, from when the strategy was another."""
    marker = Marker("tests", "ci", "r", NOW, "other-4-aaaaa", published=True)
    pinned, old = foreign("ci", comment=marker.comment()), foreign("other-4-aaaaa")

    assert judge(seen(pinned, old, record=pinned, credential=PINNED)).reason is Reason.UP_TO_DATE


def test_who_else_has_a_token_is_known_by_its_marker_or_its_id() -> None:
    """Another credential of this configuration and owner, or the operator; nobody, where PVE does not list it."""
    operator = foreign("operator")
    credential = replace(CREDENTIAL, siblings=frozenset({"ci", "other"}), operator=operator.id)

    def others(token: TokenState) -> str:
        return View(seen(token, credential=credential)).sibling(token.id)

    assert others(ours(9, credential="other")) == "the credential other"
    assert others(operator) == "the cluster's operator"
    assert [others(it) for it in (CURRENT, foreign(), ours(9, credential="third"))] == ["", "", ""]
    assert others(ours(9, credential="other", owner="somebody")) == ""
    assert View(seen(credential=credential)).sibling(foreign("gone").id) == ""
