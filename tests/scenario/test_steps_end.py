"""Mark, retire, revoke: what happens to tokens after publishing. Late, repeated or lost, each is still right."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.errors import ExitCode
from rotator.testing.exchange import AnswerAfter, AnswerInstead, Fault, HangUpAfter, HangUpBefore, Request
from tests.world import OVERLAP, World, comes_to_rest

ROTATED = {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
UNFINISHED = {"ci-1": "marked", "ci-2": "unmarked"}
BOTH = {"ci-1": "marked", "ci-2": "marked"}
NEW_IS_OUT = "ci@pve!ci-2-10001 is published; ci@pve!ci-1-10000 is still live"
OLD, NEW = "token/ci-1", "token/ci-2"
SILENT = (AnswerInstead(596, "Broken pipe"), AnswerAfter(), HangUpBefore(), HangUpAfter())


@pytest.mark.parametrize("fault", SILENT)
@pytest.mark.parametrize("token", [OLD, NEW])
def test_a_mark_or_an_end_without_an_answer_is_repeated(w: World, token: str, fault: Fault) -> None:
    """The second time nothing changes, if the first did it."""
    ci = w.due()
    w.disturb("PUT", token, fault)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)


def test_a_mark_that_is_lost_is_made_by_the_next_run(w: World) -> None:
    """Nothing ends before the record is known to be finished."""
    ci = w.due()
    w.disturb("PUT", NEW, AnswerInstead(500, "got lock request timeout"))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    assert w.standing() == UNFINISHED
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("unfinished", "not-retired"), ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_an_end_that_is_lost_is_set_by_the_next_run(w: World) -> None:
    """From the list of tokens alone one sees that there is none."""
    ci = w.due()
    w.disturb("PUT", OLD, AnswerInstead(500, "got lock request timeout"))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", NEW_IS_OUT)
    assert w.standing() == BOTH
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("not-retired",), ROTATED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_failing_rotation_never_puts_off_an_end(w: World) -> None:
    """Whatever fails in the next rotation, the end that PVE has stays."""
    ci = w.settled()
    w.run(ci, forced=True)
    end = w.pve.token(f"ci@pve!{w.tokens()[0]}")
    for hour in range(6):
        w.clock.pass_by(timedelta(hours=hour))
        w.disturb("PUT", "/access/acl", AnswerInstead(403, "no"))
        assert w.run(ci, forced=True).exit_code == ExitCode.FAILED
        assert w.pve.token(f"ci@pve!{w.tokens()[0]}") == end


def test_an_end_set_by_somebody_else_in_between_is_kept(w: World) -> None:
    """It is read again just before: a run that was paused does not put off what another run has set."""
    ci = w.due()
    old = w.read()["token_id"]

    def end_early(request: Request) -> None:
        if request.method == "PUT" and NEW in request.path:
            w.set_token(old, expire=int(w.pve.now()) + 3600)

    w.traffic.watchers.append(end_early)
    assert w.run(ci).done == ("due",)
    assert w.standing() == {"ci-1": "marked, ends in 1h", "ci-2": "marked"}


def test_an_old_token_that_is_gone_needs_no_end(w: World) -> None:
    """Somebody has deleted it while we published."""
    ci = w.due()
    old = w.read()["token_id"]
    w.traffic.watchers.append(lambda it: w.pve.delete_token(old) if it.method == "PUT" and NEW in it.path else None)
    assert w.run(ci).done == ("due",)
    assert w.standing() == {"ci-2": "marked"}
    assert [event.message for event in w.events if event.step == "retire"][-1] == "gone already"


def test_an_old_token_that_goes_while_it_gets_its_end_is_well_too(w: World) -> None:
    """Whoever lost with it deletes it at the very moment in which another run retires it."""
    ci = w.due()
    old = w.read()["token_id"]
    w.traffic.watchers.append(lambda it: w.pve.delete_token(old) if it.method == "PUT" and OLD in it.path else None)
    assert w.run(ci).done == ("due",)
    assert w.standing() == {"ci-2": "marked"}
    assert [event.message for event in w.events if event.step == "retire"][-1] == "gone already"


def test_a_new_token_that_goes_before_it_is_marked_is_replaced_in_the_same_run(w: World) -> None:
    """Somebody has deleted what is published: consumers are locked out, so the world is observed again at once."""
    ci = w.due()
    gone: list[str] = []

    def delete_once(request: Request) -> None:
        if request.method == "PUT" and NEW in request.path and not gone:
            gone.append(w.read()["token_id"])
            w.pve.delete_token(gone[0])

    w.traffic.watchers.append(delete_once)
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("published-token-dead", "not-retired"))
    assert (w.works(), w.standing()) == (True, {"ci-1": "marked, ends in 1d", "ci-3": "marked"})
    assert comes_to_rest(w, ci) == "ci-3"


def test_without_overlap_the_old_token_is_revoked_at_once(w: World) -> None:
    """After publishing, confirming and marking, and not before."""
    ci = w.due()
    result = w.run(ci, overlap=timedelta())
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), {"ci-2": "marked"})
    assert w.steps()[-4:] == ["publish", "confirm", "mark", "revoke"]
    assert comes_to_rest(w, w.credential(overlap=timedelta())) == "ci-2"


def test_without_overlap_a_revocation_that_failed_is_done_by_the_next_run(w: World) -> None:
    """Whichever overlap that run has, the old token ends."""
    ci = w.due(overlap=timedelta())
    w.disturb("DELETE", OLD, AnswerInstead(500, "got lock request timeout"))
    assert w.run(ci).exit_code == ExitCode.FAILED
    assert w.standing() == BOTH
    assert w.run(ci).done == ("not-retired",)
    assert w.standing() == {"ci-2": "marked"}


def test_an_end_comes_without_any_further_run(w: World) -> None:
    """PVE enforces it: the old token dies on time, and not before."""
    ci = w.due()
    old = w.record()
    w.run(ci)
    w.clock.pass_by(OVERLAP)
    assert w.pve.accepts(*old)
    w.clock.pass_by(timedelta(seconds=3))
    assert not w.pve.accepts(*old)
    assert w.works()


def over(w: World) -> None:
    """Let the overlap of a first token pass."""
    w.run(w.settled(), forced=True)
    w.forget()
    w.clock.pass_by(OVERLAP + timedelta(seconds=10))


@pytest.mark.parametrize("fault", [*SILENT, AnswerInstead(500, "no such token 'ci-1-10000' for user 'ci@pve'")])
def test_a_revocation_without_an_answer_is_repeated(w: World, fault: Fault) -> None:
    """That there is no such token counts as done."""
    over(w)
    w.disturb("DELETE", OLD, fault)
    w.traffic.watchers.append(
        lambda it: w.pve.delete_token(f"ci@pve!{w.tokens()[0]}") if is_absent(it, fault) else None
    )
    result = w.run(w.credential())
    assert (result.exit_code, result.done, w.standing()) == (0, ("overlap-passed",), {"ci-2": "marked"})


def is_absent(request: Request, fault: Fault) -> bool:
    """Say whether PVE is about to say that there is no such token."""
    return request.method == "DELETE" and isinstance(fault, AnswerInstead) and fault.status == 500


def test_a_revocation_that_is_refused_is_done_by_the_next_run(w: World) -> None:
    """The token is dead all the same."""
    over(w)
    w.disturb("DELETE", OLD, AnswerInstead(500, "got lock request timeout"))
    result = w.run(w.credential())
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "overlap-passed")
    assert w.standing() == {"ci-1": "marked, over", "ci-2": "marked"}
    assert comes_to_rest(w, w.credential()) == "ci-2"


def test_a_revocation_that_took_no_effect_is_a_failure(w: World) -> None:
    """PVE said that it was done, and every node still knows the token."""
    over(w)
    w.disturb("DELETE", OLD, AnswerInstead(200, "OK"))
    result = w.run(w.credential())
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "overlap-passed")
    assert result.message == "ci@pve!ci-1-10000 was deleted and is still there"
    assert w.steps() == ["revoke!unknown"]


def test_a_node_without_quorum_that_goes_on_accepting_a_token_is_named(w3: World) -> None:
    """PVE itself does so (measured), and who revokes after a leak must know."""
    over(w3)
    w3.pve.nodes[2].quorate = False
    result = w3.run(w3.credential())
    assert (result.exit_code, result.done, w3.standing()) == (0, ("overlap-passed",), {"ci-2": "marked"})
    cut_off = w3.pve.nodes[2].endpoint
    assert result.notes == (f"ci@pve!ci-1-10000: still accepted by {cut_off}, which lags behind",)


def test_a_node_that_is_down_is_named_after_a_revocation(w3: World) -> None:
    """Nobody knows what it knows."""
    over(w3)
    w3.pve.nodes[1].down = True
    result = w3.run(w3.credential())
    assert (result.exit_code, result.done) == (0, ("overlap-passed",))
    assert result.notes == (f"ci@pve!ci-1-10000: no answer from {w3.pve.nodes[1].endpoint}",)


def test_a_node_that_refuses_the_operator_is_named_after_a_revocation(w3: World) -> None:
    """It has answered, and what it knows is not told: it may lag behind, and not know the operator yet."""
    over(w3)
    w3.disturb("GET", OLD, AnswerInstead(401, "Authentication failed!"), after=1)
    result = w3.run(w3.credential())
    assert (result.exit_code, result.done) == (0, ("overlap-passed",))
    assert result.notes == (f"ci@pve!ci-1-10000: the operator may not look at {w3.pve.nodes[1].endpoint}",)


def test_no_dead_secret_is_tried(w: World) -> None:
    """PVE would wait three seconds and write an authentication failure to the log, where fail2ban reads it."""
    over(w)
    w.run(w.credential())
    w.clock.pass_by(timedelta(days=30))
    w.run(w.credential())
    assert [call for call in w.pve.calls if call.status == 401] == []
