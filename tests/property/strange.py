"""Worlds that nobody would plan: any markers, names, serials, ends and stores, drawn for the pure part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from rotator.marker import Marker
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
    Version,
    Window,
)
from rotator.proxmox_rows import LATEST
from tests.unit.observations import CREDENTIAL, DAY, HOUR, MINUTE, NOW, USER, foreign, ours

BASES = ("ci", "ci-1", "ci-3-aaaaa")

spans = st.timedeltas(timedelta(), timedelta(days=90))
near = st.timedeltas(-2 * DAY, 2 * DAY) | st.sampled_from([k * MINUTE for k in (-11, -10, -9, 0, 9, 10, 11)])
moments = (
    (st.timedeltas(-90 * DAY, 90 * DAY) | near).map(NOW.__add__)
    | st.sampled_from([LATEST, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)])
    | st.sampled_from([timedelta(seconds=k) for k in (-3, -2, -1, 0, 1)]).map(NOW.__add__)
)
ends = st.none() | moments.map(lambda it: it.replace(microsecond=0))
"""Ends as PVE gives them: whole seconds."""
randoms = st.sampled_from(["aaaaa", "bbbbb", "00000"])
names = (
    st.builds("{}-{}-{}".format, st.sampled_from(BASES), st.integers(1, 12), randoms)
    | st.sampled_from(["hand", "theirs", *BASES, "ci-0-aaaaa", "ci-07-aaaaa", "ci-7-AAAAA", f"ci-{'9' * 30}-aaaaa"])
    | st.from_regex(r"[A-Za-z][A-Za-z0-9.\-_]{1,9}", fullmatch=True)
)
issued = moments | st.sampled_from([datetime(1, 1, 1, tzinfo=UTC), LATEST])
markers = st.builds(
    Marker,
    owner=st.just("tests") | st.sampled_from(["tests", "somebody"]),
    credential=st.just("ci") | st.sampled_from(["ci", "other"]),
    rotation=st.just("r1"),
    issued=issued.map(lambda it: it.replace(microsecond=0)),
    after=st.just("") | names,
    published=st.booleans(),
)
comments = (
    markers.map(Marker.comment)
    | st.builds(lambda marker, keep: marker.comment(keep), markers, st.text(max_size=8))
    | st.sampled_from(["", "by hand", "rotate: owner=tests", "rotate: owner=tests credential=ci rotation=r issued=x"])
    | st.text(max_size=20)
)
strangers = st.builds(TokenState, st.builds(TokenId, st.just(USER), names), ends, st.booleans(), comments)
usual = st.builds(
    ours,
    st.integers(1, 12),
    age=spans | st.sampled_from([MINUTE, 11 * MINUTE]),
    published=st.booleans(),
    after=st.sampled_from(["", "hand", "ci-3-aaaaa", "theirs"]),
    ends_in=st.none() | st.timedeltas(-3 * DAY, 90 * DAY).map(lambda it: timedelta(seconds=int(it.total_seconds()))),
)
hand = st.builds(foreign, st.sampled_from(["hand", "theirs", "ci", "other-4-aaaaa"]))
tokens = st.one_of(usual, usual, usual, hand, strangers)
"""Mostly what rotations leave behind, so that they meet."""
windows = st.builds(
    Window,
    st.sampled_from(["0 2 * * *", "0 11 * * *", "*/7 * * * *", "30 3 29 2 *", "0 0 1 1 1"]),
    st.timedeltas(MINUTE, 7 * DAY),
    st.sampled_from(["UTC", "Europe/Vienna", "Pacific/Kiritimati"]),
)
requests = st.builds(
    Request,
    forced=st.booleans(),
    compromised=st.booleans(),
    overlap=st.none() | st.timedeltas(timedelta(), timedelta(days=2)),
    adopt=st.booleans(),
)


def credential(mirrors: int, audiences: list[tuple[str, ...]], **settings: Any) -> Credential:  # noqa: ANN401 - fields
    """Make a credential with some mirrors."""
    places = zip("abc"[: 1 + mirrors], audiences, strict=False)
    destinations = tuple(Destination("file", place, f"file:{place}", audience=told) for place, told in places)
    return replace(CREDENTIAL, destinations=destinations, **settings)


credentials = st.builds(
    credential,
    st.integers(0, 2),
    st.lists(st.sampled_from([(), ("web",)]), min_size=3, max_size=3),
    base=st.sampled_from(["ci", "ci", "ci", *BASES]),
    every=st.sampled_from([HOUR, DAY, 30 * DAY]),
    overlap=st.sampled_from([timedelta(), MINUTE, HOUR, DAY]),
    lifetime=st.sampled_from([None, 4 * DAY, 45 * DAY]),
    in_flight=st.sampled_from([timedelta(minutes=10), MINUTE]),
    privsep=st.booleans(),
    windows=st.just(()) | st.lists(windows, max_size=2).map(tuple),
    strategy=st.sampled_from([Strategy.FRESH, Strategy.FRESH, Strategy.REGENERATE]),
    adopt=st.booleans(),
    paused=st.sampled_from([False, False, False, True]),
)
"""What a user may configure."""


@dataclass(frozen=True)
class Place:
    """What a destination holds: one of the tokens by number, one that is gone, nothing, or it is down."""

    kind: str
    number: int
    gone: TokenId
    secret: Secret
    is_complete: bool

    def seen(self, tokens: Sequence[TokenState]) -> Held | Unread:
        """Look at it."""
        if self.kind == "down":
            return Unread("down", "wait")
        if self.kind == "empty":
            return Held()
        if self.kind == "usual" and tokens:
            return Held(Token(tokens[self.number % len(tokens)].id, Secret("s")), Version("v1"))
        token = tokens[self.number % len(tokens)].id if tokens and self.kind == "known" else self.gone
        return Held(Token(token, self.secret), Version("v1"), self.is_complete)


places = st.builds(
    Place,
    st.sampled_from(["usual", "usual", "known", "gone", "empty", "down"]),
    st.integers(0, 59),
    st.builds(TokenId, st.sampled_from([USER, "other@pve"]), names),
    st.sampled_from(["s", "s", "s", "t"]).map(Secret),
    st.booleans(),
)


def observation(
    credential: Credential,
    tokens: list[TokenState],
    places: list[Place],
    *,
    is_usual: bool,
    **told: Any,  # noqa: ANN401 - fields
) -> Observation:
    """Put a world together; a usual one has nothing that keeps rotations from meeting."""
    if is_usual:
        credential, told["user_usable"] = replace(credential, base="ci", paused=False), True
    seen = (place.seen(tokens) for place in places[: len(credential.destinations)])
    return Observation(credential, tokens=tuple(tokens), destinations=tuple(seen), **told)


def worlds(*, is_usual: bool) -> st.SearchStrategy[Observation]:
    """Draw worlds of usual tokens alone, or of any."""
    return st.builds(
        observation,
        credentials,
        st.lists(usual if is_usual else tokens, max_size=6, unique_by=lambda it: it.id),
        st.lists(places, min_size=3, max_size=3),
        is_usual=st.just(is_usual),
        now=st.just(NOW) | st.timedeltas(timedelta(), DAY).map(NOW.__add__),
        user_usable=st.sampled_from([True, True, True, False]),
        accepted=st.sampled_from([None, None, True, False]),
    )


observations = worlds(is_usual=True) | worlds(is_usual=False)
