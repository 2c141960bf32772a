"""From findings to steps, and the words of a dry run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from rotator.marker import Marker
from rotator.model import Grant, Observation, Probe, Request, Strategy, TokenId, Unread
from rotator.plan import Plan, decide, is_settled_by_list, warnings
from rotator.policy import Finding, Reason
from rotator.steps import (
    Announce,
    Confirm,
    Fence,
    GrantRoles,
    Issue,
    Mark,
    Mirror,
    Preflight,
    Publish,
    Regenerate,
    Retire,
    Revoke,
    Verify,
)
from rotator.view import View
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MIRRORED, NOW, foreign, held, ours, seen

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

    assert warnings(View(seen(credential=pinned))) == [
        "strategy regenerate has no overlap: consumers are locked out until they read the new secret"
    ]
    assert warnings(View(seen(CURRENT, record=CURRENT), Request(compromised=True))) == [
        "no overlap: a consumer that has not yet read the new token fails"
    ]
    assert warnings(View(seen(foreign(), record=foreign()))) == [
        "ci@pve!hand was made by somebody else; it is retired and revoked like any other"
    ]
    theirs = ours(9, credential="other")
    copied = seen(theirs, record=theirs, credential=replace(CREDENTIAL, siblings=frozenset({"ci", "other"})))
    assert warnings(View(copied)) == [f"{theirs.id} is a token of the credential other, which goes on with it"]
    assert warnings(View(seen(CURRENT, record=CURRENT))) == []


def test_what_another_of_the_configuration_uses_is_replaced_and_not_ended() -> None:
    """Whose it is goes on with it: a credential that issued it, or the operator."""
    theirs, operator = ours(9, credential="other"), foreign("operator")
    credential = replace(CREDENTIAL, adopt=True, siblings=frozenset({"ci", "other"}), operator=operator.id)

    for token, others in (theirs, "the credential other"), (operator, "the cluster's operator"):
        observation = seen(token, record=token, credential=credential)
        plan = decide(observation)
        words = f"{token.id} is a token of {others}, which goes on with it"
        assert (plan.finding.reason, plan.finding.message) == (Reason.ADOPT, words)
        assert warnings(View(observation)) == [words]
        assert plan.steps[-2:] == (Confirm(), Mark(None))
    assert Retire(foreign().id, DAY, None) in decide(seen(foreign(), record=foreign(), credential=credential)).steps


def test_an_overlap_that_is_over_before_an_older_record_is_noticed_is_said() -> None:
    """A rotation counts as in flight for so long, and an older record that is put back meanwhile looks like one."""
    brief = replace(CREDENTIAL, overlap=CREDENTIAL.in_flight)

    warning = (
        "the overlap (10m) is not longer than in_flight (10m): where an older record is put back meanwhile, its token "
        "may end before a run looks at it"
    )
    assert warnings(View(seen(CURRENT, record=CURRENT, credential=brief))) == [warning]
    longer = replace(brief, overlap=brief.overlap + timedelta(seconds=1))
    assert warnings(View(seen(CURRENT, record=CURRENT, credential=longer))) == []


def test_what_is_over_is_revoked() -> None:
    """That very token."""
    over = ours(6, ends_in=-HOUR)

    assert decide(seen(over, CURRENT, record=CURRENT)).steps == (Revoke(over.id),)


def test_a_token_that_is_retired_keeps_its_own_end_in_the_plan() -> None:
    """Whoever carries it out never puts it off."""
    old = ours(6, ends_in=2 * DAY)

    assert decide(seen(old, CURRENT, record=CURRENT)).steps == (Retire(old.id, DAY, old.expire),)


def test_a_compromised_token_that_was_adopted_is_revoked_too() -> None:
    """It is none of ours yet, and the leak is in it."""
    steps = decide(seen(foreign(), record=foreign()), Request(forced=True, compromised=True, adopt=True)).steps

    assert steps[-2:] == (Revoke(foreign().id), Mark(None))


def test_an_adopted_token_that_bears_our_marker_is_not_ended_twice() -> None:
    """Whoever resumes the rotation finds it retired already."""
    marker = Marker("tests", "ci", "r", NOW).as_published().comment()
    retired, left = foreign(comment=marker, expire=NOW + HOUR), ours(1, published=False, after="hand")

    assert decide(seen(retired, left, record=left, accepted=True)).steps == (Fence(), Mark(left.id))


class TestConsumersThatAreTold:
    """Whose consumers read only at their start is told right after it was written."""

    told = replace(
        MIRRORED, destinations=tuple(replace(it, audience=(it.label,)) for it in MIRRORED.destinations), privsep=False
    )

    def test_in_a_rotation_each_right_after_its_destination(self) -> None:
        """The primary's before the mirror is written."""
        plan = decide(seen(DUE, record=DUE, mirrors=[held(DUE)], credential=self.told))

        assert plan.steps[3:8] == (Publish(), Confirm(), Announce(0), Mirror(1), Announce(1))

    def test_in_a_rotation_that_is_resumed_all_of_them(self) -> None:
        """Nobody knows who was told; who was is not told twice."""
        left = ours(7, published=False)
        plan = decide(seen(left, record=left, mirrors=[held(left)], credential=self.told, accepted=True))

        assert plan.steps == (Fence(), Announce(0), Announce(1), Mark(left.id))

    def test_of_a_mirror_that_was_behind_only_its_own(self) -> None:
        """The others hold what they held."""
        plan = decide(seen(CURRENT, record=CURRENT, mirrors=[held(None)], credential=self.told))

        assert plan.steps == (Mirror(1), Announce(1))


class TestInPlace:
    """The strategy that keeps the name."""

    pinned = replace(
        MIRRORED,
        strategy=Strategy.REGENERATE,
        destinations=tuple(replace(it, audience=("web",)) for it in MIRRORED.destinations),
    )
    token = foreign("ci", comment="by hand " + Marker("tests", "ci", "r", NOW - 40 * DAY).as_published().comment())
    after = (Publish(), Confirm(), Announce(0), Mirror(1), Announce(1), Mark(None))

    def test_what_is_due_is_regenerated_and_keeps_what_people_wrote(self) -> None:
        """All destinations must be writable before the old secret dies."""
        plan = decide(seen(self.token, record=self.token, mirrors=[held(self.token)], credential=self.pinned))

        assert plan.steps == (Preflight((0, 1)), Regenerate(self.token.id, "by hand"), *self.after)
        assert plan.issues

    def test_what_is_dead_does_not_wait_for_a_mirror(self) -> None:
        """Consumers of the primary are locked out."""
        plan = decide(seen(self.token, record=self.token, accepted=False, mirrors=[held(None)], credential=self.pinned))

        assert plan.steps[0] == Preflight((0,))

    def test_where_there_is_none_it_is_made_under_its_name(self) -> None:
        """A token of another name is not it."""
        plan = decide(seen(foreign(), mirrors=[held(None)], credential=self.pinned))

        assert plan.steps == (
            Preflight((0, 1)),
            Issue(None, None),
            GrantRoles(None),
            Verify(None),
            *self.after,
        )


def test_a_plan_says_whether_it_makes_a_secret() -> None:
    """A request is fulfilled by that and by nothing else."""
    assert decide(seen()).issues
    assert not decide(seen(ours(6), CURRENT, record=CURRENT)).issues


class TestSettledByList:
    """Which plans hold although PVE's list is older than what the destinations hold."""

    @pytest.mark.parametrize(
        ("reason", "observation", "wish"),
        [
            (Reason.DUE, seen(DUE, record=DUE), Request()),
            (Reason.FORCED, seen(CURRENT, record=CURRENT), Request(forced=True)),
            (Reason.FORCED, seen(CURRENT, record=CURRENT), Request(forced=True, overlap=HOUR)),
            (Reason.EXPIRING, seen(ours(7, ends_in=HOUR), record=ours(7)), Request()),
            (Reason.FIRST_ISSUE, seen(), Request()),
        ],
    )
    def test_a_plain_rotation_is(self, reason: Reason, observation: Observation, wish: Request) -> None:
        """Nothing but the record's own token is in it, and that is finished."""
        plan = decide(observation, wish)
        assert plan.finding.reason is reason
        assert is_settled_by_list(plan, observation, wish)

    @pytest.mark.parametrize(
        ("observation", "wish"),
        [
            (seen(CURRENT, record=CURRENT), Request()),
            (seen(ours(6), CURRENT, record=CURRENT), Request()),
            (seen(CURRENT, ours(8, age=10 * DAY, published=False), record=CURRENT), Request()),
            (seen(CURRENT, record=CURRENT, accepted=False), Request()),
            (seen(record=CURRENT), Request(forced=True)),
            (seen(foreign(), record=foreign(), credential=replace(CREDENTIAL, adopt=True)), Request()),
        ],
        ids=["nothing to do", "not retired", "orphan", "refused", "gone", "adopt"],
    )
    def test_what_is_done_to_other_tokens_is_not(self, observation: Observation, wish: Request) -> None:
        """What is gone, what has an end, and whose it is must be true when it counts."""
        assert not is_settled_by_list(decide(observation, wish), observation, wish)

    def test_what_a_mirror_holds_must_be_in_the_list_too(self) -> None:
        """It may have been issued and published since."""
        listed = seen(DUE, record=DUE, mirrors=[held(DUE)])
        wish = Request()
        assert is_settled_by_list(decide(listed, wish), listed, wish)
        newer = seen(DUE, record=DUE, mirrors=[held(ours(8))])
        assert not is_settled_by_list(Plan(Finding(Reason.DUE, "old")), newer, wish)

    def test_an_unfinished_rotation_is_asked_whether_its_token_logs_in(self) -> None:
        """A wish comes before finishing, but not before a token that is dead."""
        fresh = seen(ours(7, published=False), record=CURRENT)
        wish = Request(forced=True)
        assert decide(fresh, wish).finding.reason is Reason.FORCED
        assert not is_settled_by_list(decide(fresh, wish), fresh, wish)

    def test_after_a_compromise_all_tokens_are_listed(self) -> None:
        """Each of them is revoked."""
        wish = Request(forced=True, compromised=True)
        known = seen(CURRENT, record=CURRENT)
        assert not is_settled_by_list(decide(known, wish), known, wish)

    def test_a_name_that_is_used_again_tells_nothing(self) -> None:
        """A regenerated token has the name that it had."""
        pinned = replace(CREDENTIAL, strategy=Strategy.REGENERATE)
        token = foreign("ci", comment=Marker("tests", "ci", "r", NOW - 40 * DAY).as_published().comment())
        known = seen(token, record=token, credential=pinned)
        assert decide(known).finding.reason is Reason.DUE
        assert not is_settled_by_list(decide(known), known, Request())
