"""Publish: the lock. Of any number of writers one wins, and what nobody answers is settled before anything else."""

from __future__ import annotations

from datetime import timedelta

from rotator.errors import ConflictError, ExitCode, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.testing.faulty_backend import After, Before, Operation, every, nth
from tests.world import World, comes_to_rest

STILL = "ci@pve!ci-1-10000 is still published"
UNSETTLED = "ci@pve!ci-2-10001 or ci@pve!ci-1-10000 is published, it is not known which; both are live"
SETTLED = {"ci-1": "marked"}
ROTATED = {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
UNKNOWN = OutcomeUnknownError("no answer from the store")


def test_a_publish_that_is_refused_deletes_the_new_token(w: World) -> None:
    """The store said no, so nobody has read it."""
    ci = w.due()
    w.fail_store(Operation.WRITE, RefusedError("read only", hint="make it writable"))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.message) == (ExitCode.FAILED, "due", "read only")
    assert (result.hint, result.live, w.standing()) == ("make it writable", STILL, SETTLED)
    assert w.steps()[-2:] == ["publish!failed", "revoke"]
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


def test_the_loser_of_a_publish_deletes_only_its_own_token(w: World) -> None:
    """Then it observes again, and finishes what the winner has not done yet."""
    ci = w.due()
    w.meanwhile(Operation.WRITE, lambda: w.replace_record(2))
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("not-retired",))
    assert w.steps()[-3:] == ["publish!failed", "revoke", "retire"]
    assert w.tokens() == ["ci-1-10000", "ci-2-10002"]
    assert w.published() == "ci-2"
    assert w.standing() == ROTATED
    assert any("was changed by somebody else in between; looking again" in event.message for event in w.events)
    assert comes_to_rest(w, ci) == "ci-2"


def test_who_decided_on_an_older_record_loses_too(w: World) -> None:
    """However long ago the other one has published: what was observed counts, and not what is there by then."""
    ci = w.due()
    w.traffic.watchers.append(lambda it: w.supplant(2) if it.method == "POST" else None)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("not-retired",), "ci-2")
    assert w.standing() == ROTATED


def test_a_forced_loser_goes_on_until_it_wins(w: World) -> None:
    """What was asked for was a token of this run's own."""
    ci = w.settled()
    w.meanwhile(Operation.WRITE, lambda: w.replace_record(2))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.done, w.published()) == (0, ("forced", "not-retired"), "ci-3")
    assert comes_to_rest(w, ci) == "ci-3"


def test_a_foreign_key_that_changes_in_between_is_not_overwritten(w: World) -> None:
    """The version counts, not the keys: the loser starts over and keeps what was written."""
    ci = w.due()
    w.meanwhile(Operation.WRITE, lambda: w.write({**w.read(), "note": "changed"}))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert comes_to_rest(w, ci, note="changed") == "ci-2"


def test_a_write_that_was_lost_is_written_again(w: World) -> None:
    """No answer, before the effect: the same compare-and-set succeeds."""
    ci = w.due()
    w.spoil(Before(nth(Operation.WRITE, 1, 2), UNKNOWN))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert [call for call, _ in w.store.calls].count("write") == 3


def test_a_write_whose_answer_was_lost_is_settled_by_reading(w: World) -> None:
    """No answer, after the effect: the repeat meets a conflict, and the record is ours."""
    ci = w.due()
    w.spoil(After(nth(Operation.WRITE, 1), UNKNOWN))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert [call for call, _ in w.store.calls].count("write") == 2
    assert w.works()


def test_a_lost_write_that_somebody_else_overtook_deletes_nothing(w: World) -> None:
    """It may have been published for a moment, so its token is retired by a later rule and not deleted."""
    ci = w.due()
    w.meanwhile(Operation.WRITE, lambda: w.replace_record(3))
    w.store.plan.insert(0, Before(nth(Operation.WRITE, 1), UNKNOWN))
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("not-retired", "not-retired"))
    assert "revoke" not in w.steps()
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


def test_a_conflict_that_cannot_be_looked_into_is_tried_again(w: World) -> None:
    """After an unanswered try, a conflict says nothing until the record was read."""
    ci = w.due()
    w.spoil(After(nth(Operation.WRITE, 1), UNKNOWN), Before(nth(Operation.READ, 2, 3), UnavailableError("away")))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)


def test_a_store_that_goes_away_after_an_unanswered_try_is_waited_for(w: World) -> None:
    """A clear answer to the repeat does not tell what became of the first try."""
    ci = w.due()
    w.spoil(
        After(nth(Operation.WRITE, 1), UNKNOWN),
        Before(nth(Operation.WRITE, 2, 3), UnavailableError("connection refused")),
    )
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)


def test_a_write_that_never_happened_and_never_answered_leaves_an_orphan(w: World) -> None:
    """Both tokens stay valid; later the orphan is fenced, then deleted."""
    ci = w.due()
    w.spoil(Before(every(Operation.WRITE), UNKNOWN))
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "due")
    assert result.message.endswith("ci.json does not say whether ci@pve!ci-2-10001 was written")
    assert result.live == UNSETTLED
    assert result.hint == "both tokens stay valid; run `rotate due` when the store answers again"
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    w.spoil()
    assert w.run(ci).exit_code == ExitCode.IN_FLIGHT
    w.clock.pass_by(timedelta(minutes=10))
    assert w.run(ci).done == ("orphan", "due")
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_write_that_happened_and_never_answered_is_finished_later(w: World) -> None:
    """The store has gone away altogether, so nothing can be read; the next run finds the record and goes on."""
    ci = w.due()
    w.spoil(After(every(Operation.WRITE), UNKNOWN), Before(nth(Operation.READ, 2, 99), UnavailableError("away")))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", UNSETTLED)
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    assert w.works()
    w.spoil()
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("unfinished", "not-retired"), ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_first_write_without_an_answer_is_told_as_what_it_is(w: World) -> None:
    """There is no other token that consumers could be reading."""
    w.spoil(After(every(Operation.WRITE), UNKNOWN), Before(nth(Operation.READ, 2, 99), UnavailableError("away")))
    result = w.run(w.credential())
    assert (result.exit_code, result.live) == (ExitCode.FAILED, "ci@pve!ci-1-10000 is live, and may be published")
    assert w.works()


def test_a_fence_without_an_answer_deletes_nothing(w: World) -> None:
    """An orphan whose maker may still publish it is no orphan yet."""
    ci = w.settled()
    w.plant(2, ago=timedelta(hours=1))
    w.spoil(Before(nth(Operation.WRITE, 1), UNKNOWN))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.message) == (ExitCode.FAILED, "orphan", "no answer from the store")
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    assert comes_to_rest(w, ci) == "ci-1"


def test_a_world_that_somebody_always_changes_is_given_up(w: World) -> None:
    """After twenty acts it is said so, instead of going on for ever; each lost token was deleted."""
    ci = w.due()
    w.fail_store(Operation.WRITE, ConflictError("changed"))
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "due")
    assert result.message.startswith("it does not come to rest, somebody undoes what is done here: ")
    assert f"{ci.primary.label} and ci@pve were looked at 20 times" in result.message
    assert (result.step, result.live, bool(result.hint)) == ("observe", STILL, True)
    assert w.standing() == SETTLED
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"
