"""What ``--json`` prints: one document for each call of a command. These shapes are stable.

Times are ISO 8601 in UTC (``2026-05-09T07:30:00Z``), durations seconds, reasons the kebab-case words of the policy. A
text that has nothing to say is ``""``, a time that does not come is ``null``. Keys may be added, none is taken away or
changes its meaning. ``shapes.json`` beside this file is the same as JSON schema. A call that ends with 2 (usage), with
1 (bug) or by a signal before it had results prints no document.

Dataclasses, not typed dictionaries: pydantic, with which the tests check all output, takes those of the standard
library from Python 3.12 on only.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Generic, TypeVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What all have in common: no other keys."""

    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault(Shape):
    """What is wrong with no single credential: above all, with the configuration.

    ``path``, ``line`` and ``column`` say where (counting from 1; 0 and "" where there is no such place), ``key`` at
    which key of the configuration, ``hint`` what to do.
    """

    message: str
    hint: str = ""
    path: str = ""
    line: int = 0
    column: int = 0
    key: str = ""


ShapeT = TypeVar("ShapeT", bound=Shape)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document(Shape, Generic[ShapeT]):
    """The whole output: ``exit_code`` is that of the process, ``errors`` is what kept it from having results."""

    command: str
    exit_code: int
    results: tuple[ShapeT, ...]
    errors: tuple[Fault, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfCredential(Shape):
    """What every result about one credential begins with: what it means for a script, why, and what to do."""

    credential: str
    cluster: str
    exit_code: int
    reason: str
    message: str
    hint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran(OfCredential):
    """How ``now``, ``due`` and ``adopt`` left one credential.

    ``reason`` and ``message`` say why nothing more was done, or what failed; ``step`` is the step that failed, ``live``
    what is live now where something failed. ``token`` is the one that is published, "" where that is not known.
    ``until`` is when something will be to do. ``done`` are the reasons of what was finished, in order.
    """

    step: str
    live: str
    token: str
    until: datetime | None
    done: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedStep(Shape):
    """One step that would be done: its name as in the events, and in words."""

    step: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(OfCredential):
    """What ``plan`` and ``--dry-run`` say would happen to one credential.

    ``reason`` and ``message`` are the finding, ``steps`` what follows from it (none: nothing would be done),
    ``warnings`` what this credential gives up, ``until`` when something will be to do if nothing is now.
    """

    steps: tuple[PlannedStep, ...]
    warnings: tuple[str, ...]
    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retiring(Shape):
    """An old token and when PVE ends it; ``null``: no end is set yet, a later run does it."""

    token: str
    deadline: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stands(OfCredential):
    """How ``status`` finds one credential.

    ``token`` is the published one, ``issued`` and ``age`` (seconds) its own; ``due`` is when it is to be replaced,
    ``expires`` when PVE ends it. ``orphans`` are tokens that were issued and never published.
    """

    paused: bool
    token: str
    issued: datetime | None
    age: int | None
    due: datetime | None
    expires: datetime | None
    retiring: tuple[Retiring, ...]
    orphans: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified(Shape):
    """What ``verify`` found in one destination of one credential; "" where the cluster itself was not reached."""

    credential: str
    cluster: str
    destination: str
    exit_code: int
    message: str
    hint: str
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Found(Shape):
    """A token that somebody else made, as PVE tells of it.

    ``destination`` is where it was found; "": at PVE only, under the name that the credential pins. ``exists`` is false
    when PVE does not know it (any more). ``works`` tells whether it logs in; null when that was not tried or nobody
    answered. ``stays`` is true for a token that only a mirror holds, that another credential of the configuration
    issued, or that is the operator's: nothing here retires it. ``also_in`` says who else has one that is retired:
    destinations of other credentials of the configuration, and the operator's record.
    """

    token: str
    destination: str
    exists: bool
    privsep: bool
    expires: datetime | None
    comment: str
    works: bool | None
    stays: bool
    also_in: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(OfCredential):
    """What ``adopt`` found and did for one credential.

    ``found`` is null when there is nothing to take over (``message`` says why). ``steps`` is what taking over means,
    ``run`` how it ended; null when it was not begun: with ``--dry-run``, or because somebody said no.
    """

    found: Found | None
    steps: tuple[PlannedStep, ...]
    run: Ran | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unrotated(Shape):
    """A token that nobody rotates, as ``adopt`` without a name finds it.

    ``remarks`` are words: ``age-unknown``, ``never-expires``, ``privsep-off``, ``over-privileged`` (``risks`` says by
    what), ``permissions-unknown``, ``expired``, ``user-disabled``, ``operator`` (the rotator itself uses it),
    ``unconfigured`` (it was issued here for a credential that is not configured any more, or was given another user,
    base or strategy since). ``credential`` is the configured one whose record holds it. ``name`` is what it was called,
    or would be, where it was chosen; ``added`` tells whether that was written into the configuration.
    """

    cluster: str
    token: str
    expires: datetime | None
    privsep: bool
    comment: str
    remarks: tuple[str, ...]
    risks: tuple[str, ...]
    credential: str
    name: str
    added: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SetUp(Shape):
    """One thing that ``init`` sees to.

    ``thing`` is its kind and its name, ``command`` what does the same by hand ("" where nothing is done), ``message``
    what it is for, or why it is kept. ``state`` is ``there`` (before), ``made``, ``missing``, and with ``--undo``
    ``removed``, ``to-remove``, ``kept`` (it was made here, and others use it), or ``left``: a record in a store.
    """

    thing: str
    command: str
    message: str
    state: str
    exit_code: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flagged(Shape):
    """What ``pause`` and ``resume`` did to one credential in the configuration.

    ``changed`` is false when it was so already, or when it could not be changed (``message`` says why). ``line`` counts
    from 1; ``before`` and ``after`` are the line as it was and is, ``before`` is "" when it was added.
    """

    credential: str
    exit_code: int
    message: str
    hint: str
    paused: bool
    changed: bool
    path: str
    line: int
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked(Shape):
    """What ``config check`` says of a valid configuration."""

    path: str
    owner: str
    clusters: int
    credentials: int
    paused: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema(Shape):
    """What ``config schema`` prints, wrapped; without ``--json`` it is the schema alone."""

    json_schema: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Script(Shape):
    """What ``completion`` prints, wrapped."""

    shell: str
    script: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy(Shape):
    """A cause as ``explain`` tells it: what is wrong, how it is told apart, what follows, what mends it.

    ``commands`` are typed on a node of PVE as root unless they begin with ``rotate``; words in capitals stand for what
    is meant. ``web`` is the way through PVE's web interface, "" where that has none.
    """

    code: str
    what: str
    tell: str
    consequence: str
    commands: tuple[str, ...]
    web: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained(Shape):
    """What ``explain`` says of one word: a status, a reason, an exit code (``kind``), or a cause that doctor names.

    ``causes`` stand likeliest first.
    """

    name: str
    kind: str
    meaning: str
    do: str
    notes: tuple[str, ...]
    causes: tuple[Remedy, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ailment(Shape):
    """One cause that ``doctor`` found, with what speaks for it.

    ``severity`` is ``locked-out`` (a published record does not work), ``error``, ``warning`` (somebody may do too much,
    or something will fail) or ``note`` (it is meant so). The rest is as in ``explain``, for the case at hand.
    """

    code: str
    severity: str
    what: str
    evidence: tuple[str, ...]
    consequence: str
    commands: tuple[str, ...]
    web: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined(Shape):
    """What ``doctor`` says of one thing.

    ``kind`` is ``audit`` (the trail), ``cluster``, ``operator``, ``store``, ``credential``, or ``request`` for what a
    consumer shows.
    ``unknown`` is what could not be found out, and why.
    """

    kind: str
    name: str
    cluster: str
    exit_code: int
    findings: tuple[Ailment, ...]
    unknown: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded(Shape):
    """One line of the audit trail, as ``history`` shows it.

    ``kind`` is ``step`` (an event of a rotation), ``begun``, ``notice`` (somebody was notified of ``reason``), ``lost``
    (lines before it could not be written) or ``torn`` (a crash tore the line before). ``at`` is our clock, ``pve_at``
    the cluster's. ``by``, ``what`` and ``who`` say what began it: ``command``, ``due``, ``root``. ``seq`` and ``hash``
    are its place in the chain; 0 and "" where there is none.
    """

    at: datetime
    pve_at: datetime | None
    kind: str
    credential: str
    cluster: str
    step: str
    outcome: str
    reason: str
    token: str
    destination: str
    rotation: str
    by: str
    what: str
    who: str
    host: str
    pid: int
    message: str
    hint: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fraud(Shape):
    """What is wrong at a line of the audit trail.

    ``what`` is ``changed``, ``missing``, ``moved``, ``repeated``, ``resealed``, ``unchained`` or ``not-found``.
    """

    path: str
    line: int
    what: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attested(Shape):
    """What ``history --verify`` finds.

    ``follows`` is the hash that the first line says it comes after: "" for a chain that is there from its beginning.
    ``last`` is the hash to keep elsewhere. ``unchained`` lines stand before the chain begins.
    """

    exit_code: int
    lines: int
    follows: str
    last: str
    last_seq: int
    torn: int
    unchained: int
    flaws: tuple[Fraud, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notified(Shape):
    """Whether ``notify test`` reached a channel. ``way`` is the host that it posts to, or the program that it runs."""

    channel: str
    way: str
    exit_code: int
    message: str
    hint: str


SHAPES: dict[str, type[Shape]] = {
    "now": Ran,
    "due": Ran,
    "now --dry-run": Planned,
    "due --dry-run": Planned,
    "plan": Planned,
    "status": Stands,
    "verify": Verified,
    "init": SetUp,
    "adopt": Adopted,
    "adopt (without a name)": Unrotated,
    "doctor": Examined,
    "explain": Explained,
    "history": Recorded,
    "history --verify": Attested,
    "notify test": Notified,
    "pause": Flagged,
    "resume": Flagged,
    "config check": Checked,
    "config schema": Schema,
    "completion": Script,
}
"""Which shape the results of a command have. Its ``command`` is the first word or two, without options."""
