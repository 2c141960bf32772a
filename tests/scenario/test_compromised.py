"""A token that others know: its successor first, then whatever came before ends at once."""

from __future__ import annotations

from datetime import timedelta

from rotator.errors import ExitCode, UnavailableError
from rotator.model import Request
from rotator.testing.exchange import AnswerAfter, AnswerInstead
from rotator.testing.faulty_backend import Before, Operation
from tests.world import World, comes_to_rest

LEAK = Request(forced=True, compromised=True)
AWAY = UnavailableError("away")


def test_all_old_tokens_are_gone_at_once(w: World) -> None:
    """The published one, one that is retiring, and one that somebody is about to publish."""
    ci = w.settled()
    w.run(ci, forced=True)
    w.plant(3, ago=timedelta(minutes=1))
    result = w.run(ci, LEAK)
    assert (result.exit_code, result.done, w.published()) == (0, ("forced",), "ci-4")
    assert w.standing() == {"ci-4": "marked"}
    assert any(event.message == "asked for: the token is compromised" for event in w.events)
    assert comes_to_rest(w, ci) == "ci-4"


def test_the_leak_ends_before_the_mirrors_are_written(w: World) -> None:
    """Their consumers fail for a moment, which is the smaller evil, and the plan said so."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    result = w.run(ci, LEAK)
    assert (result.exit_code, w.standing(), w.works("mirror.json")) == (0, {"ci-2": "marked"}, True)
    assert w.steps()[-5:] == ["publish", "confirm", "revoke", "mirror", "mark"]


def test_a_mirror_that_is_down_after_a_leak_locks_its_consumers_out(w: World) -> None:
    """What it holds is revoked all the same: exit code 5, and the next run writes it."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.lock_up("mirror.json")
    result = w.run(ci, LEAK)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "forced")
    assert result.message.endswith("mirror.json is locked up; what it held was revoked as compromised")
    assert (w.works(), w.works("mirror.json"), w.standing()) == (True, False, {"ci-2": "unmarked"})
    assert (result.live, result.hint) == ("ci@pve!ci-2-10001 is published", "run again at once")
    w.spoil()
    assert w.run(ci).done == ("unfinished",)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_was_written_and_cannot_be_read_back_is_not_said_to_hold_the_leak(w: World) -> None:
    """What it held was revoked; what it holds by now nobody has seen, and the next run looks."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.spoil(Before(lambda it: it.operation is Operation.READ and "mirror.json" in it.label and it.number > 2, AWAY))
    result = w.run(ci, LEAK)
    assert result.message.endswith("away; what it held was revoked as compromised")
    assert w.works("mirror.json")
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_mirror_that_may_not_be_written_delays_no_leak(w: World) -> None:
    """Only the primary is checked beforehand."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.fail_store(Operation.PREFLIGHT, UnavailableError("away"), name="mirror.json")
    assert w.run(ci, LEAK).done == ("forced",)
    assert w.standing() == {"ci-2": "marked"}


def test_a_leaked_token_that_was_made_by_hand_is_gone_too(w: World) -> None:
    """Adopted and revoked in one go."""
    w.hand_made()
    assert w.run(w.credential(adopt=True), LEAK).done == ("forced",)
    assert w.standing() == {"ci-1": "marked"}


def test_nothing_is_revoked_before_the_successor_is_published(w: World) -> None:
    """A leak is no reason to lock the consumers out."""
    ci = w.settled()
    w.fail_store(Operation.WRITE, UnavailableError("away"))
    result = w.run(ci, LEAK)
    assert (result.exit_code, w.standing(), w.works()) == (ExitCode.FAILED, {"ci-1": "marked"}, True)
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-1"


def test_a_revocation_without_an_answer_says_that_the_leaked_token_may_live(w: World) -> None:
    """It was asked for twice, and PVE has not said."""
    ci = w.settled()
    w.disturb("DELETE", "token/ci-1", AnswerAfter(), times=2)
    result = w.run(ci, LEAK)
    assert result.live == "ci@pve!ci-2-10001 is published; ci@pve!ci-1-10000 may still be live"
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_revocation_that_fails_says_that_the_leaked_token_lives(w: World) -> None:
    """Who asked because of a leak must know, and may ask again."""
    ci = w.settled()
    w.disturb("DELETE", "token/ci-1", AnswerInstead(500, "got lock request timeout"))
    result = w.run(ci, LEAK)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "forced")
    assert result.live == "ci@pve!ci-2-10001 is published; ci@pve!ci-1-10000 is still live"
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    assert w.run(ci, Request(compromised=True)).done == ("unfinished", "not-retired")
    assert w.standing() == {"ci-2": "marked"}
