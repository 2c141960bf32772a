"""An observation put in the protocol's terms: whose a token is, what is current, above, old, held. Pure.

What it does not do: decide. ``rotator.policy`` asks it and decides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from rotator.marker import Marker, Name
from rotator.model import (
    Credential,
    Destination,
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

SPREAD = 0.1
"""The share of the interval over which credentials of one interval are spread, by a hash of their names."""
MARGIN = timedelta(seconds=2)
"""PVE's ``Date`` header has whole seconds, so our idea of its clock is that far off at most."""


@dataclass
class View:
    """An observation put in the protocol's terms. What the checks ask is worked out at once, in the order below."""

    seen: Observation
    request: Request = field(default_factory=Request)

    credential: Credential = field(init=False)
    """The credential that was observed."""
    now: datetime = field(init=False)
    """PVE's time."""
    record: Token | None = field(init=False)
    """The token that the primary holds."""
    markers: dict[TokenId, Marker] = field(init=False)
    """The markers of the tokens that are this credential's own."""
    current: TokenState | None = field(init=False)
    """The token that the record names, as PVE knows it."""
    marker: Marker | None = field(init=False)
    """The marker of the token that the record names, if that lives and is ours."""
    due: datetime | None = field(init=False)
    """When the token that the record names is old enough to be replaced; None when its age is not known."""
    ours: tuple[TokenState, ...] = field(init=False)
    """Our tokens, and the predecessors that these name (an adopted token is one), lowest serial first."""
    above: tuple[TokenState, ...] = field(init=False)
    """Our tokens that the record does not name and whose serial is above its own; all of them without a record."""
    above_old: tuple[TokenState, ...] = field(init=False)
    """Those above that are too old for a rotation that is under way."""
    others: tuple[TokenState, ...] = field(init=False)
    """Our tokens that neither the record names nor stand above it."""
    stale_mirrors: tuple[int, ...] = field(init=False)
    """The indices of the mirrors that do not show the record's token, or could not be read."""

    def __post_init__(self) -> None:
        """Work out what the checks ask."""
        seen = self.seen
        self.credential, self.now = seen.credential, seen.now
        self.record = seen.primary.token if isinstance(seen.primary, Held) else None
        found = ((token.id, own_marker(seen.credential, token)) for token in seen.tokens)
        self.markers = {token: marker for token, marker in found if marker}
        self.current = next((token for token in seen.tokens if self.record and token.id == self.record.id), None)
        self.marker = self.markers.get(self.current.id) if self.current else None
        self.due = due_at(self.credential, self.marker.issued) if self.marker else None
        self.ours = self._ours()
        self.above = self._above()
        self.above_old = tuple(token for token in self.above if not self.is_fresh(token))
        self.others = tuple(token for token in self.ours if token not in self.above and token != self.current)
        self.stale_mirrors = tuple(i for i, it in enumerate(seen.destinations) if i and not self.is_current(it))

    @property
    def shown(self) -> Iterator[tuple[Destination, TokenId]]:
        """Yield the destinations that hold a token, and which one."""
        for place, seen in zip(self.credential.destinations, self.seen.destinations, strict=True):
            if isinstance(seen, Held) and seen.token:
                yield place, seen.token.id

    @property
    def may_adopt(self) -> bool:
        """Whether a token that we did not make may be taken over."""
        return self.credential.adopt or self.request.adopt

    @property
    def is_pinned(self) -> bool:
        """Whether the token keeps its name for ever."""
        return self.credential.strategy is Strategy.REGENERATE

    def is_pinned_token(self, token: TokenId) -> bool:
        """Whether it is the one token that a pinned credential is about."""
        return self.is_pinned and token == TokenId(self.credential.userid, self.credential.base)

    def _ours(self) -> tuple[TokenState, ...]:
        mine = (token for token in self.seen.tokens if token.id in self.markers or self.is_left_to_us(token))
        return tuple(sorted(mine, key=lambda token: (self.serial(token.id), token.id.name)))

    def is_left_to_us(self, token: TokenState) -> bool:
        """Whether it is a predecessor of ours that is nobody else's: what was copied from another credential is."""
        return self.is_predecessor(token) and not sibling_of(self.credential, token)

    def is_predecessor(self, token: TokenState) -> bool:
        """Whether one of ours names it as its predecessor, or has retired it.

        A name of our form is never used twice, so it is that very token. Any other may be: what was adopted bears our
        marker from its retirement on, which comes before its successor is marked; a namesake that somebody has made
        since does not. Its successor may be gone before it, as after a rotation without overlap.
        """
        successors = [marker for marker in self.markers.values() if marker.after == token.id.name]
        if Name.parse(token.id.name):
            return bool(successors)
        if is_marked_by(self.credential, token):
            return bool(successors) or token.expire is not None
        return any(not marker.published for marker in successors)

    def is_adopted(self, token: TokenState) -> bool:
        """Whether somebody else made it under a name that may be used again, and it does not bear our marker yet."""
        return Name.parse(token.id.name) is None and not is_marked_by(self.credential, token)

    def is_foreign(self, token: TokenId) -> bool:
        """Whether somebody else made it: it lives without our marker, or is gone and has not our form."""
        if any(token == mine.id for mine in self.ours):
            return False
        has_our_form = self.serial(token) > 0 or self.is_pinned_token(token)
        return not has_our_form or any(token == seen.id for seen in self.seen.tokens)

    def sibling(self, token: TokenId) -> str:
        """Return who else of the configuration has a token; empty when nobody has.

        The cluster's operator, or the credential that issued it or took it over: that one ends it, when its own
        consumers have gone on.
        """
        state = next((it for it in self.seen.tokens if it.id == token), None)
        return sibling_of(self.credential, state) if state else ""

    def serial(self, token: TokenId) -> int:
        """Return the serial in a token's name; 0 for a token that does not have our form."""
        name = Name.parse(token.name)
        return name.serial if name and name.base == self.credential.base else 0

    @property
    def next_serial(self) -> int:
        """One above all that was seen, whoever made it: at PVE, and in every destination."""
        held = (it.token.id for it in self.seen.destinations if isinstance(it, Held) and it.token)
        return 1 + max((self.serial(token) for token in (*(it.id for it in self.seen.tokens), *held)), default=0)

    def _above(self) -> tuple[TokenState, ...]:
        if self.record is None:
            return tuple(token for token in self.ours if token.id in self.markers)
        floor = self.serial(self.record.id)
        return tuple(
            token
            for token in self.ours
            if token.id != self.record.id and token.id in self.markers and self.serial(token.id) > floor
        )

    def is_fresh(self, token: TokenState) -> bool:
        """Whether the rotation that issued it may still be under way.

        Not so what was issued long after now, by a clock that was set back since: it would be waited for until then.
        """
        return abs(self.now - self.markers[token.id].issued) < self.credential.in_flight

    @property
    def is_finished(self) -> bool:
        """Whether the record's token is ours and marked published, and every key of the record shows it."""
        marker = self.markers.get(self.record.id) if self.record else None
        return marker is not None and marker.published and self.is_complete

    @property
    def is_complete(self) -> bool:
        """Whether every key of the primary's record shows its token as configured."""
        return isinstance(self.seen.primary, Held) and self.seen.primary.is_complete

    @property
    def current_is_dead(self) -> bool:
        """Whether the published token cannot log in: gone, expired, or with another secret than the record's."""
        return self.current is None or self.current.is_expired(self.now) or self.seen.accepted is False

    @property
    def expiring_at(self) -> datetime | None:
        """When the published token comes too near to its own end, if it has one."""
        issued = self.marker.issued if self.marker else None
        return expiring_at(self.credential, issued, self.current.expire) if self.current else None

    def is_current(self, held: Held | Unread) -> bool:
        """Whether a destination shows the record's token under every key."""
        return isinstance(held, Held) and held.token == self.record and held.is_complete

    def is_held(self, token: TokenState) -> bool:
        """Whether any destination holds it, or may hold it because it was not read."""
        return any(
            isinstance(it, Unread) or (it.token is not None and it.token.id == token.id)
            for it in self.seen.destinations
        )

    def was_published(self, token: TokenState) -> bool:
        """Whether consumers may have read one of ours: it is marked so, or a destination holds it."""
        held, marker = (it.token for it in self.seen.destinations if isinstance(it, Held)), self.markers[token.id]
        return marker.published or marker.taken_back or any(it is not None and it.id == token.id for it in held)

    @property
    def overlap(self) -> timedelta:
        """How long an old token lives on in this run."""
        return self.request.overlap_of(self.credential)

    def must_be_retired(self, token: TokenState) -> bool:
        """Whether PVE enforces no end of it within the overlap."""
        return token.expire is None or token.expire > deadline(self.now, self.overlap) + MARGIN

    def forgotten_with(self, token: TokenState) -> tuple[TokenState, ...]:
        """Return what nothing but its name in that token's marker tells as ours, and what PVE does not end yet."""
        marker = self.markers.get(token.id)
        named = (it for it in self.others if marker and it.id.name == marker.after and it.id not in self.markers)
        return tuple(it for it in named if self.must_be_retired(it))


def deadline(now: datetime, overlap: timedelta) -> datetime:
    """Return when a token that is retired now dies: whole seconds, never less than the overlap."""
    end = now + overlap
    return end if end.microsecond == 0 else end.replace(microsecond=0) + timedelta(seconds=1)


def is_marked_by(credential: Credential, token: TokenState) -> bool:
    """Whether a token bears this credential's marker, whatever its name."""
    marker = Marker.parse(token.comment)
    return marker is not None and is_of(credential, marker)


def is_of(credential: Credential, marker: Marker) -> bool:
    """Whether a marker is this credential's of this owner."""
    return marker.credential == credential.name and marker.owner == credential.owner


def sibling_of(credential: Credential, token: TokenState) -> str:
    """Return who else of the configuration has a token, by its marker or as the operator; empty when nobody has."""
    if token.id == credential.operator:
        return "the cluster's operator"
    marker = Marker.parse(token.comment) if credential.siblings else None
    if marker is None or marker.owner != credential.owner or marker.credential == credential.name:
        return ""
    return f"the credential {marker.credential}" if marker.credential in credential.siblings else ""


def own_marker(credential: Credential, token: TokenState) -> Marker | None:
    """Return the marker of a token that this credential of this owner issued, else None."""
    marker = Marker.parse(token.comment)
    if marker is None or not is_of(credential, marker):
        return None
    if credential.strategy is Strategy.REGENERATE:
        return marker if token.id.name == credential.base else None
    name = Name.parse(token.id.name)
    return marker if name and name.base == credential.base else None


def at_a_glance(credential: Credential, user: UserState, now: datetime) -> Observation:
    """Take the newest token marked published for the one that the record names, as the policy does at a glance."""
    marked = [(marker, token) for token in user.tokens if (marker := own_marker(credential, token))]
    published = [(marker.issued, token.id) for marker, token in marked if marker.published]
    held = Held(Token(max(published)[1], Secret("")) if published else None)
    return Observation(credential, now, user.tokens, (held,) * len(credential.destinations))


def due_at(credential: Credential, issued: datetime) -> datetime:
    """Return when a token issued then is due: after the interval, less up to a tenth of it by a hash of the name."""
    digest = hashlib.sha256(f"{credential.owner}/{credential.cluster}/{credential.name}".encode()).digest()
    share = int.from_bytes(digest[:4]) / 2**32
    return issued + credential.every * (1 - SPREAD * share)


def expiring_at(credential: Credential, issued: datetime | None, expire: datetime | None) -> datetime | None:
    """Return when a token comes too near to its own end: past 2/3 of its life, or twice the overlap before its end."""
    if expire is None:
        return None
    latest = expire - 2 * credential.overlap
    return latest if issued is None else min(issued + (expire - issued) * 2 / 3, latest)


def at(when: datetime | None) -> str:
    """Write a time for people."""
    return "never" if when is None else f"{when.replace(tzinfo=None).isoformat(' ', 'seconds')}Z"
