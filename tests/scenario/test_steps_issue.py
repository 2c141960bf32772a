"""The steps before publishing: preflight, issue, grant. Whatever fails, no consumer notices and nothing is left."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rotator.errors import ExitCode, RefusedError, UnavailableError
from rotator.model import Grant
from rotator.testing.exchange import AnswerAfter, AnswerInstead, AnswerLate, Fault, HangUpAfter, HangUpBefore
from rotator.testing.faulty_backend import Operation
from tests.world import World, comes_to_rest

STILL = "ci@pve!ci-1-10000 is still published"
SETTLED = {"ci-1": "marked"}
ROTATED = {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
TOKEN = "/token/"


@pytest.mark.parametrize("error", [RefusedError("not yours", hint="ask"), UnavailableError("not there", hint="ask")])
def test_a_store_that_may_not_be_written_stops_before_anything_is_touched(
    w: World, error: RefusedError | UnavailableError
) -> None:
    """Preflight: a token that cannot be stored is not made."""
    ci = w.due()
    w.fail_store(Operation.PREFLIGHT, error)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.message) == (ExitCode.FAILED, "due", str(error))
    assert (result.hint, result.live) == ("ask", STILL)
    assert (w.steps(), w.changes(), w.standing()) == (["preflight!failed"], [], SETTLED)
    w.spoil()
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_due_rotation_waits_for_a_mirror_that_may_not_be_written(w: World) -> None:
    """Preflight: there is time, and a rotation that cannot be finished is better not begun."""
    ci = w.due(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.fail_store(Operation.PREFLIGHT, UnavailableError("the mirror is away"), name="mirror.json")
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.standing()) == (ExitCode.FAILED, "due", SETTLED)
    assert w.changes() == []


def test_what_is_asked_for_waits_for_no_mirror(w: World) -> None:
    """Preflight: in a hurry only the primary counts."""
    ci = w.settled(destinations=(w.place("ci.json"), w.place("mirror.json")))
    w.fail_store(Operation.PREFLIGHT, UnavailableError("the mirror is away"), name="mirror.json")
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.done, w.standing()) == (0, ("forced",), ROTATED)


def test_grants_are_inherited_from_the_predecessors_own_entries(w: World) -> None:
    """Preflight: they are read before anything is made, with their propagation."""
    w.settled(grants=(Grant("/vms", "PVEVMUser", propagate=False), Grant("/vms/100", "PVEVMAdmin")))
    before = w.pve.permissions(w.read()["token_id"])
    result = w.run(w.credential(grants=None), forced=True)
    assert (result.exit_code, result.done) == (0, ("forced",))
    assert w.pve.permissions(w.read()["token_id"]) == before
    assert before


def test_nothing_is_inherited_by_an_operator_that_may_not_see_the_grants(w: World) -> None:
    """Preflight: without Sys.Audit on /access PVE leaves entries out silently, so an empty list is not believed."""
    w.settled()
    w.ungrant("/access", "Auditor", user="rotator@pve")
    result = w.run(w.credential(grants=None), forced=True)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "forced", STILL)
    assert "may not see the whole access control list" in result.message
    assert (w.changes(), w.standing()) == ([], SETTLED)


def test_nothing_is_inherited_from_a_predecessor_that_was_deleted_since_it_was_listed(w: World) -> None:
    """Preflight: its grants went with it, and a token that may do nothing must not be published as its successor."""
    w.due()
    deleted = f"{w.userid}!{w.tokens()[0]}"
    w.meanwhile(Operation.READ, lambda: w.pve.delete_token(deleted))
    result = w.run(w.credential(grants=None))
    assert (result.exit_code, result.reason) == (ExitCode.LOCKED_OUT, "published-token-dead")
    assert (result.message, w.changes()) == ("what to grant is not known: there is no predecessor", [])
    w.spoil()
    assert comes_to_rest(w, w.credential()) == "ci-2"


def test_a_predecessor_that_has_no_grants_is_followed_by_one_without(w: World) -> None:
    """Preflight: a token may be there to log in and for nothing else."""
    w.settled(grants=())
    result = w.run(w.credential(grants=None), forced=True)
    assert (result.exit_code, result.done, w.standing()) == (0, ("forced",), ROTATED)


def test_a_first_token_inherits_from_nobody(w: World) -> None:
    """Preflight: what to grant must then be declared."""
    result = w.run(w.credential(grants=None))
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "first-issue")
    assert (result.message, w.tokens()) == ("what to grant is not known: there is no predecessor", [])
    assert "declare `grants:` of ci, or set `privsep: false`" in result.hint
    assert result.live == "no token of this credential is published"


def test_a_predecessor_without_entries_of_its_own_leaves_nothing_to_inherit(w: World) -> None:
    """Preflight: a token without privilege separation may do what its user may, which is no grant of the token."""
    w.settled(privsep=False, grants=None)
    result = w.run(w.credential(grants=None), forced=True)
    assert (result.exit_code, result.reason, w.changes()) == (ExitCode.FAILED, "forced", [])
    assert "ci@pve!ci-1-10000 is not privilege-separated and has none of its own" in result.message


@pytest.mark.parametrize(("status", "said"), [(403, "Permission check failed"), (500, "got lock request timeout")])
def test_a_refused_issue_changes_nothing(w: World, status: int, said: str) -> None:
    """Issue: refused, or PVE's lock was in the way; nothing happened and the next run does it."""
    ci = w.due()
    w.disturb("POST", TOKEN, AnswerInstead(status, said))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    assert said in result.message
    assert (w.steps(), w.standing()) == (["preflight", "issue!failed"], SETTLED)
    assert comes_to_rest(w, ci) == "ci-2"


@pytest.mark.parametrize(
    "fault", [AnswerInstead(596, "Broken pipe"), AnswerAfter(), HangUpBefore(), HangUpAfter(), AnswerLate()]
)
def test_an_issue_without_an_answer_goes_on_under_another_name(w: World, fault: Fault) -> None:
    """Issue: nobody knows the secret of what may exist now, so it is deleted if it shows."""
    ci = w.due()
    w.disturb("POST", TOKEN, fault)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert w.steps()[:4] == ["preflight", "issue!unknown", "revoke", "issue"]
    assert w.read()["token_id"] == "ci@pve!ci-2-10002"
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_token_that_comes_into_being_later_is_retired_by_its_namesake(w: World) -> None:
    """Issue: it has the serial of what was published instead, so it is not above it and rule 4 ends it."""
    ci = w.due()
    w.disturb("POST", TOKEN, AnswerLate())
    w.run(ci)
    w.pve.apply_late()
    result = w.run(ci)
    assert (result.exit_code, result.done) == (0, ("not-retired",))
    assert w.standing() == {
        "ci-1": "marked, ends in 1d",
        "ci-2-10001": "unmarked, ends in 1d",
        "ci-2-10002": "marked",
    }
    assert comes_to_rest(w, ci) == "ci-2"


def test_two_issues_without_an_answer_end_the_run(w: World) -> None:
    """Issue: PVE is not well; what comes into being later is an orphan."""
    ci = w.due()
    w.disturb("POST", TOKEN, AnswerLate(), times=2)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    assert "596" in result.message
    assert w.standing() == SETTLED
    w.pve.apply_late()
    assert w.run(ci).reason == "rotation-in-flight"
    w.clock.pass_by(timedelta(minutes=11))
    assert w.run(ci).done == ("orphan", "orphan", "due")
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_first_issue_without_an_answer_leaves_an_orphan_that_ends(w: World) -> None:
    """Issue: without a record there is nothing to fence with, so what came late is retired under the first token."""
    ci = w.credential()
    w.disturb("POST", TOKEN, AnswerLate())
    assert w.run(ci).done == ("first-issue",)
    w.pve.apply_late()
    assert comes_to_rest(w, ci, note="") == "ci-1"


def test_a_name_that_is_taken_is_not_taken_twice(w: World) -> None:
    """Issue: a race for the same name is lost by taking another one; the other token is not touched."""
    ci = w.due()
    w.disturb("POST", TOKEN, AnswerInstead(500, "generating token failed: Token already exists."))
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert [change for change in w.changes() if "DELETE" in change] == []


def test_a_grant_that_is_refused_deletes_the_new_token(w: World) -> None:
    """Grant: a token without its permissions is of no use, and nobody has read it."""
    ci = w.due()
    w.disturb("PUT", "/access/acl", AnswerInstead(403, "Permission check failed (/vms, Permissions.Modify)"))
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    assert "the operator needs Permissions.Modify on /vms" in result.hint
    assert w.steps() == ["preflight", "issue", "grant!failed", "revoke"]
    assert w.standing() == SETTLED
    assert comes_to_rest(w, ci) == "ci-2"


@pytest.mark.parametrize("fault", [AnswerInstead(596, "Broken pipe"), AnswerAfter(), HangUpBefore(), HangUpAfter()])
def test_a_grant_without_an_answer_is_repeated(w: World, fault: Fault) -> None:
    """Grant: the second time nothing changes, if the first did it."""
    ci = w.due()
    w.disturb("PUT", "/access/acl", fault)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert "VM.PowerMgmt" in w.pve.permissions(w.read()["token_id"])["/vms"]


def test_a_grant_that_never_answers_deletes_the_new_token(w: World) -> None:
    """Grant: unknown twice is as good as refused, because nobody has read the token."""
    ci = w.due()
    w.disturb("PUT", "/access/acl", AnswerInstead(596, "Broken pipe"), times=2)
    result = w.run(ci)
    assert (result.exit_code, result.live, w.standing()) == (ExitCode.FAILED, STILL, SETTLED)
    assert comes_to_rest(w, ci) == "ci-2"


def test_a_new_token_that_cannot_be_deleted_becomes_an_orphan(w: World) -> None:
    """Grant: the failure that is told is the one that counts; a later run tidies up."""
    ci = w.due()
    w.disturb("PUT", "/access/acl", AnswerInstead(403, "Permission check failed"))
    w.disturb("DELETE", TOKEN, AnswerInstead(500, "got lock request timeout"))
    result = w.run(ci)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "due")
    assert result.live == f"{STILL}; ci@pve!ci-2-10001 was issued and may be live; a later run deletes it"
    assert w.standing() == {"ci-1": "marked", "ci-2": "unmarked"}
    assert comes_to_rest(w, ci) == "ci-2"


def test_without_privilege_separation_nothing_is_granted(w: World) -> None:
    """Grant: entries of such a token have no effect (measured), and its user's permissions are what it has."""
    ci = w.due(privsep=False, grants=None)
    result = w.run(ci)
    assert (result.exit_code, result.done, w.standing()) == (0, ("due",), ROTATED)
    assert [change for change in w.changes() if "acl" in change] == []
    assert w.pve.permissions(w.read()["token_id"]) == w.pve.permissions("ci@pve")


def test_a_lifetime_is_enforced_by_pve_from_the_first_moment(w: World) -> None:
    """Issue: no later call sets it, so no crash can leave a token without its end."""
    w.settled(lifetime=timedelta(days=60))
    assert w.standing() == {"ci-1": "marked, ends in 60d"}
