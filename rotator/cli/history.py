"""``rotate history``: what stands in the audit trail, and whether it is as it was written. Nobody is contacted."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rotator.audit.chain import Seal
from rotator.audit.check import Verdict, check
from rotator.audit.lines import BEGUN, LOST, NOTICE, STEP, TORN
from rotator.audit.reading import Line, lines, rotated
from rotator.cli import invocation
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import NOTHING, Report, Table, without_empty
from rotator.cli.shapes import Attested, Fraud, Recorded
from rotator.clock import Clock, SystemClock
from rotator.durations import EXAMPLES, parse_duration
from rotator.errors import ConfigError, ExitCode
from rotator.events import Outcome
from rotator.faults import InvalidValueError
from rotator.references import resolve
from rotator.settings_telling import AuditSettings

FAILED = frozenset({Outcome.FAILED, Outcome.UNKNOWN})
TEXTS = tuple(it.name for it in fields(Recorded) if it.type == "str")


@dataclass(frozen=True)
class Wanted:
    """Which lines are asked for; all that is empty asks for nothing."""

    names: frozenset[str] = frozenset()
    since: datetime | None = None
    until: datetime | None = None
    failed: bool = False
    rotation: str = ""

    def has(self, it: Recorded) -> bool:
        """Say whether a line is among them."""
        return (
            (not self.names or it.credential in self.names)
            and (self.since is None or it.at >= self.since)
            and (self.until is None or it.at < self.until)
            and (not self.failed or it.outcome in FAILED)
            and (not self.rotation or it.rotation == self.rotation)
        )


def when(context: click.Context, _parameter: click.Parameter, text: str | None) -> datetime | None:
    """Read a time, or how long ago; a time without a zone is UTC. Raises: ``BadParameter``."""
    if text is None:
        return None
    with suppress(ValueError):
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    clock: Clock = context.obj or SystemClock()
    try:
        return clock.now() - parse_duration(text)
    except (InvalidValueError, OverflowError):
        raise click.BadParameter(f"neither a time (2026-05-09T07:30Z) nor how long ago ({EXAMPLES})") from None


@click.command(cls=Command)
@invocation.names()
@click.option("--since", callback=when, metavar="WHEN", help="From then on: 2026-05-09T07:30Z, or how long ago: 2d.")
@click.option("--until", callback=when, metavar="WHEN", help="Before that.")
@click.option("--failed", is_flag=True, help="Only what failed.")
@click.option("--rotation", default="", metavar="ID", help="Only what belongs to one rotation.")
@click.option("--verify", is_flag=True, help="Prove that no line was changed, removed or moved.")
@click.option("--expect-last", default="", metavar="HASH", help="With --verify: a hash kept elsewhere, still there?")
@click.pass_obj
def history(
    asked: Invocation,
    *,
    names: Sequence[str],
    since: datetime | None,
    until: datetime | None,
    failed: bool,
    rotation: str,
    verify: bool,
    expect_last: str,
) -> Report:
    """Say what was done, when, and who or what began it: the audit trail, also what logrotate has put aside.

    Exit code 4: --verify found something wrong.

    Example: rotate history ci --since 7d
    """
    if expect_last and not verify:
        raise click.UsageError("--expect-last goes with --verify")
    wanted = Wanted(frozenset(names), since, until, failed, rotation)
    if verify and wanted != Wanted():
        raise click.UsageError("--verify is about all lines: it goes with no choice of them")
    audit = audit_of(asked)
    found = read(audit.path)
    return attest(asked, audit, list(found), expect_last) if verify else told(found, wanted)


def audit_of(asked: Invocation) -> AuditSettings:
    """Return where the audit trail is. Raises: ``ConfigError`` when there is none."""
    if (audit := asked.settings.telling.audit) is None:
        hint = "add audit: {file: /var/log/rotate/audit.jsonl} to the configuration"
        raise ConfigError("there is no audit trail: the configuration names none", hint=hint)
    return audit


def read(path: Path) -> Iterator[Line]:
    """Yield all lines, the oldest first. Raises: ``ConfigError``."""
    try:
        yield from lines([*rotated(path), *([path] if path.exists() else [])])
    except OSError as error:
        why = error.strerror or type(error).__name__
        hint = "who may read it, and is it whole?"
        raise ConfigError(f"the audit trail {path} cannot be read: {why}", hint=hint) from None


def told(found: Iterable[Line], wanted: Wanted) -> Report:
    """Show lines: people get a row for each that ended something. Only those that are asked for are kept meanwhile."""
    known, strange = list[Recorded](), 0
    for line in found:
        strange += line.fields is None
        if line.fields and (it := recorded(line.fields)) and wanted.has(it):
            known.append(it)
    notes = [f"{strange} lines are none of ours, or torn: rotate history --verify"] if strange else []
    shown = [row(it) for it in known if it.outcome != Outcome.STARTED]
    headers = ("time", "credential", "step", "outcome", "reason", "token", "begun by", "rotation", "message")
    table: list[str | Table] = [without_empty(Table(headers, shown))] if shown else ["nothing is recorded of that"]
    return Report(known, [*table, *notes])


def recorded(line: Mapping[str, Any]) -> Recorded | None:
    """Put a line into its shape; None for one that says no time."""
    at, pve_at = (moment(line.get(key)) for key in ("at", "pve_at"))
    texts = {key: str(line.get(key, "")) for key in TEXTS}
    pid, seq = (it if isinstance(it := line.get(key), int) else 0 for key in ("pid", "seq"))
    texts["message"] = texts["message"] or about(line)
    return Recorded(at=at, pve_at=pve_at, pid=pid, seq=seq, **texts) if at else None


def moment(text: object) -> datetime | None:
    """Read a time of a line."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo else None


def about(line: Mapping[str, Any]) -> str:
    """Say in words what a line is about that has none."""
    match line.get("kind"):
        case str(kind) if kind == LOST:
            return f"{line.get('lines')} lines before it could not be written"
        case str(kind) if kind == TORN:
            return f"the line before was torn by a crash: {line.get('bytes')} bytes of it are left"
        case str(kind) if kind == BEGUN:
            return "it was looked at closely"
    return ""


def row(it: Recorded) -> tuple[str, ...]:
    """Write one line of the table."""
    step = it.step if it.kind == STEP else "notify" if it.kind == NOTICE else it.kind
    began = " ".join(filter(None, (it.by, it.what, it.who and f"({it.who})")))
    cells = (it.credential or it.cluster, step, it.outcome, it.reason, it.token, began, it.rotation, it.message)
    return (f"{it.at:%Y-%m-%d %H:%M:%S}Z", *(cell or NOTHING for cell in cells))


def attest(asked: Invocation, audit: AuditSettings, found: Sequence[Line], expected: str) -> Report:
    """Check the chain. Raises: ``ConfigError``; what reading the key raises."""
    if not audit.is_chained:
        raise ConfigError("the audit trail is no chain: nothing proves it", hint="write chain: true under audit")
    secret = audit.secret
    key = (lambda: resolve(secret, environ=os.environ, backends=asked.settings.backends)) if secret else None
    verdict = check(found, Seal(key), expected)
    places = [str(it.path) if it.number else str(audit.path) for it in verdict.flaws]
    flaws = tuple(
        Fraud(path=place, line=it.number, what=it.what, message=it.message)
        for it, place in zip(verdict.flaws, places, strict=True)
    )
    code = ExitCode.FAILED if flaws else ExitCode.DONE
    result = Attested(
        exit_code=int(code),
        lines=verdict.lines,
        follows=verdict.first.hash,
        last=verdict.last.hash,
        last_seq=verdict.last.seq,
        torn=verdict.torn,
        unchained=verdict.unchained,
        flaws=flaws,
    )
    return Report([result], ["\n".join(said(verdict, flaws, expected, is_keyed=secret is not None))], code)


def said(verdict: Verdict, flaws: Sequence[Fraud], expected: str, *, is_keyed: bool) -> Iterator[str]:
    """Say what was proven, and what was not."""
    for it in flaws:
        what = "" if it.message.startswith(it.what) else f"{it.what}: "
        yield f"{it.path}:{it.line}: {what}{it.message}"
    count = len(flaws)
    wrong = "1 thing is wrong with" if count == 1 else f"{count} things are wrong with"
    yield f"{wrong if count else 'all is as it was written in'} {verdict.lines} lines"
    if verdict.torn:
        yield f"note: {verdict.torn} lines were torn by crashes, and are marked as such"
    if verdict.is_torn:
        yield "note: the last line is torn, by a crash or because it is being written; the next one will say so"
    if verdict.unchained:
        yield f"note: {verdict.unchained} lines stand before the chain begins; nothing proves them"
    if verdict.first.hash:
        yield f"note: the first line follows line {verdict.first.seq}, which is not here: {verdict.first.hash}"
    if not is_keyed:
        yield "note: without audit.secret, whoever may write the file could have made all of it anew"
    if not expected:
        yield "note: whether lines were cut off at the end only a hash tells that was kept elsewhere: --expect-last"
    yield f"last: {verdict.last.hash or 'nothing is there'}"
