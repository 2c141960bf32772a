"""What a run means for its credential: how it stands now, and when it is woken again. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rotator.errors import ExitCode
from rotator.fleet import OPERATOR_UNUSABLE
from rotator.plan import STOPPED
from rotator.policy import Reason
from rotator.rotate import CLUSTER_UNREACHABLE, INTERRUPTED, Result
from rotator.service.backoff import Backoff
from rotator.service.roster import Entry
from rotator.service.standing import CredentialStanding, Ended, State, TokenSight, Trigger

PERSON = STOPPED - {Reason.RECORD_UNREADABLE}
"""Reasons that no retry takes away. A store that cannot be read may be down; that one gets its retries."""
UNSEEN = frozenset({CLUSTER_UNREACHABLE, OPERATOR_UNUSABLE})
"""Reasons that tell of the cluster, and nothing of the credential."""
AFTER = timedelta(seconds=1)
"""How long after a change somebody is woken: PVE's clock is known to half a second."""
SOONEST = timedelta(seconds=5)
"""Nobody is woken sooner, whatever was said of the next change."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One moment on our axis, on our wall clock, and on PVE's clock where that is known."""

    axis: datetime
    wall: datetime
    pve: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What the configuration says of waiting. ``look`` is the next one; ``follows_changes`` is False with ``cron``."""

    backoff: Backoff
    look: datetime
    follows_changes: bool = True


def entry_after(entry: Entry, result: Result, moment: Moment, rules: Rules) -> Entry:
    """Return when a credential is woken again."""
    if result.reason == INTERRUPTED:
        return replace(entry, change=moment.axis, held_until=None)
    calm = replace(entry, change=_change(result, moment), why=Trigger.CHANGE, held_until=None, wish=None)
    if result.exit_code is ExitCode.DONE:
        return replace(calm, failures=0, change=calm.change if rules.follows_changes else None)
    if result.exit_code is ExitCode.IN_FLIGHT:
        return replace(calm, change=calm.change or moment.axis + rules.backoff.first)
    failures = entry.failures + 1
    held_until = moment.axis + rules.backoff.after(failures)
    if result.reason == CLUSTER_UNREACHABLE:  # nobody was bothered: it is asked again at each look
        held_until = max(moment.axis + SOONEST, min(held_until, rules.look))
    return replace(calm, failures=failures, held_until=held_until)


def _change(result: Result, moment: Moment) -> datetime | None:
    """Put the next change, which is on PVE's clock, on the axis."""
    if result.until is None or moment.pve is None:
        return None
    return moment.axis + max(result.until - moment.pve + AFTER, SOONEST)


def standing_after(
    before: CredentialStanding,
    *,
    entry: Entry,
    after: Entry,
    result: Result,
    moment: Moment,
    rules: Rules,
    tokens: tuple[TokenSight, ...] | None,
) -> CredentialStanding:
    """Return how a credential stands after a run. ``tokens`` is None where PVE's list is not known."""
    if result.reason == INTERRUPTED and not result.done:
        return before
    is_well = result.exit_code is ExitCode.DONE
    is_news = bool(result.done) or not is_well
    wake = after.wake(rules.look, moment.axis)
    return replace(
        before,
        state=state_of(before.state, result, after.failures, rules.backoff),
        reason=str(result.reason),
        message=result.message,
        hint=result.hint,
        token=result.token or before.token,
        last=Ended(moment.wall, entry.trigger(moment.axis), result, entry.wish.who if entry.wish else "")
        if is_news
        else before.last,
        seen=moment.wall,
        well=moment.wall if is_well else before.well,
        failures=after.failures,
        backoff_until=_on_the_wall(after.held_until, moment),
        next_wake=_on_the_wall(wake, moment),
        next_change=result.until,
        tokens=before.tokens if tokens is None else tokens,
    )


def state_of(before: State, result: Result, failures: int, backoff: Backoff) -> State:
    """Say in a word how a credential stands.

    Who was locked out stays so until something is well again; who needs a person, while nobody can look.
    """
    if result.exit_code is ExitCode.DONE:
        return State.PAUSED if result.reason == Reason.PAUSED else State.WELL
    if before is State.LOCKED_OUT or result.exit_code is ExitCode.LOCKED_OUT:
        return State.LOCKED_OUT
    if result.exit_code is ExitCode.IN_FLIGHT:
        return State.WAITING
    is_left = before is State.NEEDS_ATTENTION and result.reason in UNSEEN
    needs_person = is_left or backoff.is_spent(failures) or result.reason in PERSON
    return State.NEEDS_ATTENTION if needs_person else State.FAILING


def _on_the_wall(when: datetime | None, moment: Moment) -> datetime | None:
    return None if when is None else moment.wall + (when - moment.axis)
