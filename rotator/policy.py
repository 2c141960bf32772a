"""What should happen to a credential: an ordered list of small pure checks, the first finding counts.

Nothing here does I/O, reads a clock or draws a random number: an observation goes in, a finding comes out, with a
reason for machines (kebab-case, the same in logs, metrics and JSON) and a sentence for people. It does *not* say which
calls are made; ``rotator.plan`` does. It does not know how a record is read or a token made.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rotator import windows
from rotator.durations import spell_duration
from rotator.marker import Marker, Name
from rotator.model import (
    Credential,
    Held,
    Observation,
    Request,
    Secret,
    Strategy,
    Token,
    TokenId,
    TokenState,
    Unread,
    UserState,
)
from rotator.view import MARGIN, View, at, is_marked_by, own_marker

MOST_ORPHANS = 3
_NO_SECRET = Secret("")
"""Stands for the secret of a record that need not be read."""


class Reason(StrEnum):
    """Why something happens, or does not."""

    PAUSED = "paused"
    RECORD_UNREADABLE = "record-unreadable"
    NOT_ADOPTED = "not-adopted"
    OTHER_TOKEN = "other-token"  # noqa: S105 - no password
    USER_DISABLED = "user-disabled"
    PUBLISHED_TOKEN_DEAD = "published-token-dead"  # noqa: S105 - no password
    FORCED = "forced"
    ROTATION_IN_FLIGHT = "rotation-in-flight"
    TOO_MANY_ORPHANS = "too-many-orphans"
    RECORD_ROLLED_BACK = "record-rolled-back"
    ORPHAN = "orphan"
    EXPIRING = "expiring"
    OVERLAP_PASSED = "overlap-passed"
    UNFINISHED = "unfinished"
    NOT_RETIRED = "not-retired"
    FIRST_ISSUE = "first-issue"
    ADOPT = "adopt"
    DUE = "due"
    UP_TO_DATE = "up-to-date"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: why, in words for people, about which token, and (when nothing is to do) until when."""

    reason: Reason
    message: str
    token: TokenState | None = None
    until: datetime | None = None
    hint: str = ""


# The checks, in the order in which they are asked.


def paused(view: View) -> Finding | None:
    """Leave a paused credential alone, unless it was asked for by name."""
    if view.credential.paused and not view.request.forced:
        return Finding(Reason.PAUSED, "paused in the configuration")
    return None


def record_unreadable(view: View) -> Finding | None:
    """Decide nothing while the primary cannot be read."""
    if isinstance(view.seen.primary, Unread):
        return Finding(Reason.RECORD_UNREADABLE, view.seen.primary.message, hint=view.seen.primary.hint)
    return None


def other_token(view: View) -> Finding | None:
    """Refuse a token that cannot be this credential's: another user's in any destination, or not the pinned one."""
    credential = view.credential
    for place, found in view.shown:
        is_fixed = view.is_pinned and place == credential.primary
        wanted = TokenId(credential.userid, credential.base if is_fixed else found.name)
        if found != wanted:
            return Finding(
                Reason.OTHER_TOKEN,
                f"{place.label} holds {found}, this credential is about {wanted}",
                hint="set `user:` (and with `strategy: regenerate` also `base:`) to that token's, or give this "
                "credential a destination of its own",
            )
    return None


def not_adopted(view: View) -> Finding | None:
    """Refuse a token that we did not make until we are told to take it over."""
    if view.may_adopt:
        return None
    where = next(foreign(view), None)
    if where is None:
        return None
    return Finding(
        Reason.NOT_ADOPTED,
        f"{where}, which this credential did not issue",
        hint=f"to take it over: rotate adopt {view.credential.name}, or set `adopt: true`",
    )


def foreign(view: View) -> Iterator[str]:
    """Tell where tokens are that stand in our place and that somebody else made."""
    for place, token in view.shown:
        if view.is_foreign(token):
            yield f"{place.label} holds {token}"
    for it in view.seen.tokens:
        if view.is_pinned_token(it.id) and view.is_foreign(it.id):
            yield f"PVE has {it.id}"


def user_disabled(view: View) -> Finding | None:
    """Stop where no token, old or new, can log in."""
    if view.seen.user_usable:
        return None
    userid = view.credential.userid
    return Finding(
        Reason.USER_DISABLED,
        f"{userid} is disabled or has expired at PVE: no token of it can log in",
        view.current,
        hint=f"pveum user modify {userid} --enable 1 --expire 0",
    )


def published_token_dead(view: View) -> Finding | None:
    """Replace at once what cannot log in, whatever else is in flight."""
    if view.record is None:
        return None
    name = view.record.id
    if view.current is None:
        return Finding(Reason.PUBLISHED_TOKEN_DEAD, f"{name} is published and does not exist at PVE")
    if view.current.is_expired(view.now):
        return Finding(Reason.PUBLISHED_TOKEN_DEAD, f"{name} is published and expired at {at(view.current.expire)}")
    if view.seen.accepted is False:
        return Finding(Reason.PUBLISHED_TOKEN_DEAD, f"{name} is published with a secret that PVE does not accept")
    return None


def forced(view: View) -> Finding | None:
    """Do what was asked for, whatever is in flight: the publish makes the other one lose."""
    if not view.request.forced:
        return None
    return Finding(
        Reason.FORCED, "asked for" if not view.request.compromised else "asked for: the token is compromised"
    )


def rotation_in_flight(view: View) -> Finding | None:
    """Leave a rotation alone that somebody may be at."""
    token = next((token for token in view.above if view.is_fresh(token)), None)
    if token is None:
        return None
    until = view.markers[token.id].issued + view.credential.in_flight
    return Finding(
        Reason.ROTATION_IN_FLIGHT,
        f"{token.id} was issued at {at(view.markers[token.id].issued)} and is not published: "
        "a rotation may be under way",
        token,
        until,
        hint=f"wait until {at(until)}, or, if no other run is alive: rotate now {view.credential.name}",
    )


def too_many_orphans(view: View) -> Finding | None:
    """Stop when rotations go on failing in a way that leaves tokens behind.

    A token that was published and taken back counts too, unless it retires, as where somebody rotated by hand since,
    or the record's own does: then it is the record that is old, and going forward helps.
    """
    all_count = view.current is not None and view.must_be_retired(view.current)
    orphans = [
        token
        for token in view.above_old
        if not view.was_published(token) or (all_count and view.must_be_retired(token))
    ]
    if len(orphans) <= MOST_ORPHANS:
        return None
    names = ", ".join(str(token.id) for token in orphans)
    return Finding(
        Reason.TOO_MANY_ORPHANS,
        f"{len(orphans)} tokens were issued and are not published: {names}",
        hint="something goes on failing between issue and confirm; find it in the log, delete these tokens, run again",
    )


def record_rolled_back(view: View) -> Finding | None:
    """Go forward when the record is older than what was published, as after a restored backup.

    Consumers may hold the published token, so it is no orphan: once a new one is published, it is retired like any
    other. A mirror is written after the primary, so what a mirror holds was published.
    """
    if view.record is None:
        return None
    token = next((token for token in view.above_old if view.was_published(token)), None)
    if token is None:
        return None
    return Finding(
        Reason.RECORD_ROLLED_BACK,
        f"{view.credential.primary.label} holds {view.record.id} although {token.id} was published later: "
        "an older state was put back",
        token,
    )


def orphan(view: View) -> Finding | None:
    """Delete what was issued and never published. Without a record there is nothing to fence with: issue first.

    A mirror that is down may hold it, so that it waits.
    """
    token = next((token for token in view.above_old if not view.is_held(token)), None)
    if view.record is None or token is None:
        return None
    issued = at(view.markers[token.id].issued)
    return Finding(Reason.ORPHAN, f"{token.id} was issued at {issued} and never published", token)


def expiring(view: View) -> Finding | None:
    """Replace what would soon die by itself; no window and no mirror that is down may delay this."""
    when = view.expiring_at
    if view.current is None or when is None or view.now < when:
        return None
    return Finding(Reason.EXPIRING, f"{view.current.id} expires at {at(view.current.expire)}")


def overlap_passed(view: View) -> Finding | None:
    """Tidy up a token that PVE has refused since its deadline, unless it alone tells that another one is to end."""
    for token in (*view.others, *(view.above if view.record is None else ())):
        if token.expire is not None and token.expire <= view.now - MARGIN and not view.forgotten_with(token):
            return Finding(Reason.OVERLAP_PASSED, f"the overlap of {token.id} ended at {at(token.expire)}", token)
    return None


def unfinished(view: View) -> Finding | None:
    """Finish a rotation before the old token is retired or a new one is begun."""
    if view.record is None or view.record.id not in view.markers:
        return None
    if view.stale_mirrors:
        names = ", ".join(view.credential.destinations[i].label for i in view.stale_mirrors)
        return Finding(Reason.UNFINISHED, f"{names}: not yet {view.record.id}", view.current)
    if not view.is_complete:
        message = f"not every key of {view.credential.primary.label} shows {view.record.id} as configured"
        return Finding(Reason.UNFINISHED, message, view.current)
    if not view.is_finished:
        return Finding(Reason.UNFINISHED, f"{view.record.id} is published and not yet confirmed", view.current)
    return None


def not_retired(view: View) -> Finding | None:
    """Set an end to what was replaced and no destination holds any more."""
    if view.record is None or view.record.id not in view.markers:
        return None
    for token in view.others:
        if view.must_be_retired(token) and not view.is_held(token):
            return Finding(Reason.NOT_RETIRED, f"{token.id} was replaced by {view.record.id} and has no end yet", token)
    return None


def first_issue(view: View) -> Finding | None:
    """Fill a destination that holds nothing."""
    if view.record is None:
        return Finding(Reason.FIRST_ISSUE, f"{view.credential.primary.label} holds no token yet")
    return None


def due(view: View) -> Finding | None:
    """Replace what is older than its interval, and what nobody knows the age of; a maintenance window may delay it."""
    finding = adoption(view) or older_than_interval(view)
    return finding if finding and not waiting_for_window(view) else None


def adoption(view: View) -> Finding | None:
    """Take over a token that somebody else made."""
    if view.record is None or view.record.id in view.markers:
        return None
    if other := view.sibling(view.record.id):
        return Finding(Reason.ADOPT, f"{view.record.id} is a token of {other}, which goes on with it")
    return Finding(Reason.ADOPT, f"{view.record.id} was made by somebody else; its age is unknown")


def older_than_interval(view: View) -> Finding | None:
    """Find a token of ours whose time has come."""
    if view.marker is None or view.due is None or view.now < view.due:
        return None
    return Finding(
        Reason.DUE, f"issued at {at(view.marker.issued)}, to be replaced every {spell_duration(view.credential.every)}"
    )


def waiting_for_window(view: View) -> bool:
    """Whether there are maintenance windows and none is open."""
    return bool(view.credential.windows) and not any(windows.is_open(it, view.now) for it in view.credential.windows)


CHECKS: tuple[Callable[[View], Finding | None], ...] = (
    paused,
    record_unreadable,
    other_token,
    not_adopted,
    user_disabled,
    published_token_dead,
    forced,
    rotation_in_flight,
    too_many_orphans,
    record_rolled_back,
    orphan,
    expiring,
    overlap_passed,
    unfinished,
    not_retired,
    first_issue,
    due,
)

REGENERATE_CHECKS: tuple[Callable[[View], Finding | None], ...] = (
    paused,
    record_unreadable,
    other_token,
    not_adopted,
    user_disabled,
    published_token_dead,
    forced,
    expiring,
    unfinished,
    first_issue,
    due,
)
"""In place there is one token and no other: nothing to be in flight, retired, revoked or an orphan."""


def judge(seen: Observation, request: Request | None = None) -> Finding:
    """Return the first finding, or that all is well until a time. Total: every observation has an answer."""
    view = View(seen, request or Request())
    checks = REGENERATE_CHECKS if seen.credential.strategy is Strategy.REGENERATE else CHECKS
    found = next((finding for check in checks if (finding := check(view))), None)
    return found or up_to_date(view)


def judge_at_a_glance(credential: Credential, user: UserState, now: datetime) -> Finding | None:
    """Say that nothing is to do from PVE's list of tokens alone, or None when the record must be read.

    Names, comments and deadlines are all in one list call for a whole cluster: one live token marked published, not
    due, and none to retire or revoke. It takes the highest token marked published for the one that the record names;
    that an outsider changed the record is found by ``verify``, which reads everything.
    """
    if credential.paused:
        return Finding(Reason.PAUSED, "paused in the configuration")
    if not user.is_usable(now):
        return None
    owned = [token for token in user.tokens if own_marker(credential, token)]
    newest = max(owned, key=lambda token: name.serial if (name := Name.parse(token.id.name)) else 0, default=None)
    if newest is None or names_unmarked(credential, newest, user):
        return None
    held = Held(Token(newest.id, _NO_SECRET))
    seen = Observation(credential, now, user.tokens, (held,) * len(credential.destinations))
    finding = judge(seen)
    return finding if finding.reason is Reason.UP_TO_DATE else None


def names_unmarked(credential: Credential, newest: TokenState, user: UserState) -> bool:
    """Whether what was adopted lives on without our marker: its record may have been put back, so it must be read."""
    marker = Marker.parse(newest.comment)
    if marker is None or not marker.after:
        return False
    named = [token for token in user.tokens if token.id.name == marker.after]
    return any(Name.parse(token.id.name) is None and not is_marked_by(credential, token) for token in named)


def up_to_date(view: View) -> Finding:
    """Say that nothing is to do, and when that changes."""
    until = min(changes(view), default=None)
    name = f"{view.record.id} is current" if view.record else "nothing is published"
    return Finding(
        Reason.UP_TO_DATE, name if until is None else f"{name}; next change {at(until)}", view.current, until
    )


def changes(view: View) -> Iterator[datetime]:
    """Yield the times at which something will be to do."""
    when = view.due or view.now
    if view.credential.windows:
        when = windows.next_opening(view.credential.windows, max(when, view.now)) or when
    if when > view.now:
        yield when
    if expiring_at := view.expiring_at:
        yield expiring_at
    yield from (token.expire + MARGIN for token in view.others if token.expire)
