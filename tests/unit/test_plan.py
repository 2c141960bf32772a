"""From findings to steps, and the words of a dry run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from rotator.model import Grant, Probe, Request, Strategy, TokenId, Unread
from rotator.plan import decide, warnings
from rotator.policy import Reason
from rotator.steps import Confirm, Fence, GrantRoles, Issue, Mark, Mirror, Preflight, Publish, Retire, Revoke, Verify
from rotator.view import View
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MIRRORED, foreign, held, ours, seen

CURRENT = ours(7)
DUE = ours(7, age=40 * DAY)


def test_a_rotation_has_the_steps_of_the_protocol_in_their_order() -> None:
    """Preflight, issue, grant, verify, publish, confirm, mirror, mark, retire."""
    plan = decide(seen(DUE, record=DUE, mirrors=[held(DUE)]))

    assert plan.steps == (
        Preflight((0, 1)),
        Issue(8, DUE.id),
        GrantRoles(None),
        Verify(DUE.id),
        Publish(),
        Confirm(),
        Mirror(1),
        Mark(None),
        Retire(DUE.id, DAY, None),
    )


def test_the_serial_is_above_all_that_was_seen() -> None:
    """Also above the record's, and above names of our form that bear no marker of ours."""
    stranger = ours(11, owner="somebody")

    assert Issue(12, None) in decide(seen(stranger)).steps
    assert Issue(10, None) in decide(seen(record=TokenId("ci@pve", "ci-9-aaaaa"))).steps
    assert Issue(10, None) in decide(seen(mirrors=[held(TokenId("ci@pve", "ci-9-aaaaa"))])).steps


def test_a_first_issue_has_nothing_to_retire() -> None:
    """And no predecessor to be equal to."""
    steps = decide(seen()).steps

    assert Verify(None) in steps
    assert not any(isinstance(step, Retire | Revoke) for step in steps)


def test_without_privilege_separation_nothing_is_granted() -> None:
    """Entries of such a token have no effect (measured)."""
    plan = decide(seen(credential=replace(CREDENTIAL, privsep=False)))

    assert not any(isinstance(step, GrantRoles) for step in plan.steps)


def test_an_orphan_is_fenced_before_it_is_deleted() -> None:
    """Its maker, if alive, can then no longer publish it."""
    orphan = ours(8, published=False)

    assert decide(seen(CURRENT, orphan, record=CURRENT)).steps == (Fence(), Revoke(orphan.id))


def test_an_unfinished_rotation_is_confirmed_fenced_mirrored_and_marked() -> None:
    """The fence keeps whoever published it from putting the predecessor back."""
    left = ours(7, published=False)
    observation = seen(left, record=left, mirrors=[Unread("down")])

    assert decide(observation).steps == (Confirm(), Fence(), Mirror(1), Mark(left.id))
    assert decide(replace(observation, accepted=True)).steps == (Fence(), Mirror(1), Mark(left.id))


def test_an_adopted_token_ends_before_its_successor_is_marked() -> None:
    """Until then the successor names it, and afterwards only our marker tells it from a namesake."""
    adopt, left = Request(adopt=True), ours(1, published=False, after="hand")
    taken = decide(seen(foreign(), record=foreign()), adopt)
    resumed = decide(seen(foreign(), left, record=left, accepted=True))

    assert taken.steps[-2:] == (Retire(foreign().id, DAY, None), Mark(None))
    assert resumed.steps == (Fence(), Retire(foreign().id, DAY, None), Mark(left.id))


def test_a_mirror_alone_is_written_without_a_fence() -> None:
    """The record was confirmed when it was marked."""
    assert decide(seen(CURRENT, record=CURRENT, mirrors=[held(None)])).steps == (Mirror(1),)


def test_after_a_compromise_the_old_tokens_end_before_the_mirrors_are_written() -> None:
    """The leak first; what retires already goes too."""
    old = ours(6, ends_in=HOUR)
    plan = decide(seen(old, CURRENT, record=CURRENT, mirrors=[held(CURRENT)]), Request(forced=True, compromised=True))

    assert plan.steps[-6:] == (Publish(), Confirm(), Revoke(old.id), Revoke(CURRENT.id), Mirror(1), Mark(None))


def test_without_overlap_the_old_token_is_revoked_at_once() -> None:
    """In the rotation itself, and where a crash left it."""
    now = Request(forced=True, overlap=timedelta())

    assert decide(seen(CURRENT, record=CURRENT), now).steps[-1] == Revoke(CURRENT.id)
    assert decide(seen(ours(6), CURRENT, record=CURRENT), now.fulfilled()).steps == (Revoke(ours(6).id),)


def test_an_end_that_comes_sooner_is_left() -> None:
    """The old token's own end is within the overlap: nothing to set."""
    token = ours(7, age=DAY, ends_in=HOUR)

    assert not any(isinstance(step, Retire) for step in decide(seen(token, record=token)).steps)


def test_in_a_hurry_only_the_primary_must_be_writable() -> None:
    """A mirror that is down must not keep a dead token published."""
    assert decide(seen(record=CURRENT, mirrors=[Unread("down")])).steps[0] == Preflight((0,))


def test_findings_for_people_have_no_steps() -> None:
    """They stop the run, and say so."""
    plan = decide(seen(foreign(), record=foreign()))

    assert (plan.steps, plan.is_stopped, plan.finding.reason) == ((), True, Reason.NOT_ADOPTED)


def test_each_step_can_be_read_by_a_person() -> None:
    """The dry run is these lines."""
    credential = replace(MIRRORED, grants=(Grant("/vms", "PVEVMUser"),), probes=(Probe("/nodes"),))
    observation = seen(DUE, record=DUE, mirrors=[held(DUE)], credential=credential)

    assert [step.told(credential) for step in decide(observation).steps] == [
        "preflight: may be written: file:a, file:b",
        "issue ci@pve!ci-8-…, successor of ci@pve!ci-7-aaaaa",
        "grant PVEVMUser on /vms",
        "verify: log in on every endpoint, permissions, GET /nodes",
        "publish to file:a",
        "confirm: read file:a back and log in with it",
        "mirror to file:b",
        "mark the new token as published",
        "retire ci@pve!ci-7-aaaaa: PVE ends it 1d later",
    ]


def test_what_is_given_up_is_said() -> None:
    """Regenerate, no overlap, a token that somebody else made."""
    pinned = replace(CREDENTIAL, strategy=Strategy.REGENERATE)

    assert "no overlap" in warnings(View(seen(credential=pinned)))[0]
    assert "no overlap" in warnings(View(seen(CURRENT, record=CURRENT), Request(compromised=True)))[0]
    assert "ci@pve!hand" in warnings(View(seen(foreign(), record=foreign())))[0]
    assert warnings(View(seen(CURRENT, record=CURRENT))) == []
