"""What must hold at every moment (I1, I2, I4, I5, I6), looked at after each single call; and what must come of it (I3).

The consumers of all kinds are there at once. A fresh one reads the record anew each time that it logs in. Stale ones
read it at any moment and not again for the overlap: so each record that was ever there must log in until the overlap
has passed since it was there last. One that reads every overlap is among them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TypeVar

from rotator.marker import Marker, Name
from rotator.model import Credential, Strategy
from rotator.testing import access
from rotator.testing.state import State
from rotator.testing.state import Token as PveToken
from tests.explore.direct import Guard, at_once
from tests.explore.world import MINUTE, World, shown

T = TypeVar("T")
Shown = tuple[str, str]
"""What a consumer shows: token id and secret."""

_ID = re.compile(r"rotation=\S+")
"""The id of a rotation: it decides nothing."""
SLACK = 2.0
"""Seconds: ends are whole ones, and PVE's clock is known to one."""


@dataclass
class Watch:
    """Looks at one credential's records and tokens. ``violations`` says what was seen going wrong, each thing once."""

    world: World
    credential: Credential
    overlaps: tuple[timedelta, ...] = ()
    """What other rotators are configured to leave: consumers may rely on the least, no end is beyond the most."""
    foreign: Mapping[str, PveToken] = field(default_factory=dict)
    """Tokens of the same user that are nobody's business, as they must stay."""
    violations: list[str] = field(default_factory=list)
    looks: int = 0

    def __post_init__(self) -> None:
        """Begin with what is there."""
        overlaps = (self.credential.overlap, *self.overlaps)
        self._rely, self._longest = min(overlaps).total_seconds(), max(overlaps).total_seconds()
        self._wanted = dict(self._privileges())
        self._notes = {name: foreign_keys(self._content(name)) for name in self._places}
        self._seen: object = None
        self._read: dict[Shown, float] = {}
        self._ends: dict[str, int] = {}
        self._latest: dict[str, float] = {}
        """Of two that retire a token at once the later end may win; each counts from before there was one."""
        self._may_fall = False
        self._excused: set[str] = set()
        """What somebody else has ended or deleted."""
        self._put: set[str] = set()
        """What somebody else has put back into a record: it works until its end, as it would have without that."""
        self._unknown: dict[str, float] = {}
        """What nothing tells to have been published since somebody else has changed the record, and from when on it may
        be taken for an orphan, unless its publisher marks it before."""
        self._serial = 0
        self.published: list[str] = []
        """The tokens that the primary has held, one after the other."""
        held = token_in(self._content(self._places[0]))
        if held and not self.credential.lifetime and (self.world.pve.token(held[0]) or {}).get("expire"):
            self._excuse(held)  # somebody has put it back
        self.look("the beginning")
        self.held_first = len(self.published)

    @property
    def _is_pinned(self) -> bool:
        """Whether an old secret dies when a new one is made, so that only the end of a run can be looked at."""
        return self.credential.strategy is Strategy.REGENERATE

    @property
    def _places(self) -> list[str]:
        return [it.location for it in self.credential.destinations]

    def _content(self, name: str) -> dict[str, str]:
        return self.world.read(name)

    def _privileges(self) -> Iterator[tuple[str, frozenset[str]]]:
        """Tell what the published token must be able to do: what is declared, or else what the first one may."""
        state, userid = self.world.state, self.credential.userid
        for grant in self.credential.grants or ():
            theirs = access.permissions(state, userid, grant.path)
            yield grant.path, state.roles[grant.role] & theirs.keys()
        if self.credential.grants is None and (now := token_in(self._content(self._places[0]))):
            yield from ((path, frozenset(held)) for path, held in access.effective(state, now[0]).items())

    def guard(self, inner: Guard = at_once) -> Guard:
        """Look after each call, whatever came of it."""

        def looking(label: str, call: Callable[[], T], /) -> T:
            try:
                return inner(label, call)
            finally:
                self.look(label)

        return looking

    def look(self, where: str) -> None:
        """Look now. Where nothing has changed since the last look, it would see the same."""
        self.looks += 1
        world = self.world
        seen = (id(world.state), world.clock.seconds, *(id(world.store.records.get(it)) for it in self._places))
        if seen != self._seen:
            self._seen = seen
            now, state = world.pve.now(), world.state
            self._see_marks()
            self._see_records(state, now, where)
            self._see_readers(now, where)
            self._see_ends(state, now, where)
            self._see_foreigners(state, where)

    def blame(self, what: str, where: str) -> None:
        """Note a violation, unless the same was noted before."""
        if not any(it.startswith(what) for it in self.violations):
            self.violations.append(f"{what} (at: {where})")

    def _see_records(self, state: State, now: float, where: str) -> None:
        contents = [self._content(name) for name in self._places]
        for place, content in zip(self._places, contents, strict=True):
            if (held := token_in(content)) is not None:
                self._read[held] = now
            if foreign_keys(content) != self._notes[place]:
                self.blame(f"I6: foreign keys of {place} are {sorted(foreign_keys(content))}", where)
        if (published := token_in(contents[0])) is not None:
            self._see_published(state, published, where)

    def _see_published(self, state: State, published: Shown, where: str) -> None:
        token = published[0]
        if not (self._is_pinned or self._is_excused(token)):
            if not self.world.pve.accepts(*published):
                self.blame(f"I1: {token} is published and refused", where)
            elif any(missing(state, token, path, wanted) for path, wanted in self._wanted.items()):
                self.blame(f"I1: {token} is published and lacks permissions", where)
        if token not in self.published[-1:]:
            self.published.append(token)
        name = Name.parse(token.rpartition("!")[2])
        serial = name.serial if name else 0
        if serial < self._serial and not self._may_fall:
            self.blame(f"I4: {token} was published after serial {self._serial}", where)
        self._serial = serial

    def _see_readers(self, now: float, where: str) -> None:
        for shown_there, last in self._read.items() if self._rely else ():
            if now > last + self._rely or self._is_excused(shown_there[0]) or self._is_pinned:
                continue
            if not self.world.pve.accepts(*shown_there):
                self.blame(f"I2: {shown_there[0]}, read {timedelta(seconds=now - last)} ago, is refused", where)

    def _see_ends(self, state: State, now: float, where: str) -> None:
        current = {token.rpartition("!")[2] for token, _ in self._read}
        for name, token in state.users[self.credential.userid].tokens.items():
            before = self._ends.get(name, 0)
            if before and not 0 < token.expire <= max(before, self._latest.get(name, 0)):
                self.blame(f"I5: the end of {name} was put off", where)
            if token.expire != before and (before or not self.credential.lifetime):
                self._latest.setdefault(name, now + self._longest + SLACK)
            if token.expire > now + self._longest + SLACK and token.expire != before and not self.credential.lifetime:
                self.blame(
                    f"I5: {name} ends later than the overlap allows{'' if name in current else ', unread'}", where
                )
            self._ends[name] = token.expire

    def _see_foreigners(self, state: State, where: str) -> None:
        tokens = state.users[self.credential.userid].tokens
        for name, token in self.foreign.items():
            if tokens.get(name) != token:
                self.blame(
                    f"I6: {name}, which is nobody's business, was {'changed' if name in tokens else 'deleted'}", where
                )

    def outside(self, action: Callable[[], object]) -> None:
        """Let somebody else do something. What it breaks is no fault of ours; what we make of it is.

        Tokens that it ends or deletes need not log in. What it puts back works until its end: one that it had, or one
        that is over before anybody looks at the record again. What the rotation puts back then may be an older token.
        Once somebody else has changed the record, none but its publisher knows that a token was published which is not
        marked yet: that is protected as long as its rotation counts as in flight, and for good once it is marked.
        """
        before = {name: token_in(self._content(name)) for name in self._places}
        tokens = self.world.state.users[self.credential.userid].tokens
        action()
        after = self.world.state.users[self.credential.userid].tokens
        self._excused |= {f"{self.credential.userid}!{name}" for name in tokens if after.get(name) != tokens[name]}
        for name in self._places:
            self._notes[name] = foreign_keys(self._content(name))
            now = token_in(self._content(name))
            if now != before[name]:
                self._may_fall = True
                self._excuse(now)
                self._unknown |= {token: self._orphaned_at(token) for token, _ in self._read}
        self._may_fall |= bool(self._excused)
        self.look("somebody else")

    def _orphaned_at(self, token: str) -> float:
        """Tell from when on a token of ours that is not marked may be taken for an orphan."""
        marker = self._marker(token)
        return marker.issued.timestamp() + self.credential.in_flight.total_seconds() if marker else 0.0

    def _marker(self, token: str) -> Marker | None:
        return Marker.parse(str((self.world.pve.token(token) or {}).get("comment", "")))

    def _excuse(self, put: Shown | None) -> None:
        token = self.world.pve.token(put[0]) if put else None
        is_noticed_late = self._rely <= self.credential.in_flight.total_seconds()  # it may be retired meanwhile
        if put and (token is None or not self._rely):
            self._excused.add(put[0])
        elif put and token and (token["expire"] or is_noticed_late):
            self._put.add(put[0])

    def _see_marks(self) -> None:
        """Protect for good what is marked as published."""
        for token in list(self._unknown):
            if (marker := self._marker(token)) and marker.published:
                del self._unknown[token]

    def _is_excused(self, token: str) -> bool:
        """Say whether nobody is promised that a token logs in now."""
        now, end = self.world.pve.now(), self._ends.get(token.rpartition("!")[2], 0)
        is_over = token in self._put and 0 < end < now
        return token in self._excused or is_over or now >= self._unknown.get(token, now + 1)

    def fingerprint(self) -> Hashable:
        """Tell all that further looks and runs depend on, without the secrets and ids that differ each time."""
        state, userid = self.world.state, self.credential.userid
        tokens = state.users[userid].tokens
        whose = {token.secret: name for name, token in tokens.items()}
        records = [self.world.store.records.get(name) for name in self._places]
        return (
            self.world.clock.seconds,
            tuple((name, it.expire, it.privsep, _ID.sub("", it.comment)) for name, it in sorted(tokens.items())),
            tuple(
                sorted(
                    (path, holder.name, *roles) for path, node in state.acl.items() for holder, roles in node.items()
                )
            ),
            tuple(
                tuple(sorted((key, whose.get(it, it)) for key, it in shown(stored).items()))
                for stored in records
                if stored
            ),
            tuple(sorted((token, whose.get(secret, ""), last) for (token, secret), last in self._read.items())),
            tuple(sorted(self._ends.items())),
            tuple(sorted(self._latest.items())),
            (tuple(sorted(self._excused)), tuple(sorted(self._put)), tuple(sorted(self._unknown.items()))),
            (self._may_fall, self._serial),
        )


def comes_to_rest(watch: Watch) -> list[str]:
    """Run on past every deadline; one marked token must be left, and then nothing is to do. Says what is wrong (I3)."""
    world, credential = watch.world, watch.credential
    for pause in (timedelta(), credential.in_flight, credential.overlap, MINUTE):
        world.clock.pass_by(pause + timedelta(seconds=5))
        watch.look("time passes")
        world.run(credential, guard=watch.guard())
    before = world.moment()
    result = world.run(credential, guard=watch.guard())
    wrong = []
    if (result.reason, int(result.exit_code), result.done) != ("up-to-date", 0, ()):
        wrong.append(f"I3: no rest: {result.reason}, {result.done}: {result.message}")
    if before.state is not world.state or before.records != world.store.records:
        wrong.append("I3: a run that found nothing to do has done something")
    return wrong + list(unrestful(watch))


def unrestful(watch: Watch) -> Iterator[str]:
    """Say what keeps a world from being at rest: another token than the current one, or a record without it."""
    world, credential = watch.world, watch.credential
    standing = world.standing(credential)
    if list(standing.values()) != ["marked"]:
        yield f"I3: these are left: {standing}"
    contents = [world.read(it.location) for it in credential.destinations]
    if len({token_in(content) for content in contents}) != 1:
        yield "I3: the destinations hold different tokens"
    published = token_in(contents[0])
    if published is None or not world.pve.accepts(*published):
        yield "I3: what is published does not log in"
    elif not credential.lifetime and (world.pve.token(published[0]) or {}).get("expire"):
        yield f"I3: {published[0]} is current and has an end"


def missing(state: State, token: str, path: str, wanted: frozenset[str]) -> bool:
    """Say whether a token lacks something on a path."""
    return not wanted <= access.permissions(state, token, path).keys()


def token_in(content: Mapping[str, str]) -> Shown | None:
    """Tell what a consumer that read this would show."""
    token = content.get("token_id"), content.get("token_secret")
    return (token[0], token[1]) if token[0] and token[1] else None


def foreign_keys(content: Mapping[str, str]) -> dict[str, str]:
    """Tell what a record holds that is not ours."""
    return {key: value for key, value in content.items() if key not in {"token_id", "token_secret"}}
