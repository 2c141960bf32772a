"""How a run of one credential ends, to the last field of its result: what mutants have to get past.

``tests/scenario`` shows the same over TLS, and what else it means; here a rotation takes some milliseconds.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from rotator.errors import (
    ConflictError,
    ExitCode,
    OutcomeUnknownError,
)
from rotator.marker import RANDOM_ALPHABET, RANDOM_LENGTH
from rotator.model import Request, Strategy
from rotator.policy import Finding, Reason
from rotator.rotate import MOST_ACTS, Result, Run, draw_name, exit_code_of
from tests.explore.calls import AWAY, FIRST, FIRST_PUT, LIST, SECOND, SECOND_PUT, STILL, Calls, failed, told
from tests.explore.world import MINUTE, NOTE, World

UNTIL = datetime(2026, 3, 30, 12, 51, 21, 976846, UTC)


# nothing is left to do


def test_a_rotation_is_told_to_the_last_field(w: World, calls: Calls) -> None:
    """What was done, what is published, and until when nothing is to do; one look is enough to know it."""
    ci = w.first()
    message = f"{FIRST} is current; next change 2026-03-30 12:51:21Z"
    done = Result("ci", "home", ExitCode.DONE, "up-to-date", message, token=FIRST, until=UNTIL, done=("first-issue",))
    assert w.run(ci, guard=calls) == done
    assert calls.labels.count("read ci.json") == 2, "the observation and the confirmation"
    assert told(w)[0] == ("decide", "done", "first-issue", "memory:ci.json holds no token yet", "")
    assert {it.reason for it in w.events} == {"first-issue"}
    assert {(it.credential, it.cluster) for it in w.events} == {("ci", "home")}


def test_all_events_of_an_act_bear_its_own_number(w: World) -> None:
    """What was decided before it has none; twelve hexadecimal digits, others each time."""
    ci = w.first()
    numbers: list[str] = []
    for _ in range(2):
        w.events.clear()
        w.run(ci, forced=True)
        first, *others = (it.rotation for it in w.events)
        assert first == ""
        numbers += {*others}
    assert len(numbers) == len(set(numbers)) == 2
    assert all(len(it) == 12 and set(it) <= set("0123456789abcdef") for it in numbers)


def test_a_run_that_finds_nothing_to_do_says_so_and_looks_once(w: World, calls: Calls) -> None:
    """Two calls after the list of users, and none of them changes anything."""
    ci = w.settled()
    w.events.clear()
    message = f"{FIRST} is current; next change 2026-03-30 12:51:21Z"
    assert w.run(ci, guard=calls) == Result(
        "ci", "home", ExitCode.DONE, "up-to-date", message, token=FIRST, until=UNTIL
    )
    assert calls.labels == ["GET /access/users", "read ci.json", LIST]
    assert told(w) == [("decide", "nothing", "up-to-date", message, "")]


def test_more_than_one_act_is_done_in_one_run(w: World) -> None:
    """In the order of their urgency, each with its reason."""
    result = w.run(w.orphaned())
    assert (result.reason, result.done) == ("up-to-date", ("orphan", "overlap-passed"))


def test_after_tidying_up_no_look_is_needed(w: World, calls: Calls) -> None:
    """What the record holds was read before, and PVE has listed the tokens and deleted one."""
    result = w.run(w.orphaned(), guard=calls)
    assert calls.labels[-1].startswith(f"{LIST}/ci-1-")
    assert result.reason == "up-to-date"


def test_a_mirror_that_was_seen_to_lack_the_token_is_written_after_tidying_up(w: World) -> None:
    """PVE's list does not tell it, and the next run would not read it any more."""
    ci = w.settled(mirrors=1)
    w.run(ci, forced=True)
    w.clock.pass_by(ci.overlap + MINUTE)
    w.store.put("mirror-1.json", NOTE)
    result = w.run(ci)
    assert (result.reason, result.done) == ("up-to-date", ("overlap-passed", "unfinished"))
    assert w.works("mirror-1.json")


def test_a_mirror_that_was_not_seen_keeps_nobody_after_tidying_up(w: World, calls: Calls) -> None:
    """What it holds is not known, and it will be written with the next rotation."""
    ci = w.settled(mirrors=1)
    w.run(ci, forced=True)
    w.clock.pass_by(ci.overlap + MINUTE)
    result = w.run(ci, guard=calls.fail("read mirror-1.json", AWAY))
    assert (result.reason, result.done) == ("up-to-date", ("overlap-passed",))


def test_what_an_act_has_mended_is_not_looked_at_again(w: World, calls: Calls) -> None:
    """A mirror was written and read back; whether by a rotation or after one."""
    ci = w.settled(mirrors=1)
    w.store.put("mirror-1.json", NOTE)
    assert w.run(ci, guard=calls).done == ("unfinished",)
    assert calls.labels[-1] == "read mirror-1.json"
    w.store.put("mirror-1.json", NOTE)
    assert w.run(ci, guard=calls, forced=True).done == ("forced",)
    assert calls.labels[-1] == FIRST_PUT


def test_after_tidying_up_without_a_record_it_is_filled(w: World) -> None:
    """PVE's list does not tell that nothing is published."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.clock.pass_by(ci.overlap + MINUTE)
    w.store.put("ci.json", NOTE)
    result = w.run(ci)
    assert result.done[:2] == ("overlap-passed", "first-issue")
    assert w.works()


def test_after_a_wish_the_whole_world_is_looked_at(w: World, calls: Calls) -> None:
    """The short look knows nothing of wishes; it does after a forced rotation, whose wish is fulfilled."""
    ci = w.settled()
    w.run(ci, guard=calls, forced=True)
    assert calls.labels[-2:] == [LIST, FIRST_PUT]
    result = w.run(ci, guard=calls, forced=True, overlap=MINUTE)
    assert result.done == ("forced", "not-retired"), "the one before the last is to end as soon"
    assert calls.labels[-4:] == [LIST, FIRST_PUT, "read ci.json", LIST]


def test_a_paused_credential_is_done(w: World) -> None:
    """That is no failure."""
    result = w.run(replace(w.due(), paused=True))
    assert result == Result("ci", "home", ExitCode.DONE, "paused", "paused in the configuration")


def test_a_rotation_in_flight_is_told_apart_from_a_failure(w: World) -> None:
    """With the token that somebody may be at, and when it will be anybody's."""
    ci = w.settled()
    fresh = w.plant(2)
    result = w.run(ci)
    until = w.clock.now() + ci.in_flight
    assert (result.exit_code, result.reason, result.live, result.done) == (6, "rotation-in-flight", "", ())
    assert (result.token, result.until) == (str(fresh.id), until)
    assert result.hint.startswith("wait until 2026-03-01 ")


# a person is needed


def test_a_record_that_cannot_be_read_is_told_with_what_is_known(w: World, calls: Calls) -> None:
    """Which is nothing."""
    ci = w.due()
    w.events.clear()
    live = "nothing was touched; what memory:ci.json holds is not known"
    message = "memory:ci.json: the store is away"
    result = w.run(ci, guard=calls.fail("read ci.json", AWAY))
    assert result == failed("record-unreadable", message, hint="wait", live=live)
    assert told(w) == [("decide", "failed", "record-unreadable", message, "wait")]


def test_a_foreign_token_is_still_published(w: World) -> None:
    """Nothing was done to it, and it logs in."""
    ci = w.first()
    w.by_hand(ci)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (
        ExitCode.FAILED,
        "not-adopted",
        "ci@pve!hand is still published",
    )
    assert result.hint == "to take it over: rotate adopt ci, or set `adopt: true`"


def test_a_foreign_token_that_is_gone_locks_out(w: World) -> None:
    """A person is needed, and soon."""
    ci = w.first()
    w.by_hand(ci)
    w.set_user(ci.userid, tokens={})
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (
        ExitCode.LOCKED_OUT,
        "not-adopted",
        "ci@pve!hand is still published and does not log in",
    )


def test_a_disabled_user_locks_out_who_reads_its_record(w: World) -> None:
    """The gravest exit code, and the words for it."""
    ci = w.settled()
    w.set_user(ci.userid, enable=False)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (
        ExitCode.LOCKED_OUT,
        "user-disabled",
        f"{STILL} and does not log in",
    )
    assert (result.token, result.hint) == (FIRST, "pveum user modify ci@pve --enable 1 --expire 0")


def test_a_disabled_user_without_a_record_locks_out_nobody(w: World) -> None:
    """Nobody reads a token."""
    ci = w.first()
    w.set_user(ci.userid, enable=False)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (
        ExitCode.FAILED,
        "user-disabled",
        "no token of this credential is published",
    )


def test_exit_codes_follow_from_what_was_found(w: World) -> None:
    """A finding about a token locks nobody out but where the user is disabled."""
    w.settled()
    state = w.ports().pve.tokens(w.userid)[0]
    codes = {reason: exit_code_of(Finding(reason, "", state)) for reason in Reason}
    assert {it for it in codes if codes[it] == ExitCode.LOCKED_OUT} == {Reason.USER_DISABLED}
    assert {it for it in codes if codes[it] == ExitCode.IN_FLIGHT} == {Reason.ROTATION_IN_FLIGHT}
    assert {it.value for it in codes if codes[it] == ExitCode.FAILED} == {
        "record-unreadable",
        "not-adopted",
        "other-token",
        "too-many-orphans",
    }


# a run ends before it is done


def test_what_is_left_is_told_when_no_more_is_to_be_begun(w: World) -> None:
    """The first act is always done; a run that has nothing left is not interrupted."""
    ci = w.orphaned()
    ports = replace(w.ports(), goes_on=lambda: False)
    result = Run(ci, ports, Request()).until_rest()
    token = next(name for name in w.user(ci).tokens if name.startswith("ci-1-"))
    assert (result.exit_code, result.reason, result.done) == (ExitCode.FAILED, "interrupted", ("orphan",))
    assert result.message.startswith(f"interrupted; left to do: the overlap of ci@pve!{token} ended at ")
    assert (result.token, result.credential, result.live) == (f"ci@pve!{token}", "ci", "")
    assert Run(ci, replace(ports, draw=w.draw), Request()).until_rest().done == ("overlap-passed",)


def test_a_world_that_somebody_always_changes_is_given_up(w: World, calls: Calls) -> None:
    """Twenty times, each without a trace; what is done then is for a person to find out."""
    ci = w.due()
    w.events.clear()
    calls.fail("write ci.json", ConflictError("changed"))
    assert w.run(ci, guard=calls) == failed(
        "due",
        "it does not come to rest, somebody undoes what is done here: memory:ci.json and ci@pve were looked at "
        "20 times",
        hint="look for another installation of the same owner, or a store that gives back what it held long ago; "
        "the events of this run tell what was done",
        step="observe",
        live=STILL,
    )
    assert sum(it.startswith("POST") for it in calls.labels) == MOST_ACTS == 20
    assert w.standing(ci) == {"ci-1-10000": "marked"}
    lost = "memory:ci.json was changed by somebody else in between; looking again"
    assert told(w).count(("observe", "nothing", "due", lost, "")) == 20


def test_who_has_lost_looks_again_and_wins(w: World, calls: Calls) -> None:
    """What was issued in vain is deleted, and the run does its work."""
    ci = w.due()
    result = w.run(ci, guard=calls.fail("write ci.json", ConflictError("changed"), times=1))
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ("due",))
    assert w.standing(ci) == {"ci-1-10000": "marked", "ci-2-10002": "marked"}


# what each step was given


def test_a_node_that_does_not_answer_is_noted(w: World, calls: Calls) -> None:
    """A result says on which nodes a deleted token is not known to be gone, whatever came of the run."""
    ci = w.settled()
    calls.fail("GET /access/users/ci@pve/token/ci-1-10000", AWAY)
    note = f"{FIRST}: no answer from {w.pve.nodes[0].name}"
    result = w.run(ci, guard=calls, forced=True, compromised=True)
    assert (result.exit_code, result.done, result.notes) == (0, ("forced",), (note,))


def test_notes_of_all_acts_are_told(w: World, calls: Calls) -> None:
    """In the order of the acts."""
    ci = w.orphaned()
    kept = str(w.token().id)
    names = {f"ci@pve!{it}" for it in w.user(ci).tokens} - {kept}
    for name in names:
        calls.fail(f"GET /access/users/ci@pve/token/{name.partition('!')[2]}", AWAY)
    result = w.run(ci, guard=calls)
    orphan, old = sorted(names, reverse=True)
    assert result.done == ("orphan", "overlap-passed")
    assert result.notes == tuple(f"{it}: no answer from {w.pve.nodes[0].name}" for it in (orphan, old))


def test_a_note_is_told_with_a_failure_too(w: World, calls: Calls) -> None:
    """What was noted before stays noted."""
    ci = w.settled()
    calls.fail("GET /access/users/ci@pve/token/ci-1-10000", AWAY).fail(SECOND_PUT, AWAY)
    result = w.run(ci, guard=calls, forced=True, compromised=True)
    assert (result.step, result.notes) == ("mark", (f"{FIRST}: no answer from {w.pve.nodes[0].name}",))


def test_a_user_with_an_adopted_token_gets_one_of_ours(w: World, calls: Calls) -> None:
    """The one that was made by hand is retired before its successor is marked."""
    result = w.run(w.adopted(), guard=calls)
    assert (result.exit_code, result.done) == (0, ("adopt",))
    assert calls.changes[-2:] == [
        "PUT /access/users/ci@pve/token/hand",
        "PUT /access/users/ci@pve/token/ci-1-10000",
    ]


def test_a_pinned_token_is_made_where_there_is_none(w: World, calls: Calls) -> None:
    """With its roles, and without a number."""
    ci = w.first(strategy=Strategy.REGENERATE, overlap=timedelta())
    assert w.run(ci, guard=calls).done == ("first-issue",)
    assert calls.changes[:2] == ["POST /access/users/ci@pve/token/ci", "PUT /access/acl"]
    assert w.works()


def test_a_rotation_that_was_left_after_publishing_is_finished(w: World, calls: Calls) -> None:
    """It is fenced, marked as it is, and the predecessor ends."""
    ci = w.due()
    assert w.run(ci, guard=Calls().fail(SECOND_PUT, AWAY)).step == "mark"
    result = w.run(ci, guard=calls)
    assert (result.exit_code, result.done) == (0, ("unfinished", "not-retired"))
    assert calls.changes == ["write ci.json", SECOND_PUT, FIRST_PUT]


def test_the_operator_goes_on_with_its_new_token(w: World, calls: Calls) -> None:
    """It is used as soon as it is confirmed."""
    ci = w.operators_own()
    result = w.run(ci, guard=calls)
    assert (result.exit_code, result.done) == (0, ("overlap-passed", "due"))
    assert w.works("op.json")


def test_an_answer_that_is_lost_is_told_with_both_tokens(w: World, calls: Calls) -> None:
    """The store does not say which one it holds."""
    ci = w.due()
    calls.fail("write ci.json", OutcomeUnknownError("no answer"))
    result = w.run(ci, guard=calls)
    live = f"{SECOND} or {FIRST} is published, it is not known which; both are live"
    assert (result.exit_code, result.step, result.live) == (ExitCode.FAILED, "publish", live)


def test_the_random_part_of_a_name_is_drawn_from_all_letters_and_digits() -> None:
    """So that no name is ever used twice."""
    drawn = [draw_name() for _ in range(200)]
    assert {len(it) for it in drawn} == {RANDOM_LENGTH}
    assert set("".join(drawn)) == set(RANDOM_ALPHABET)
    assert len(set(drawn)) > len(drawn) - 5
