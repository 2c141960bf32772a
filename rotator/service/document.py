"""What ``/api/v1/status`` says: how everything stands, as JSON. The shape is stable, and told in STATUS.md.

Times are ISO 8601 in UTC (``2026-05-09T07:30:00Z``), durations seconds. What is as usual is left out, so that ten
thousand credentials stay small: a key that is absent has the value that it has here. Keys may be added, none is taken
away or changes its meaning within a version; the version stands in the path, too. ``status.schema.json`` beside this
file is the same as JSON schema.

Nothing depends on when it is asked for: ages are for the page to reckon, so that an unchanged standing is an unchanged
document, which need not be sent again.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, ClassVar

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all have in common: no other keys."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem(Shape):
    """What is wrong in a configuration that was refused, and where."""

    line: int
    column: int
    where: str
    message: str
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration(Shape):
    """The configuration in force; ``refused`` is when a newer one was refused, which is not."""

    path: str
    digest: str
    loaded: datetime
    refused: datetime | None = None
    message: str = ""
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Leadership(Shape):
    """Whether this instance works, or stands by."""

    kind: str
    leads: bool
    identity: str = ""
    holder: str = ""
    since: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint(Shape):
    """One node of a cluster; ``reachable`` is null before it was asked, and ``message`` says what kept it."""

    address: str
    reachable: bool | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster(Shape):
    """One cluster; ``reachable`` is null before it was asked; ``clock_offset`` is how far ahead its clock was."""

    name: str
    endpoints: tuple[Endpoint, ...]
    reachable: bool | None = None
    reason: str = ""
    message: str = ""
    hint: str = ""
    seen: datetime | None = None
    answered: datetime | None = None
    next_look: datetime | None = None
    operator_expire: datetime | None = None
    clock_offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Token(Shape):
    """A token at PVE, by PVE's clock: ``current``, ``retiring`` or ``unpublished``."""

    id: str
    role: str
    issued: datetime | None = None
    expire: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination(Shape):
    """Where the record goes."""

    place: str
    backend: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Last(Shape):
    """The last run that did something or failed. ``outcome`` is the exit code in a word."""

    at: datetime
    trigger: str
    outcome: str
    reason: str
    message: str
    who: str = ""
    hint: str = ""
    step: str = ""
    live: str = ""
    done: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential(Shape):
    """One credential. ``working`` is the step that it is at while it is being rotated."""

    name: str
    cluster: str
    every: float
    overlap: float = 0.0
    state: str
    reason: str = ""
    message: str = ""
    hint: str = ""
    token: str = ""
    working: str = ""
    last: Last | None = None
    seen: datetime | None = None
    well: datetime | None = None
    failures: int = 0
    backoff_until: datetime | None = None
    next_wake: datetime | None = None
    next_change: datetime | None = None
    tokens: tuple[Token, ...] = ()
    destinations: tuple[Destination, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason(Shape):
    """What ``rotate explain`` says of a reason that stands in the document."""

    meaning: str
    do: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Shape):
    """The whole. ``states`` and ``reasons`` say what the words mean."""

    version: int = VERSION
    product: str
    started: datetime
    stopping: bool = False
    offers_rotation: bool = False
    needs_token: bool = False
    configuration: Configuration
    leadership: Leadership
    clusters: tuple[Cluster, ...]
    states: Mapping[str, str]
    reasons: Mapping[str, Reason]
    credentials: tuple[Credential, ...] = ()


def plainly(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Make a value one that JSON knows, and leave out what is as usual."""
    match value:
        case Shape():
            return dict(_said(value, type(value).__name__))
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="seconds")[:-6] + "Z"
        case tuple():
            return [plainly(it) for it in value]
        case Mapping():
            return {key: plainly(it) for key, it in value.items()}
    return value


def written(document: Document, credentials: Iterable[str]) -> Iterator[bytes]:
    """Write a document, piece by piece, whose credentials are written already: most have not changed."""
    head = json.dumps(plainly(document) | {"version": document.version}, separators=(",", ":"))
    yield f'{head[:-1]},"credentials":['.encode()
    for at, line in enumerate(credentials):
        yield f",{line}".encode() if at else line.encode()
    yield b"]}"


def _said(shape: Shape, kind: str) -> Iterator[tuple[str, Any]]:
    for name, usual in USUAL[kind]:
        value = getattr(shape, name)
        if value != usual:
            yield name, plainly(value)


USUAL = {kind.__name__: tuple((it.name, it.default) for it in fields(kind)) for kind in Shape.__subclasses__()}
"""What each key has where it is left out; what has nothing usual never is."""
