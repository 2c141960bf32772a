"""Strategy regenerate: one token that keeps its name. The old secret dies at the call, and nothing can be undone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from rotator.errors import ExitCode, OutcomeUnknownError, UnavailableError
from rotator.model import Credential, Strategy
from rotator.testing.exchange import AnswerAfter, AnswerInstead, AnswerLate, Request
from rotator.testing.faulty_backend import After, Before, Operation, nth
from tests.world import World, comes_to_rest


def pinned(w: World, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
    """Configure a credential whose token keeps its name."""
    return w.credential(strategy=Strategy.REGENERATE, overlap=timedelta(), **changes)


def settled(w: World, **changes: Any) -> Credential:  # noqa: ANN401 - any field of a credential
    """Issue the first secret of such a credential."""
    return w.settled(strategy=Strategy.REGENERATE, overlap=timedelta(), **changes)


def test_the_pinned_token_is_made_where_there_is_none(w: World) -> None:
    """Under its own name, with the grants that were declared."""
    result = w.run(pinned(w))
    assert (result.exit_code, result.done, result.token) == (0, ("first-issue",), "ci@pve!ci")
    assert (w.standing(), w.works()) == ({"ci": "marked"}, True)
    assert "VM.PowerMgmt" in w.pve.permissions("ci@pve!ci")["/vms"]


def test_a_pinned_token_of_somebody_else_is_refused_also_without_a_record(w: World) -> None:
    """Its secret would die, and with it somebody's consumers."""
    secret = w.pve.add_token("ci@pve", "ci")
    result = w.run(pinned(w), forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "not-adopted")
    assert result.message == "PVE has ci@pve!ci, which this credential did not issue"
    assert w.pve.accepts("ci@pve!ci", secret)


def test_an_adopted_pinned_token_keeps_its_comment(w: World) -> None:
    """What somebody wrote there stays in front of our marker."""
    w.hand_made("ci", comment="made by Terraform, ask Ann")
    w.pve.grant("/vms", "PVEVMUser", token="ci@pve!ci")
    old = w.record()
    ci = pinned(w, adopt=True, grants=None)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("adopt",))
    assert (w.works(), w.pve.accepts(*old)) == (True, False)
    assert w.comment("ci").startswith("made by Terraform, ask Ann rotate: owner=tests credential=ci rotation=")
    assert "VM.PowerMgmt" in w.pve.permissions("ci@pve!ci")["/vms"]
    assert comes_to_rest(w, pinned(w)) == "ci"
    w.run(ci, forced=True)
    assert w.comment("ci").count("rotate:") == w.comment("ci").count("Ann") == 1


def test_a_record_with_another_token_than_the_pinned_one_is_refused(w: World) -> None:
    """The base names the wrong token, or the destination is somebody else's."""
    w.hand_made("other")
    result = w.run(pinned(w, adopt=True))
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "other-token")
    assert result.message.endswith("holds ci@pve!other, this credential is about ci@pve!ci")


def test_a_due_secret_is_replaced_in_place(w: World) -> None:
    """One token before and after, no overlap, foreign keys kept."""
    ci = settled(w)
    w.clock.pass_by(ci.every)
    old = w.record()
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), {"ci": "marked"})
    assert w.steps() == ["preflight", "regenerate", "publish", "confirm", "mark"]
    assert (w.works(), w.pve.accepts(*old), w.read()["note"]) == (True, False, "by hand")
    assert comes_to_rest(w, ci) == "ci"


def test_a_lifetime_is_renewed_with_the_secret(w: World) -> None:
    """In the same call, so that nothing is half done."""
    ci = settled(w, lifetime=timedelta(days=60))
    w.clock.pass_by(timedelta(days=41))
    assert w.run(ci).done == ("expiring",)
    assert w.standing() == {"ci": "marked, ends in 60d"}


def test_a_lifetime_that_was_taken_away_is_taken_from_the_token(w: World) -> None:
    """An expired token stays expired when its secret is replaced (measured), so the end is always said."""
    settled(w, lifetime=timedelta(days=60))
    w.clock.pass_by(timedelta(days=61))
    assert not w.works()
    assert w.run(pinned(w)).done == ("published-token-dead",)
    assert (w.standing(), w.works()) == ({"ci": "marked"}, True)


def test_a_mirror_follows_the_pinned_token(w: World) -> None:
    """Both records change, the primary first."""
    ci = settled(w, destinations=(w.place("ci.json"), w.place("mirror.json")))
    assert w.run(ci, forced=True).done == ("forced",)
    assert w.read("mirror.json") == w.read()
    assert comes_to_rest(w, ci) == "ci"


def test_a_mirror_that_is_down_is_written_by_a_later_run(w: World) -> None:
    """Its consumers are locked out until then, which the exit code says."""
    ci = settled(w, destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.lock_up("mirror.json")
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "forced")
    assert result.message.endswith("mirror.json is locked up; the secret that it held is dead")
    assert (w.works(), w.works("mirror.json")) == (True, False)
    w.spoil()
    assert w.run(ci).done == ("unfinished",)
    assert comes_to_rest(w, ci) == "ci"


def test_a_pve_that_is_too_old_changes_nothing(w: World) -> None:
    """It refuses the parameter, so the old secret lives; nobody is locked out."""
    ci = settled(w)
    w.pve.regenerate_supported = False
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "forced")
    assert "regenerate needs pve-access-control 9.1.0" in result.hint
    assert result.live == "ci@pve!ci is still published"
    assert w.works()


def test_a_store_that_may_not_be_written_stops_before_the_secret_dies(w: World) -> None:
    """Preflight is all the protection that there is."""
    ci = settled(w)
    w.fail_store(Operation.PREFLIGHT, UnavailableError("away"))
    result = w.run(ci, forced=True)
    assert (result.exit_code, w.works(), w.changes()) == (ExitCode.FAILED, True, [])


def test_a_publish_that_fails_locks_out_until_the_next_run(w: World) -> None:
    """The one case of exit code 5 that the strategy brings with it; the next run makes another secret."""
    ci = settled(w)
    w.fail_store(Operation.WRITE, UnavailableError("away", hint="come back"))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason, w.works()) == (ExitCode.LOCKED_OUT, "forced", False)
    assert result.message == "ci@pve!ci has a new secret that is not stored: away"
    assert result.live == "ci@pve!ci is still published with its old secret, which does not log in"
    assert result.step == "publish"
    assert result.hint == "run again at once: the next run makes another one"
    w.spoil()
    assert w.run(ci).done == ("published-token-dead",)
    assert comes_to_rest(w, ci) == "ci"


def test_a_publish_without_an_answer_says_that_either_secret_may_be_out(w: World) -> None:
    """The store went away before it said which."""
    ci = settled(w)
    w.spoil(
        After(nth(Operation.WRITE, 1), OutcomeUnknownError("no answer")),
        Before(nth(Operation.WRITE, 2, 99), UnavailableError("away")),
        Before(nth(Operation.READ, 2, 99), UnavailableError("away")),
    )
    result = w.run(ci, forced=True)
    assert (result.exit_code, w.works()) == (ExitCode.LOCKED_OUT, True)
    assert result.live == "ci@pve!ci is published with its new secret, or with its old one, which does not log in"
    w.spoil()
    assert w.run(ci).exit_code == ExitCode.DONE
    assert comes_to_rest(w, ci) == "ci"


@pytest.mark.parametrize("fault", [AnswerAfter(), AnswerInstead(596, "Broken pipe")])
def test_a_regeneration_without_an_answer_is_repaired_by_the_next_run(
    w: World, fault: AnswerAfter | AnswerInstead
) -> None:
    """Whether it took effect is seen by whether the record logs in."""
    ci = settled(w)
    w.clock.pass_by(ci.every)
    w.disturb("PUT", "token/ci", fault)
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "due")
    assert w.works() is isinstance(fault, AnswerInstead)
    assert result.live == "ci@pve!ci is still published with its old secret, which may not log in any more"
    assert w.run(ci).done in {("published-token-dead",), ("due",)}
    assert comes_to_rest(w, ci) == "ci"


def test_a_regeneration_that_takes_effect_later_is_repaired_by_the_run_after(w: World) -> None:
    """It brings its own marker, which is not marked published, so the list of tokens tells that something is wrong."""
    ci = settled(w)
    w.clock.pass_by(ci.every)
    w.disturb("PUT", "token/ci", AnswerLate())
    w.run(ci)
    w.run(ci)
    assert w.works()
    w.pve.apply_late()
    assert not w.works()
    assert w.run(ci).done == ("published-token-dead",)
    assert comes_to_rest(w, ci) == "ci"


DEAD = "00000000-0000-0000-0000-000000000000"


def test_who_loses_after_regenerating_does_it_again(w: World) -> None:
    """What the winner has published and marked died at our call, and nothing at PVE tells so."""
    ci = settled(w)
    w.clock.pass_by(ci.every)

    def overtake() -> None:
        w.write({**w.read(), "token_secret": DEAD})
        w.set_token("ci@pve!ci", comment=f"{w.comment('ci')} published")

    w.meanwhile(Operation.WRITE, overtake)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.works()) == (0, ("forced",), True)
    assert w.steps()[:3] == ["preflight", "regenerate", "publish!failed"]
    assert comes_to_rest(w, ci) == "ci"


def test_nobody_marks_a_secret_that_somebody_else_has_regenerated_since(w: World) -> None:
    """The other one's marker says that its secret is not published yet, and must go on saying so."""
    ci = settled(w)
    w.clock.pass_by(ci.every)

    def overtake(request: Request) -> None:
        is_looked_at = request.method == "GET" and request.path.endswith("/token")
        if is_looked_at and w.steps()[-1:] == ["confirm"] and "mark!failed" not in w.steps():
            comment = w.comment("ci").replace("rotation=", "rotation=other-").removesuffix(" published")
            w.set_token("ci@pve!ci", secret=DEAD, comment=comment)

    w.traffic.watchers.append(overtake)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.works()) == (0, ("published-token-dead",), True)
    assert "mark!failed" in w.steps()
    assert comes_to_rest(w, ci) == "ci"


def in_two_places(w: World) -> Credential:
    """Plant a pinned token that is due, with a mirror."""
    return w.due(
        strategy=Strategy.REGENERATE, overlap=timedelta(), destinations=(w.place("ci.json"), w.place("mirror.json"))
    )


def test_a_record_that_was_read_too_early_is_not_copied_over_a_newer_secret(w: World) -> None:
    """Another rotator replaced it before the mirror was read; the name does not tell which of the two is newer."""
    ci = in_two_places(w)
    w.meanwhile(Operation.READ, lambda: w.run(ci), number=2)
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (0, "up-to-date")
    assert w.works("ci.json")
    assert w.works("mirror.json")
    assert w.steps().count("regenerate") == 1


def test_a_dead_record_is_not_copied_over_a_mirror_that_works(w: World) -> None:
    """Somebody put an older state back, which is marked as published; both places work in the end."""
    ci = in_two_places(w)
    backup = w.read()
    w.run(ci)
    w.write(backup)
    assert w.run(ci).done == ("published-token-dead",)
    assert w.works("ci.json")
    assert w.works("mirror.json")


@pytest.mark.parametrize("operation", [Operation.WRITE, Operation.READ])
def test_whose_mirror_was_written_by_somebody_faster_has_lost_and_locks_nobody_out(
    w: World, operation: Operation
) -> None:
    """The other one has put its own secret everywhere since; exit code 5 would tell of a lock-out that is not there."""
    ci = in_two_places(w)
    w.meanwhile(operation, lambda: w.run(ci, forced=True), number={Operation.WRITE: 2, Operation.READ: 4}[operation])
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (0, "up-to-date")
    assert w.works("ci.json")
    assert w.works("mirror.json")
