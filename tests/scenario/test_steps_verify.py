"""Verify: the new token is proved before anybody can read it, and deleted when it does not hold."""

from __future__ import annotations

from rotator.errors import ExitCode
from rotator.model import Grant, Probe
from rotator.testing.exchange import AnswerInstead, Request
from tests.world import World, comes_to_rest

SETTLED = {"ci-1": "marked"}
ROTATED = {"ci-1": "marked, ends in 1d", "ci-2": "marked"}
STILL = "ci@pve!ci-1-10000 is still published"


def test_a_node_that_lags_behind_is_asked_again(w3: World) -> None:
    """It refuses the new token until it has caught up."""
    ci = w3.due()
    w3.pve.lag = 5.0
    result = w3.run(ci)
    assert (result.exit_code, result.done, w3.standing()) == (0, ("due",), ROTATED)
    assert sum(call.status == 401 for call in w3.pve.calls) == 3
    assert all(w3.pve.accepts(*w3.record(), node=number) for number in range(3))


def test_a_node_that_goes_on_refusing_deletes_the_new_token(w3: World) -> None:
    """Its consumers would be locked out."""
    ci = w3.due()
    w3.pve.nodes[2].quorate = False
    result = w3.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    assert f"GET /version at {w3.pve.nodes[2].endpoint} (home): 401" in result.message
    assert w3.steps()[-2:] == ["verify!failed", "revoke"]
    assert w3.standing() == SETTLED
    w3.pve.nodes[2].quorate = True
    assert comes_to_rest(w3, ci) == "ci-2"


def test_a_node_that_is_down_is_noted_and_not_waited_for(w3: World) -> None:
    """It catches up when it comes back."""
    ci = w3.due()
    w3.pve.nodes[1].down = True
    result = w3.run(ci)
    assert (result.exit_code, result.done, w3.standing()) == (0, ("due",), ROTATED)
    down = w3.pve.nodes[1].endpoint
    assert f"not verified on {down}: cannot connect to {down}: connection refused" in result.notes
    w3.pve.nodes[1].down = False
    assert w3.pve.accepts(*w3.record(), node=1)


def test_a_token_that_nobody_could_try_is_not_published(w: World) -> None:
    """Verify: no endpoint answers the consumer, although the operator is answered."""
    ci = w.due()
    w.disturb("GET", "/access/permissions", AnswerInstead(595, "connection refused"), times=9)
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    said = f"GET /access/permissions at {w.pve.nodes[0].endpoint} (home): 595"
    assert result.message.startswith(f"no endpoint of cluster home answers: {said}")
    assert result.step == "verify"
    assert result.hint.startswith("pveproxy cannot reach its daemon")
    assert w.standing() == SETTLED


def test_a_token_that_may_do_less_than_its_predecessor_is_deleted(w: World) -> None:
    """The predecessor has an entry that the new token does not get, because the entry has gone in between."""
    ci = w.settled(grants=(Grant("/vms", "PVEVMUser"), Grant("/vms/100", "PVEVMAdmin")))
    ci = w.credential(grants=None)
    w.disturb("PUT", "/access/acl", AnswerInstead(200, "OK"))
    result = w.run(ci, forced=True)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "forced", STILL)
    assert "the new token's permissions are not those of its predecessor: lacks " in result.message
    assert "gains" not in result.message
    assert w.standing() == SETTLED


def test_a_token_that_may_do_more_than_its_predecessor_is_deleted(w: World) -> None:
    """A privilege-separated predecessor and a credential without: nobody has asked for more rights."""
    w.settled()
    result = w.run(w.credential(privsep=False, grants=None), forced=True)
    assert (result.exit_code, result.reason, w.standing()) == (ExitCode.FAILED, "forced", SETTLED)
    assert "gains VM.Allocate on /vms" in result.message
    assert "lacks" not in result.message
    assert "make `privsep:` what the predecessor has" in result.hint


def test_permissions_are_compared_as_the_operator_where_the_old_secret_is_gone(w: World) -> None:
    """The predecessor lives and its secret in the record does not work, so that it cannot be asked itself."""
    w.settled(privsep=False, grants=None)
    w.write({**w.read(), "token_secret": "00000000-0000-0000-0000-000000000000"})
    result = w.run(w.credential(grants=(Grant("/vms", "PVEVMUser"),)), forced=True)
    assert (result.exit_code, result.done, result.notes) == (0, ("forced",), ())
    w.write({**w.read(), "token_secret": "00000000-0000-0000-0000-000000000000"})
    result = w.run(w.credential(privsep=False, grants=None), forced=True)
    assert (result.exit_code, result.reason) == (ExitCode.FAILED, "forced")
    assert "gains VM.Allocate on /vms" in result.message


def test_declared_grants_must_be_effective(w: World) -> None:
    """Privilege separation is an intersection: what the user itself lacks, its token lacks too."""
    ci = w.due()
    w.ungrant("/vms", "PVEVMAdmin", user="ci@pve")
    w.pve.grant("/vms", "PVEAuditor", user="ci@pve")
    result = w.run(ci)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "due", STILL)
    assert result.message.startswith("granted, but not effective: VM.")
    assert result.message.endswith(" more")
    assert result.hint == (
        "a privilege-separated token can do no more than its user: give ci@pve itself these privileges"
    )
    assert w.standing() == SETTLED
    w.pve.grant("/vms", "PVEVMAdmin", user="ci@pve")
    assert comes_to_rest(w, ci) == "ci-2"


def test_of_several_roles_on_one_path_each_must_be_effective(w: World) -> None:
    """The last one named does not hide the others."""
    w.pve.grant("/vms", "PVEVMUser", user="ci@pve")
    w.ungrant("/vms", "PVEVMAdmin", user="ci@pve")
    ci = w.credential(grants=(Grant("/vms", "PVEVMAdmin"), Grant("/vms", "PVEVMUser")))
    result = w.run(ci)
    assert (result.exit_code, result.reason, w.tokens()) == (ExitCode.FAILED, "first-issue", [])
    assert "granted, but not effective: VM.Allocate on /vms" in result.message


def test_a_probe_that_is_refused_deletes_the_new_token(w: World) -> None:
    """The credential says what its consumer must be able to do."""
    ci = w.settled()
    probed = w.credential(probes=(Probe("/nodes"), Probe("/access/users/ci@pve/token")))
    result = w.run(probed, forced=True)
    assert (result.exit_code, result.reason, result.live) == (ExitCode.FAILED, "forced", STILL)
    assert "/access/users/ci@pve/token" in result.message
    assert w.standing() == SETTLED
    assert comes_to_rest(w, ci) == "ci-1"


def test_probes_are_done_with_the_new_token(w: World) -> None:
    """The predecessor's rights prove nothing."""
    w.settled()
    assert w.run(w.credential(probes=(Probe("/nodes"),)), forced=True).done == ("forced",)
    assert [call.who for call in w.pve.calls if call.path == "/nodes"] == [w.read()["token_id"]]


def test_a_consumer_sees_nothing_of_a_token_that_is_being_verified(w: World) -> None:
    """The record is written after all of it."""
    ci = w.due()
    published: set[str] = set()

    def look(request: Request) -> None:
        if "ci-2" in request.who:
            published.add(w.published())

    w.traffic.watchers.append(look)
    w.disturb("GET", "/access/permissions", AnswerInstead(403, "no"), times=9)
    assert w.run(ci).exit_code == ExitCode.FAILED
    assert published == {"ci-1"}
