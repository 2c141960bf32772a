"""From a finding to the steps that will be done: pure, so that a dry run is this plan printed.

The steps (``rotator.steps``) are a closed union that ``rotator.rotate`` executes. Serials are decided here, the random
part of a name is not: it is drawn when the token is issued.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rotator.durations import spell_duration
from rotator.marker import foreign_text
from rotator.model import Held, Observation, Request, TokenState
from rotator.policy import Finding, Reason, judge
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
    Step,
    Verify,
)
from rotator.view import View

STOPPED = frozenset(
    {
        Reason.RECORD_UNREADABLE,
        Reason.OTHER_TOKEN,
        Reason.NOT_ADOPTED,
        Reason.USER_DISABLED,
        Reason.TOO_MANY_ORPHANS,
    }
)
"""Findings that need a person: nothing is done and the run fails."""

QUIET = frozenset({Reason.PAUSED, Reason.UP_TO_DATE, Reason.ROTATION_IN_FLIGHT})
"""Findings that need nobody."""

URGENT = frozenset({Reason.PUBLISHED_TOKEN_DEAD, Reason.FORCED, Reason.EXPIRING, Reason.RECORD_ROLLED_BACK})
"""Rotations that do not wait for a mirror that is down."""


SETTLED_BY_LIST = frozenset({Reason.FIRST_ISSUE, Reason.FORCED, Reason.EXPIRING, Reason.DUE})
"""Rotations in which nothing is found but the record's own token, and nothing is done to another one."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What was found and the steps that follow from it, in order; none when nothing is to do or a person is needed."""

    finding: Finding
    steps: tuple[Step, ...] = ()

    @property
    def is_stopped(self) -> bool:
        """Whether a person is needed."""
        return self.finding.reason in STOPPED

    @property
    def issues(self) -> bool:
        """Whether it makes a new secret."""
        return any(isinstance(step, Issue | Regenerate) for step in self.steps)


def is_settled_by_list(plan: Plan, seen: Observation, request: Request) -> bool:
    """Say whether a plan holds although the tokens were listed before the destinations were read, and not after.

    It is a rotation, all that the destinations hold is in the list and is finished. What happened in between can then
    only be that somebody else has begun a rotation, or ended one that was taken back: the compare-and-set decides
    between the two, and a retirement lists the tokens again. After a compromise the list says what is revoked, and a
    regenerated token keeps its name, so neither is settled.
    """
    if request.compromised or plan.finding.reason not in SETTLED_BY_LIST:
        return False
    view = View(seen)
    listed = {token.id for token in seen.tokens}
    held = [it.token for it in seen.destinations if isinstance(it, Held) and it.token]
    is_finished = view.record is None or view.is_finished
    return is_finished and not view.is_pinned and all(token.id in listed for token in held)


def decide(seen: Observation, request: Request | None = None) -> Plan:
    """Plan the next act. Total, pure, and the same for the same observation."""
    view = View(seen, request or Request())
    finding = judge(view.seen, view.request)
    return Plan(finding, tuple(steps_for(finding, view)))


def steps_for(finding: Finding, view: View) -> list[Step]:
    """List the steps of one finding."""
    match finding.reason:
        case reason if reason in STOPPED or reason in QUIET:
            return []
        case Reason.ORPHAN if finding.token:
            return [Fence(), Revoke(finding.token.id)]
        case Reason.OVERLAP_PASSED if finding.token:
            return [Revoke(finding.token.id)]
        case Reason.NOT_RETIRED if finding.token:
            return [end_of(finding.token, view)]
        case Reason.UNFINISHED if finding.token:
            return finish(finding.token, view)
    return regenerate(finding, view) if view.is_pinned else rotate(finding, view)


def end_of(token: TokenState, view: View) -> Step:
    """Retire a token, or revoke it at once where there is no overlap."""
    return Retire(token.id, view.overlap, token.expire) if view.overlap else Revoke(token.id)


def finish(token: TokenState, view: View) -> list[Step]:
    """Take over a rotation that somebody left after publishing.

    The fence comes first: whoever published and is still alive can no longer put the predecessor back.
    """
    if view.is_finished:
        return mirrored(view, view.stale_mirrors)
    confirm: list[Step] = [] if view.seen.accepted else [Confirm()]
    mirrors: list[Step] = [Mirror(i) for i in view.stale_mirrors]
    told = announced(view, range(len(view.credential.destinations)))  # who was told already is not told twice
    adopted = [end_of(it, view) for it in view.others if view.is_adopted(it)]
    return [*confirm, Fence(), *mirrors, *told, *adopted, Mark(token.id)]


def mirrored(view: View, mirrors: Iterable[int]) -> list[Step]:
    """Write mirrors, and tell the consumers of each."""
    return [step for i in mirrors for step in (Mirror(i), *announced(view, (i,)))]


def announced(view: View, destinations: Iterable[int]) -> list[Step]:
    """Tell the consumers of destinations that can be told."""
    return [Announce(i) for i in destinations if view.credential.destinations[i].audience]


def rotate(finding: Finding, view: View) -> list[Step]:
    """Issue a successor and put it in the place of what is published."""
    predecessor = view.current.id if view.current else None
    return [
        Preflight(checked_before(finding, view)),
        Issue(view.next_serial, predecessor),
        *grant_steps(view),
        Verify(predecessor),
        *publication(view),
    ]


def grant_steps(view: View) -> list[Step]:
    """Give the new token its roles; without privilege separation they would have no effect (measured)."""
    return [GrantRoles(view.credential.grants)] if view.credential.privsep else []


def publication(view: View) -> list[Step]:
    """Publish, prove it, copy it to the mirrors, and end what came before.

    After a compromise the old tokens end before the mirrors are written: the leak first.
    """
    published = [Publish(), Confirm(), *announced(view, (0,))]
    mirrors = mirrored(view, range(1, len(view.credential.destinations)))
    if view.request.compromised:
        doomed: list[Step] = [Revoke(token.id) for token in view.ours]
        if view.current and view.current not in view.ours:
            doomed.append(Revoke(view.current.id))
        return [*published, *doomed, *mirrors, Mark(None)]
    if view.current and view.sibling(view.current.id):  # its own consumers use it
        return [*published, *mirrors, Mark(None)]
    if view.current and view.is_adopted(view.current):  # named by its successor until that is marked, so it ends first
        return [*published, *mirrors, end_of(view.current, view), Mark(None)]
    return [*published, *mirrors, Mark(None), *ending(view)]


def ending(view: View) -> list[Step]:
    """End what was published, and before it what would be forgotten with it, as after an unfinished adoption."""
    if view.current is None or not view.must_be_retired(view.current):
        return []
    return [end_of(it, view) for it in (*view.forgotten_with(view.current), view.current)]


def regenerate(finding: Finding, view: View) -> list[Step]:
    """Replace the secret in place, or make the pinned token where there is none. Nothing to retire, revoke or undo."""
    token = next((token for token in view.seen.tokens if view.is_pinned_token(token.id)), None)
    mirrors = mirrored(view, range(1, len(view.credential.destinations)))
    after = [Publish(), Confirm(), *announced(view, (0,)), *mirrors, Mark(None)]
    before = Preflight(checked_before(finding, view))
    if token is None:
        return [before, Issue(None, None), *grant_steps(view), Verify(None), *after]
    return [before, Regenerate(token.id, foreign_text(token.comment)), *after]


def checked_before(finding: Finding, view: View) -> tuple[int, ...]:
    """Return which destinations must be writable before anything is touched: all, in a hurry only the primary."""
    return (0,) if finding.reason in URGENT else tuple(range(len(view.credential.destinations)))


def warnings(view: View) -> list[str]:
    """List what this credential gives up, for the plan."""
    notes = []
    if view.is_pinned:
        notes.append("strategy regenerate has no overlap: consumers are locked out until they read the new secret")
    elif not view.overlap:
        notes.append("no overlap: a consumer that has not yet read the new token fails")
    elif view.overlap <= view.credential.in_flight:
        overlap, in_flight = spell_duration(view.overlap), spell_duration(view.credential.in_flight)
        notes.append(
            f"the overlap ({overlap}) is not longer than in_flight ({in_flight}): where an older record is put back "
            "meanwhile, its token may end before a run looks at it"
        )
    if view.record and (other := view.sibling(view.record.id)):
        notes.append(f"{view.record.id} is a token of {other}, which goes on with it")
    elif view.record and view.is_foreign(view.record.id):
        notes.append(f"{view.record.id} was made by somebody else; it is retired and revoked like any other")
    return notes
