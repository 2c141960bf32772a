"""What a run of one credential tells of what has failed, and what it does then: what mutants have to get past."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rotator.errors import (
    ExitCode,
    LockedOutError,
    OutcomeUnknownError,
    RefusedError,
    UnavailableError,
    UnreachableError,
)
from rotator.model import Credential, Request
from rotator.rotate import Result, Run, together
from tests.explore.calls import AWAY, FIRST, LIST, SECOND, SECOND_PUT, STILL, Calls, failed, told
from tests.explore.world import KIND, MINUTE, Guarded, World

# something fails


def test_a_failure_before_publishing_leaves_nothing(w: World, calls: Calls) -> None:
    """The step that failed, its words, and what is live."""
    ci = w.due()
    result = w.run(ci, guard=calls.fail("write ci.json", AWAY))
    assert result == failed("due", "the store is away", hint="wait", step="publish", live=STILL)
    assert w.standing(ci) == {"ci-1-10000": "marked"}


def test_a_failure_after_an_act_tells_what_was_done(w: World, calls: Calls) -> None:
    """Reasons of the acts that were finished, and what is live by the last one."""
    ci = w.due()
    w.events.clear()
    result = w.run(ci, guard=calls.fail(LIST, AWAY, number=2), forced=True, overlap=MINUTE)
    live = f"{SECOND} is published; {FIRST} is still live"
    assert result == failed("forced", "the store is away", hint="wait", step="observe", live=live, done=("forced",))
    assert told(w)[-1] == ("observe", "failed", "", "the store is away", "wait")


def test_a_first_look_that_fails_has_touched_nothing(w: World, calls: Calls) -> None:
    """There is no act yet whose reason could be told."""
    ci = w.orphaned()
    w.events.clear()
    result = w.run(ci, guard=calls.fail(LIST, AWAY))
    assert result == failed("failed", "the store is away", hint="wait", step="observe", live="nothing was touched")
    assert told(w) == [("observe", "failed", "", "the store is away", "wait")]
    assert [(it.credential, it.cluster, it.rotation) for it in w.events] == [("ci", "home", "")]


def test_a_cluster_that_nobody_reaches_is_a_reason_of_its_own(w: World, calls: Calls) -> None:
    """Whatever the run was at."""
    ci = w.due()
    result = w.run(ci, guard=calls.fail("PUT /access/acl", UnreachableError("home: no answer")))
    assert result == failed("cluster-unreachable", "home: no answer", step="grant", live=STILL)


def test_a_token_that_is_dead_and_not_replaced_locks_out(w: World, calls: Calls) -> None:
    """A failure of any kind is grave where consumers read what does not log in."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    result = w.run(ci, guard=calls.fail("write ci.json", AWAY))
    assert result == replace(
        failed("published-token-dead", "the store is away", hint="wait", step="publish"),
        exit_code=ExitCode.LOCKED_OUT,
        live=f"{STILL} and does not log in",
    )


def test_a_dead_token_that_somebody_replaces_meanwhile_is_no_failure(w: World, calls: Calls) -> None:
    """Who fails looks whether somebody else was faster."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    calls.before("PUT /access/acl", lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls.fail("PUT /access/acl", AWAY, times=1))
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())


def test_a_dead_token_that_somebody_replaces_before_anything_is_issued_is_no_failure(w: World, calls: Calls) -> None:
    """Nor where nothing was begun yet."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    calls.before("preflight ci.json", lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls.fail("preflight ci.json", AWAY, times=1))
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())


def test_a_dead_token_whose_successor_may_be_written_is_told_as_that(w: World, calls: Calls) -> None:
    """A record that changes then may well be ours."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    calls.before("write ci.json", lambda: w.store.put("ci.json", w.read()), times=1)
    result = w.run(ci, guard=calls.fail("write ci.json", OutcomeUnknownError("no answer")))
    assert (result.exit_code, result.reason, result.step) == (ExitCode.LOCKED_OUT, "published-token-dead", "publish")
    assert result.live == f"{SECOND} is live, and may be published"


def test_a_failure_is_told_though_somebody_was_faster_where_the_old_token_lives(w: World, calls: Calls) -> None:
    """Nobody is locked out, and what fails is to be known."""
    ci = w.due()
    calls.before("PUT /access/acl", lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls.fail("PUT /access/acl", AWAY, times=1))
    assert (result.exit_code, result.reason, result.step) == (ExitCode.FAILED, "due", "grant")


def test_whose_new_token_somebody_faster_has_ended_has_lost(w: World, calls: Calls) -> None:
    """Its consumers read the other one; a refusal of what is gone is no failure."""
    ci = w.due()
    calls.before("PUT /access/acl", lambda: w.run(ci, forced=True, compromised=True), times=1)
    result = w.run(ci, guard=calls)
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())
    assert len(w.user(ci).tokens) == 1


def test_a_failure_after_publishing_a_dead_ones_successor_is_not_looked_at_again(w: World, calls: Calls) -> None:
    """It was written: whatever the record holds then is told as it is."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    result = w.run(ci, guard=calls.fail(SECOND_PUT, AWAY))
    assert result == failed("published-token-dead", "the store is away", hint="wait", step="mark", live=result.live)
    assert result.live == f"{SECOND} is published"
    assert calls.labels[-1] == SECOND_PUT


def test_what_nobody_thought_of_is_raised_and_leaves_no_token(w: World, calls: Calls) -> None:
    """It goes on to whoever turns it into a result for all credentials alike."""
    ci = w.due()
    with pytest.raises(ZeroDivisionError):
        w.run(ci, guard=calls.fail("PUT /access/acl", ZeroDivisionError()))
    assert w.standing(ci) == {"ci-1-10000": "marked"}


def test_what_nobody_thought_of_is_not_made_one_of_our_errors(w: World, calls: Calls) -> None:
    """Neither where consumers read a dead token, nor where a secret was replaced in place."""
    ci = w.pinned()
    with pytest.raises(ZeroDivisionError):
        w.run(ci, guard=calls.fail("write ci.json", ZeroDivisionError()))
    with pytest.raises(ZeroDivisionError):
        w.run(ci, guard=Calls().fail("PUT /access/users/ci@pve/token/ci", ZeroDivisionError()))


# in place


def test_a_new_secret_that_is_not_stored_locks_out(w: World, calls: Calls) -> None:
    """The old one is dead: it must be run again at once."""
    ci = w.pinned()
    assert w.run(ci, guard=calls.fail("write ci.json", AWAY)) == Result(
        "ci",
        "home",
        ExitCode.LOCKED_OUT,
        "due",
        "ci@pve!ci has a new secret that is not stored: the store is away",
        hint="run again at once: the next run makes another one",
        step="publish",
        live="ci@pve!ci is still published with its old secret, which does not log in",
    )


def test_a_secret_that_was_published_over_in_place_is_made_again(w: World, calls: Calls) -> None:
    """Whether what the winner published died at our call is not known, so another one is made; once."""
    ci = w.pinned()
    calls.before("write ci.json", lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls)
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ("forced",))
    assert w.works()


def test_a_wish_in_place_is_done_once(w: World, calls: Calls) -> None:
    """It is fulfilled by the act, so that the run comes to rest."""
    ci = w.pinned()
    result = w.run(ci, guard=calls, forced=True)
    assert (result.exit_code, result.done) == (0, ("forced",))
    assert calls.labels.count("read ci.json") == 2, "the observation and the confirmation"


def test_who_published_and_was_overtaken_does_not_force_another(w: World, calls: Calls) -> None:
    """What was asked for is done: by us, and by whoever came after."""
    ci = w.settled()
    calls.before("read ci.json", lambda: w.run(ci, forced=True), number=2, times=1)
    result = w.run(ci, guard=calls, forced=True)
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())
    assert len(w.user(ci).tokens) == 3
    assert calls.labels[-2:] == ["read ci.json", LIST], "who has lost does not trust a short look"


def test_what_else_was_wished_holds_after_being_overtaken(w: World, calls: Calls) -> None:
    """Only the forced rotation is done then; the overlap of this run is that of what is retired in it."""
    ci = w.settled()
    mark = "PUT /access/users/ci@pve/token/ci-3-10002"
    calls.before("read ci.json", lambda: w.run(ci, guard=Calls().fail(mark, AWAY), forced=True), number=2, times=1)
    result = w.run(ci, guard=calls, forced=True, overlap=MINUTE)
    assert (result.exit_code, result.done[0], set(result.done[1:])) == (0, "unfinished", {"not-retired"})
    ends = {it.expire for name, it in w.user(ci).tokens.items() if name != "ci-3-10002"}
    assert max(ends) <= w.clock.time() + 61
    assert min(ends) > w.clock.time()


def test_who_was_overtaken_and_cannot_look_again_does_not_know_what_is_live(w: World, calls: Calls) -> None:
    """What was published before is not any more, so that nothing is said of it, dead or alive."""
    ci = w.settled()
    w.set_user(ci.userid, tokens={})
    calls.before("write ci.json", lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls.fail(LIST, AWAY, number=2))
    assert (result.exit_code, result.reason, result.step) == (ExitCode.FAILED, "published-token-dead", "observe")
    assert result.live.startswith("what memory:ci.json holds now is not known: somebody else was faster")


def test_a_dead_record_that_somebody_has_mended_since_is_not_replaced_in_place(w: World, calls: Calls) -> None:
    """The secret that was published meanwhile would die."""
    ci = w.pinned(mirrors=1)
    backup = w.read()
    w.run(ci)
    w.store.put("ci.json", backup)
    result = w.run(ci, guard=calls.before("preflight ci.json", lambda: w.run(ci), times=1))
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())
    assert w.works()


def test_who_lost_before_publishing_still_has_its_wish(w: World, calls: Calls) -> None:
    """Somebody wanted a new token from now on, and gets it."""
    ci = w.settled()
    calls.before("write ci.json", lambda: w.run(ci, forced=True), times=1)
    assert w.run(ci, guard=calls, forced=True).done == ("forced",)


# mirrors


MIRRORS = ["write mirror-1.json", "write mirror-2.json"]


def test_one_mirror_that_fails_keeps_nobody_from_the_others(w: World, calls: Calls) -> None:
    """It does keep from marking and retiring."""
    ci = w.due(mirrors=2)
    calls.fail(MIRRORS[0], AWAY)
    result = w.run(ci, guard=calls)
    assert result == failed(
        "due",
        "memory:mirror-1.json: the store is away",
        hint="wait",
        step="mirror",
        live=f"{SECOND} is published; {FIRST} is still live",
    )
    assert calls.changes[-2:] == MIRRORS
    assert w.standing(ci) == {"ci-1-10000": "marked", "ci-2-10001": "unmarked"}


def test_mirrors_that_fail_are_told_together(w: World, calls: Calls) -> None:
    """All in words, with the hint of the first."""
    ci = w.due(mirrors=2)
    calls.fail(MIRRORS[0], AWAY).fail(MIRRORS[1], RefusedError("no", hint="ask"))
    result = w.run(ci, guard=calls)
    assert result.message == "memory:mirror-1.json: the store is away; memory:mirror-2.json: no"
    assert (result.exit_code, result.hint, result.step) == (ExitCode.FAILED, "wait", "mirror")


def test_after_a_compromise_the_leak_ends_though_a_mirror_fails(w: World, calls: Calls) -> None:
    """Revoking goes on, and comes before the mirrors; marking does not."""
    ci = w.settled(mirrors=2)
    result = w.run(ci, guard=calls.fail(MIRRORS[0], AWAY), forced=True, compromised=True)
    assert (result.exit_code, result.reason, result.step) == (ExitCode.LOCKED_OUT, "forced", "mirror")
    assert calls.changes[-3:] == ["DELETE /access/users/ci@pve/token/ci-1-10000", *MIRRORS]
    assert w.standing(ci) == {"ci-2-10001": "unmarked"}


def test_a_mirror_that_somebody_else_has_written_since_is_lost(w: World, calls: Calls) -> None:
    """Who is overtaken there looks again at once, and writes no further mirror."""
    ci = w.due(mirrors=2)
    calls.before(MIRRORS[0], lambda: w.run(ci, forced=True), times=1)
    result = w.run(ci, guard=calls)
    assert (result.exit_code, result.reason, result.done) == (0, "up-to-date", ())
    assert MIRRORS[1] not in calls.labels


def test_the_gravest_of_several_errors_is_told_first() -> None:
    """Its kind, hint and step are those of the whole; one error alone is itself."""
    plain, grave = UnavailableError("one", hint="a"), LockedOutError("two", hint="b")
    plain.step, grave.step = "announce", "mirror"
    made = together([plain, grave])
    assert (type(made), made.message, made.hint, made.step) == (LockedOutError, "two; one", "b", "mirror")
    assert made.args == (made.message,)
    other = together([plain, UnavailableError("three", hint="c")])
    assert (type(other), other.message, other.hint, other.step) == (UnavailableError, "one; three", "a", "announce")
    assert together([plain]) is plain


# consumers are told


class Announcing(Guarded):
    """A store that can tell consumers."""

    def __init__(self, world: World, guard: Calls) -> None:
        super().__init__(world.store, guard)
        self.guard = guard

    def audience(self, location: str) -> tuple[str, ...]:
        """Name one."""
        return (f"reader of {location}",)

    def announce(self, location: str, *, rotation: str) -> None:
        """Tell it."""
        assert rotation
        self.guard(f"announce {location}", lambda: None)


def announced(world: World, guard: Calls, **changes: object) -> tuple[Credential, Result]:
    """Rotate what is due, with consumers that are told of each destination."""
    ci = world.due(mirrors=1, **changes)
    ci = replace(ci, destinations=tuple(replace(it, audience=("reader",)) for it in ci.destinations))
    ports = replace(world.ports(guard), backends={KIND: Announcing(world, guard)})
    return ci, Run(ci, ports, Request()).until_rest()


def test_consumers_are_told_of_each_destination(w: World, calls: Calls) -> None:
    """After it was written and read back."""
    _, result = announced(w, calls)
    assert (result.exit_code, result.done) == (0, ("due",))
    assert [it for it in calls.changes if it.startswith(("announce", "write"))] == [
        "write ci.json",
        "announce ci.json",
        "write mirror-1.json",
        "announce mirror-1.json",
    ]


def test_who_could_not_be_told_keeps_nobody_from_the_mirrors(w: World, calls: Calls) -> None:
    """The old token lives on for them."""
    ci, result = announced(w, calls.fail("announce ci.json", AWAY))
    assert result == failed(
        "due",
        "the store is away",
        hint="wait",
        step="announce",
        live=f"{SECOND} is published; {FIRST} is still live",
    )
    assert calls.changes[-2:] == ["write mirror-1.json", "announce mirror-1.json"]
    assert w.standing(ci) == {"ci-1-10000": "marked", "ci-2-10001": "unmarked"}


def test_nobody_is_told_of_a_mirror_that_was_not_written(w: World, calls: Calls) -> None:
    """They would read the old token."""
    _, result = announced(w, calls.fail("write mirror-1.json", AWAY))
    assert (result.step, result.message) == ("mirror", "memory:mirror-1.json: the store is away")
    assert "announce mirror-1.json" not in calls.labels
