"""Confirm and mirrors: what was written is read back and logged in with, before anything ends."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.errors import ExitCode, OutcomeUnknownError, RefusedError, UnavailableError
from rotator.fleet import rotate
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY, Credential, Request, Secret, Stored
from rotator.testing.exchange import AnswerInstead, HangUpBefore
from rotator.testing.faulty_backend import After, Altered, Before, Operation, Stale, nth
from tests.world import World, comes_to_rest

ROTATED = {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
BOTH = {"ci-1": "marked", "ci-2": "marked"}
UNFINISHED = {"ci-1": "marked", "ci-2": "unmarked"}
NEW_IS_OUT = "ci@pve!ci-2-10001 is published; ci@pve!ci-1-10000 is still live"


def otherwise(stored: Stored | None) -> Stored | None:
    """Give back another secret than was written."""
    return stored and replace(stored, fields={**stored.fields, TOKEN_SECRET_KEY: Secret("altered-on-the-way")})


def halved(stored: Stored | None) -> Stored | None:
    """Give back half of what was written."""
    return stored and replace(stored, fields={TOKEN_ID_KEY: stored.fields[TOKEN_ID_KEY]})


def without_keys(stored: Stored | None) -> Stored | None:
    """Give back a record that has lost our keys."""
    return stored and replace(stored, fields={"note": Secret("by hand")})


def test_a_replica_that_lags_behind_is_read_again(w: World) -> None:
    """It shows the predecessor for a while."""
    ci = w.due()
    w.spoil(Stale(nth(Operation.READ, 2, 3)))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert [call for call, _ in w.store.calls].count("read") == 4


def test_a_first_record_that_a_replica_does_not_have_yet_is_read_again(w: World) -> None:
    """Nothing there is also something older."""
    w.spoil(Stale(nth(Operation.READ, 2, 3)))
    result = w.run(w.credential())
    assert (result.exit_code, result.done, w.standing()) == (0, ("first-issue",), {"ci-1": "marked"})


def test_a_replica_that_lags_for_long_leaves_the_record_published(w: World) -> None:
    """It was verified, and whoever reads the old record has a token that lives; nothing was altered."""
    ci = w.due()
    w.spoil(Stale(nth(Operation.READ, 2, 99)))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    assert result.message.endswith("ci.json still gives back what it held before ci@pve!ci-2-10001 was written")
    assert (w.published(), w.standing()) == ("ci-2", UNFINISHED)
    w.spoil()
    assert w.run(ci).done == ("unfinished", "not-retired")
    assert comes_to_rest(w, ci) == "ci-2"


@pytest.mark.parametrize("change", [otherwise, halved, without_keys])
def test_other_content_than_was_written_puts_the_predecessor_back(w: World, change: object) -> None:
    """Consumers would be locked out: both tokens live, nothing is retired, exit code 5."""
    ci = w.due()
    assert callable(change)
    w.spoil(Altered(nth(Operation.READ, 2), change))
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "due")
    assert "was written with ci@pve!ci-2-10001 and gives back something that does not log in" in result.message
    assert result.message.endswith("; ci@pve!ci-1-10000 was published again")
    assert w.steps()[-3:] == ["restore", "mark", "confirm!failed"]
    taken_back = "ci@pve!ci-2-10001 was published for a moment and is still live; a later run retires it"
    assert result.live == f"ci@pve!ci-1-10000 is still published; {taken_back}"
    assert (w.published(), w.works(), w.standing()) == ("ci-1", True, BOTH)
    assert "revoke" not in w.steps()
    assert comes_to_rest(w, ci) == "ci-3"


def test_what_was_taken_back_is_retired_and_not_deleted_as_an_orphan(w: World) -> None:
    """A consumer may have read it in between, and its record must go on working for the overlap."""
    ci = w.due()
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    w.run(ci)
    taken_back = w.tokens()[1]
    assert w.run(ci).exit_code == ExitCode.IN_FLIGHT
    w.clock.pass_by(timedelta(minutes=10))
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("record-rolled-back", "not-retired"))
    assert taken_back in w.tokens()
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "marked, ends in 1d", "ci-3": "marked"}


def test_a_store_that_always_alters_stops_the_rotations(w: World) -> None:
    """Each try leaves a token that a consumer may have read; after four it needs a person."""
    ci = w.due()
    codes = []
    for _ in range(6):
        w.spoil(Altered(nth(Operation.READ, 2), otherwise))
        codes.append(int(w.run(ci).exit_code))
        w.clock.pass_by(timedelta(minutes=11))
    assert codes == [5, 5, 5, 5, 4, 4]
    assert len(w.tokens()) == 5
    assert w.works()
    result = w.run(ci)
    assert result.reason == "too-many-orphans"
    assert "4 tokens were issued and are not published" in result.message


def test_a_predecessor_that_is_dead_is_not_put_back(w: World) -> None:
    """It would lock the consumers out as well."""
    ci = w.settled()
    w.pve.delete_token(w.read()["token_id"])
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.LOCKED_OUT, "published-token-dead", "ci-2")
    assert "restore" not in w.steps()
    assert comes_to_rest(w, ci) == "ci-2"


def test_an_adoption_that_was_taken_back_is_begun_again(w: World) -> None:
    """PVE's list alone shows a token marked published; but what was adopted lives on without our marker."""
    w.pve.grant("/vms", "PVEVMUser", token=str(w.hand_made()))
    ci = w.credential(adopt=True, grants=None)
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    assert w.run(ci).exit_code == ExitCode.LOCKED_OUT
    assert (w.published(), w.standing()) == ("hand", {"hand": "hand-made", "ci-1": "marked"})
    w.clock.pass_by(timedelta(minutes=11))
    assert rotate(w.fleet(), [ci])[0].done == ("record-rolled-back", "not-retired")
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_predecessor_that_pve_refuses_as_well_is_not_put_back(w: World) -> None:
    """Then the record is not what is wrong; and a token put aside without a mark would be deleted as an orphan."""
    ci = w.due()
    w.disturb("GET", "/version", AnswerInstead(401, "Authentication failed!"), times=9)
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.LOCKED_OUT, "due", "ci-2")
    assert result.message.endswith("; PVE does not take ci@pve!ci-1-10000 either, so that was not put back")
    assert (result.live, w.standing()) == (NEW_IS_OUT, UNFINISHED)
    w.traffic.planned.clear()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_predecessor_of_which_nobody_says_whether_it_works_is_not_put_back(w: World) -> None:
    """No answer is told as no answer: whoever reads that PVE refuses the predecessor looks in the wrong place."""
    ci = w.due()
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    w.disturb("GET", "/version", HangUpBefore(), times=9, after=1)
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.LOCKED_OUT, "due", "ci-2")
    assert result.message.endswith("; nobody says if PVE takes ci@pve!ci-1-10000, so that was not put back")
    w.traffic.planned.clear()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_predecessor_that_was_refused_for_a_moment_and_put_back_is_told(w: World) -> None:
    """The record has changed since it was looked at, but by nobody else's hand."""
    ci = w.settled()
    w.replace_record(2, published=False)
    w.disturb("GET", "/version", AnswerInstead(401, "no ticket"))
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.LOCKED_OUT, "published-token-dead", "ci-2")
    assert "was published again" in result.message


def test_without_a_predecessor_nothing_is_put_back(w: World) -> None:
    """The first record of all is left as it is, and the next run looks again."""
    ci = w.credential()
    w.spoil(Altered(nth(Operation.READ, 2), otherwise))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.LOCKED_OUT, "first-issue", "ci-1")
    assert comes_to_rest(w, ci, note="") == "ci-1"


def test_a_predecessor_that_cannot_be_put_back_is_told(w: World) -> None:
    """Both failures are named, and nothing is retired."""
    ci = w.due()
    w.spoil(Altered(nth(Operation.READ, 2), otherwise), Before(nth(Operation.WRITE, 2), RefusedError("read only")))
    result = w.run(ci)
    assert (result.exit_code, w.published(), w.standing()) == (ExitCode.LOCKED_OUT, "ci-2", UNFINISHED)
    assert result.message.endswith("; putting ci@pve!ci-1-10000 back failed too: read only")
    assert result.live == NEW_IS_OUT
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_store_that_does_not_answer_leaves_the_record_published(w: World) -> None:
    """It was verified; nothing is retired and the next run goes on."""
    ci = w.due()
    w.spoil(Before(nth(Operation.READ, 2), UnavailableError("sealed", hint="unseal it")))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    assert (result.hint, w.standing()) == ("unseal it", UNFINISHED)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("unfinished", "not-retired"), ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_pve_that_does_not_answer_leaves_the_record_published(w: World) -> None:
    """What cannot be tried is not known to fail."""
    ci = w.due()
    w.disturb("GET", "/version", AnswerInstead(595, "no daemon"), times=2)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    said = f"is not tried: no endpoint of cluster home answers: GET /version at {w.pve.nodes[0].endpoint} (home): 595"
    assert said in result.message
    assert result.hint.startswith("pveproxy cannot reach its daemon")
    assert w.standing() == UNFINISHED
    result = w.run(ci)  # does not know whether the record logs in, so it reads it back and tries again
    assert (result.exit_code, result.done, w.standing()) == (0, ("unfinished", "not-retired"), ROTATED)
    assert "confirm" in w.steps()


def test_a_publisher_that_was_overtaken_leaves_everything_to_the_other(w: World) -> None:
    """Somebody published after us: our token is theirs to retire now."""
    ci = w.due()
    w.meanwhile(Operation.READ, lambda: w.replace_record(3), number=2)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.published()) == (0, ("not-retired", "not-retired"), "ci-3")
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


def mirrored(w: World) -> Credential:
    """Make a credential with a mirror whose token is due."""
    return w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))


def overtaking(w: World, ci: Credential, request: Request) -> Altered:
    """Let somebody else rotate between the moment at which what was published is read back, and the login with it."""

    def overtake(stored: Stored | None) -> Stored | None:
        w.run(ci, request)
        return stored

    return Altered(nth(Operation.READ, 2), overtake)


def test_a_publisher_whose_token_was_revoked_before_it_logged_in_says_that_nothing_is_wrong(w: World) -> None:
    """Its own token is refused because somebody has published another one since, as after a compromise."""
    ci = w.due()
    w.spoil(overtaking(w, ci, Request(forced=True, compromised=True)))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.DONE, "up-to-date", "ci-3")
    assert w.standing() == {"ci-3": "marked"}


def test_a_first_publisher_whose_token_was_revoked_before_it_logged_in_says_that_nothing_is_wrong(w: World) -> None:
    """There is no predecessor to put back, and no need for one."""
    w.write({"note": "by hand"})
    ci = w.credential()
    w.spoil(overtaking(w, ci, Request(forced=True, compromised=True)))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.DONE, "up-to-date", "ci-2")
    assert w.standing() == {"ci-2": "marked"}


def test_who_was_asked_for_one_rotation_and_overtaken_after_it_does_not_make_another(w: World) -> None:
    """Its own was published; that somebody has published since is no reason for a third one."""
    ci = w.settled()
    w.spoil(overtaking(w, ci, Request(forced=True)))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason, w.published()) == (ExitCode.DONE, "up-to-date", "ci-3")
    assert comes_to_rest(w, ci) == "ci-3"


def test_a_mirror_follows_the_primary(w: World) -> None:
    """Both hold the same token, and each keeps its foreign keys."""
    result = w.run(mirrored(w))
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert w.read("mirror.json") == w.read()
    assert w.steps().index("confirm") < w.steps().index("mirror") < w.steps().index("mark") < w.steps().index("retire")


def test_a_mirror_that_is_down_keeps_the_predecessor_alive(w: World) -> None:
    """Its consumers still use it; nothing is marked or retired until the mirror was written."""
    ci = mirrored(w)
    w.lock_up("mirror.json")
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    assert (result.message.endswith("mirror.json is locked up"), w.standing()) == (True, UNFINISHED)
    assert result.hint == "the old token stays valid until a later run has written it"
    w.clock.pass_by(timedelta(days=5))
    assert w.run(ci).reason == "unfinished"
    assert (w.works(), w.works("mirror.json"), w.published("mirror.json")) == (True, True, "ci-1")
    w.spoil()
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("unfinished", "not-retired"), ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_could_not_be_read_at_first_is_read_again(w: World) -> None:
    """What was away when the run began may be back when its turn comes."""
    ci = mirrored(w)
    w.fail_store(Operation.READ, UnavailableError("away"), name="mirror.json", times=1)
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.done, w.standing()) == (0, ("forced",), ROTATED)


def test_a_mirror_that_cannot_be_read_back_is_named_once(w: World) -> None:
    """Its label stands in the message of the reading already."""
    ci = mirrored(w)
    w.spoil(Before(lambda it: it.operation == "read" and it.number > 3, UnavailableError("away")))
    result = w.run(ci)
    label = ci.destinations[1].label
    assert (result.step, result.message) == ("mirror", f"cannot be read back: {label}: away")


def test_a_mirror_that_stays_unreadable_is_an_unfinished_rotation(w: World) -> None:
    """It is tried again by each run."""
    ci = mirrored(w)
    w.fail_store(Operation.READ, UnavailableError("away"), name="mirror.json")
    assert w.run(ci, forced=True).exit_code == ExitCode.FAILED
    assert w.standing() == UNFINISHED
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_alters_what_is_written_keeps_the_predecessor_alive(w: World) -> None:
    """The mirror's consumers read something that does not work: exit code 5."""
    ci = mirrored(w)
    w.spoil(
        Altered(
            lambda call: call.operation == "read" and call.number > 2 and call.label.endswith("mirror.json"), otherwise
        )
    )
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.standing()) == (ExitCode.LOCKED_OUT, "due", UNFINISHED)
    assert result.message.endswith("mirror.json gives back something else than was written")
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_somebody_has_taken_further_is_left_to_them(w: World) -> None:
    """A slow rotator must not put an older token into a mirror."""
    ci = mirrored(w)

    def overtake() -> None:
        w.write(dict(w.read("ci.json")) | {"note": "by hand"}, "mirror.json")
        w.put(w.replace_record(3), "mirror.json")

    w.meanwhile(Operation.WRITE, overtake, number=2)
    result = w.run(ci)
    assert (result.exit_code, w.published(), w.published("mirror.json")) == (0, "ci-3", "ci-3")
    assert w.standing() == {"ci-1": "marked, ends in 1d", "ci-2": "unmarked, ends in 1d", "ci-3": "marked"}
    assert comes_to_rest(w, ci) == "ci-3"


@pytest.mark.parametrize(("before", "number"), [(Operation.WRITE, 2), (Operation.READ, 4)])
def test_a_mirror_that_a_slow_rotator_wrote_in_between_is_written_again_at_once(
    w: World, before: Operation, number: int
) -> None:
    """After a compromise it would hold a revoked token until the next run."""
    ci = mirrored(w)
    slow = w.plant(2, published=True)
    w.meanwhile(before, lambda: w.put(slow, "mirror.json"), number=number)
    result = w.run(ci, forced=True, compromised=True)
    assert (result.exit_code, result.reason) == (ExitCode.DONE, "up-to-date")
    assert (w.published(), w.published("mirror.json")) == ("ci-3", "ci-3")
    assert comes_to_rest(w, ci) == "ci-3"


@pytest.mark.parametrize("is_late", [False, True], ids=["read at first", "read late"])
@pytest.mark.parametrize("serial", [1, 2, 9])
def test_a_mirror_that_holds_a_token_of_the_past_is_written(w: World, serial: int, *, is_late: bool) -> None:
    """Restored from elsewhere, or all that is left of before the primary was lost: PVE has no such token any more."""
    ci = mirrored(w)
    w.run(ci)
    w.write({"token_id": f"ci@pve!ci-{serial}-gone1", "token_secret": "of the past", "note": "by hand"}, "mirror.json")
    if is_late:
        w.fail_store(Operation.READ, UnavailableError("away"), name="mirror.json", times=1)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("unfinished",))
    assert w.published("mirror.json") == "ci-2"
    w.forget()
    assert w.run(ci).reason == "up-to-date"
    assert comes_to_rest(w, ci) == "ci-2"


def test_what_is_left_in_a_mirror_when_the_primary_was_lost_is_written_over(w: World) -> None:
    """The first token after the loss is numbered above it; if it was put there later, it is looked at once more."""
    ci = mirrored(w)
    w.run(ci, forced=True)
    leftover = w.read()
    w.wipe()
    w.write({"note": "by hand"})
    w.write(leftover, "mirror.json")
    assert w.run(ci).done == ("first-issue",)
    assert (w.published(), w.published("mirror.json")) == ("ci-3", "ci-3")
    w.wipe()
    w.write({"note": "by hand"})
    w.write({"note": "by hand"}, "mirror.json")
    w.meanwhile(Operation.READ, lambda: w.write(leftover, "mirror.json"), number=3)
    assert w.run(ci).exit_code == ExitCode.DONE
    assert (w.published(), w.published("mirror.json")) == ("ci-1", "ci-1")
    assert comes_to_rest(w, ci) == "ci-1"


@pytest.mark.parametrize("fault", [Before, After])
def test_a_mirror_that_does_not_say_whether_it_was_written_is_read(w: World, fault: type[Before | After]) -> None:
    """It was, and all is well; or it was not, and the next run does it."""
    ci = mirrored(w)
    w.spoil(fault(nth(Operation.WRITE, 2), OutcomeUnknownError("no answer")))
    result = w.run(ci)
    assert result.exit_code == (ExitCode.FAILED if fault is Before else 0)
    assert w.standing() == (UNFINISHED if fault is Before else ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"
