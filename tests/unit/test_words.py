"""What people read of each finding: the words, the token, the time and the advice, all of them to the letter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.model import Observation, Request, Strategy, TokenId, Unread, UserState
from rotator.policy import Finding, Reason, judge, judge_at_a_glance
from rotator.view import at
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MINUTE, NOW, USER, foreign, held, ours, seen

CURRENT, OLD, DEAD = ours(7), ours(6), ours(7, ends_in=-HOUR)
YOUNG, LEFT, NEWER = ours(8, age=MINUTE, published=False), ours(8, published=False), ours(8)
PASSED, UNMARKED, DUE, EXPIRING = (
    ours(6, ends_in=-HOUR),
    ours(7, published=False),
    ours(7, age=40 * DAY),
    ours(7, ends_in=HOUR),
)
LEFTOVERS = [ours(serial, published=False) for serial in (8, 9, 10, 11)]
PINNED = replace(CREDENTIAL, strategy=Strategy.REGENERATE)
ANOTHERS = (
    "set `user:` (and with `strategy: regenerate` also `base:`) to that token's, or give this credential a "
    "destination of its own"
)
ADOPTING = "to take it over: rotate adopt ci, or set `adopt: true`"
SECOND = timedelta(seconds=1)
OLD_ENDING = ours(6, ends_in=2 * HOUR)
KEYLESS = replace(held(CURRENT), is_complete=False)

FINDINGS = [
    (
        seen(credential=replace(CREDENTIAL, paused=True)),
        Finding(Reason.PAUSED, "paused in the configuration"),
    ),
    (
        replace(seen(), destinations=(Unread("file:a: permission denied", "look"),)),
        Finding(Reason.RECORD_UNREADABLE, "file:a: permission denied", hint="look"),
    ),
    (
        seen(record=TokenId("other@pve", "ci-1-aaaaa")),
        Finding(
            Reason.OTHER_TOKEN,
            "file:a holds other@pve!ci-1-aaaaa, this credential is about ci@pve!ci-1-aaaaa",
            hint=ANOTHERS,
        ),
    ),
    (
        seen(foreign(), record=foreign(), credential=PINNED),
        Finding(Reason.OTHER_TOKEN, "file:a holds ci@pve!hand, this credential is about ci@pve!ci", hint=ANOTHERS),
    ),
    (
        seen(foreign(), record=foreign()),
        Finding(Reason.NOT_ADOPTED, "file:a holds ci@pve!hand, which this credential did not issue", hint=ADOPTING),
    ),
    (
        seen(foreign(), CURRENT, record=CURRENT, mirrors=[held(foreign())]),
        Finding(Reason.NOT_ADOPTED, "file:b holds ci@pve!hand, which this credential did not issue", hint=ADOPTING),
    ),
    (
        seen(foreign("ci"), credential=PINNED),
        Finding(Reason.NOT_ADOPTED, "PVE has ci@pve!ci, which this credential did not issue", hint=ADOPTING),
    ),
    (
        seen(CURRENT, record=CURRENT, user_usable=False),
        Finding(
            Reason.USER_DISABLED,
            "ci@pve is disabled or has expired at PVE: no token of it can log in",
            CURRENT,
            hint="pveum user modify ci@pve --enable 1 --expire 0",
        ),
    ),
    (
        seen(record=CURRENT),
        Finding(Reason.PUBLISHED_TOKEN_DEAD, "ci@pve!ci-7-aaaaa is published and does not exist at PVE"),
    ),
    (
        seen(DEAD, record=DEAD),
        Finding(Reason.PUBLISHED_TOKEN_DEAD, "ci@pve!ci-7-aaaaa is published and expired at 2026-03-01 11:00:00Z"),
    ),
    (
        seen(CURRENT, record=CURRENT, accepted=False),
        Finding(Reason.PUBLISHED_TOKEN_DEAD, "ci@pve!ci-7-aaaaa is published with a secret that PVE does not accept"),
    ),
    (
        seen(CURRENT, YOUNG, record=CURRENT),
        Finding(
            Reason.ROTATION_IN_FLIGHT,
            "ci@pve!ci-8-aaaaa was issued at 2026-03-01 11:59:00Z and is not published: a rotation may be under way",
            YOUNG,
            NOW + 9 * MINUTE,
            "wait until 2026-03-01 12:09:00Z, or, if no other run is alive: rotate now ci",
        ),
    ),
    (
        seen(CURRENT, *LEFTOVERS, record=CURRENT),
        Finding(
            Reason.TOO_MANY_ORPHANS,
            "4 tokens were issued and are not published: "
            "ci@pve!ci-8-aaaaa, ci@pve!ci-9-aaaaa, ci@pve!ci-10-aaaaa, ci@pve!ci-11-aaaaa",
            hint="something goes on failing between issue and confirm; find it in the log, delete these tokens, "
            "run again",
        ),
    ),
    (
        seen(ours(7, ends_in=DAY), NEWER, record=CURRENT),
        Finding(
            Reason.RECORD_ROLLED_BACK,
            "file:a holds ci@pve!ci-7-aaaaa although ci@pve!ci-8-aaaaa was published later: "
            "an older state was put back",
            NEWER,
        ),
    ),
    (
        seen(CURRENT, LEFT, record=CURRENT),
        Finding(Reason.ORPHAN, "ci@pve!ci-8-aaaaa was issued at 2026-03-01 11:00:00Z and never published", LEFT),
    ),
    (
        seen(EXPIRING, record=EXPIRING),
        Finding(Reason.EXPIRING, "ci@pve!ci-7-aaaaa expires at 2026-03-01 13:00:00Z"),
    ),
    (
        seen(PASSED, CURRENT, record=CURRENT),
        Finding(Reason.OVERLAP_PASSED, "the overlap of ci@pve!ci-6-aaaaa ended at 2026-03-01 11:00:00Z", PASSED),
    ),
    (
        seen(CURRENT, record=CURRENT, mirrors=[held(None)]),
        Finding(Reason.UNFINISHED, "file:b: not yet ci@pve!ci-7-aaaaa", CURRENT),
    ),
    (
        replace(seen(CURRENT), destinations=(KEYLESS,)),
        Finding(Reason.UNFINISHED, "not every key of file:a shows ci@pve!ci-7-aaaaa as configured", CURRENT),
    ),
    (
        seen(UNMARKED, record=UNMARKED),
        Finding(Reason.UNFINISHED, "ci@pve!ci-7-aaaaa is published and not yet confirmed", UNMARKED),
    ),
    (
        seen(OLD, CURRENT, record=CURRENT),
        Finding(Reason.NOT_RETIRED, "ci@pve!ci-6-aaaaa was replaced by ci@pve!ci-7-aaaaa and has no end yet", OLD),
    ),
    (seen(), Finding(Reason.FIRST_ISSUE, "file:a holds no token yet")),
    (
        seen(foreign(), record=foreign(), credential=replace(CREDENTIAL, adopt=True)),
        Finding(Reason.ADOPT, "ci@pve!hand was made by somebody else; its age is unknown"),
    ),
    (
        seen(DUE, record=DUE),
        Finding(Reason.DUE, "issued at 2026-01-20 12:00:00Z, to be replaced every 30d"),
    ),
]


@pytest.mark.parametrize(("observation", "finding"), FINDINGS, ids=[it.message for _, it in FINDINGS])
def test_a_finding_is_told_in_these_words(observation: Observation, finding: Finding) -> None:
    """People search for them, and scripts for the rest."""
    assert judge(observation) == finding


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        (Request(forced=True), "asked for"),
        (Request(forced=True, compromised=True), "asked for: the token is compromised"),
    ],
)
def test_what_was_asked_for_is_told_as_such(wish: Request, message: str) -> None:
    """A leak is named, so that the log tells why."""
    assert judge(seen(CURRENT, record=CURRENT), wish) == Finding(Reason.FORCED, message)


def test_every_reason_has_its_words_here() -> None:
    """A new check comes with what it says."""
    elsewhere = {Reason.FORCED, Reason.UP_TO_DATE}
    assert {finding.reason for _, finding in FINDINGS} | elsewhere == set(Reason)


def test_rest_is_told_with_the_next_change_if_there_is_one() -> None:
    """The token is named, and when to look again; what waits for a window that never opens has no time."""
    finding = judge(seen(OLD_ENDING, CURRENT, record=CURRENT))
    assert finding == Finding(
        Reason.UP_TO_DATE,
        "ci@pve!ci-7-aaaaa is current; next change 2026-03-01 14:00:02Z",
        CURRENT,
        NOW + 2 * HOUR + 2 * SECOND,
    )
    user = UserState(USER, tokens=(OLD_ENDING, CURRENT))
    assert judge_at_a_glance(CREDENTIAL, user, NOW) == finding
    paused = replace(CREDENTIAL, paused=True)
    assert judge_at_a_glance(paused, user, NOW) == Finding(Reason.PAUSED, "paused in the configuration")


def test_a_time_is_told_to_the_second_and_no_time_as_never() -> None:
    """In UTC, as PVE's log has it."""
    assert (at(NOW), at(None)) == ("2026-03-01 12:00:00Z", "never")
