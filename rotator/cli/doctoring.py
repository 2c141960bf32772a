"""``rotate doctor``: say what is wrong and why; with a consumer's own header, what is wrong with that."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rotator.cli import invocation
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import INDENT, Report, block
from rotator.cli.shapes import Ailment, Examined
from rotator.errors import ConfigError
from rotator.fleet import Fleet, gravest
from rotator.printing import printable
from rotator.wiring import recorder

if TYPE_CHECKING:
    from rotator.doctor.examine import Ward
    from rotator.doctor.finding import Diagnosis, Finding
    from rotator.doctor.given import Given
    from rotator.doctor.request import Asked

MOST = 65536
"""Characters that are read of a header: more than PVE takes."""
METHODS = click.Choice(("GET", "POST", "PUT", "DELETE"), case_sensitive=False)
SECRETIVE = re.compile(r"[=!]")


def source(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Take the name of a file. Raises: ``BadParameter`` for the header itself, which it does not repeat."""
    if value == "":
        raise click.BadParameter("give the name of a file, or - to read it from standard input")
    if value and SECRETIVE.search(value) and not is_file(value):
        raise click.BadParameter(
            "a secret does not belong into an argument, where every user of this machine can read it: give the name of "
            "a file, or - to read it from standard input; and change that secret"
        )
    return value


def is_file(name: str) -> bool:
    """Say whether a file is called like that; a ticket is too long to be asked for."""
    try:
        return Path(name).is_file()
    except OSError:
        return False


@click.command(cls=Command)
@invocation.names()
@click.option("--header", metavar="FILE", callback=source, help="What a consumer shows to PVE; - for standard input.")
@click.option("--url", metavar="URL", help="Where the consumer asks, with the path if that is refused.")
@click.option("--method", type=METHODS, default="GET", show_default=True, help="How it asks there.")
@invocation.login()
@click.pass_obj
def doctor(asked: Invocation, *, names: Sequence[str], header: str | None, url: str | None, method: str) -> Report:
    """Say what is wrong, why, and what mends it; nothing is changed.

    Without a NAME, the whole configuration: audit trail, clusters, operators, stores, credentials. PVE says the same
    whatever is wrong with a token, so it is asked as the operator; with a stored secret only where that explains
    nothing, and then once: a refused login takes PVE 3 s, and is logged there.

    With --header (lines of headers, the bare value, or a form `username=...&password=...`) or --url, a consumer's own
    request is examined instead.

    Where PVE refuses the operator itself, --login asks as a person.

    What an operator with the least rights cannot see is counted; -v and --json list it.

    Exit code 4: something is wrong. 5: a published record does not work.

    Example: rotate doctor ci
    """
    if header is None and url is None:
        return whole(asked, names)
    if names:
        raise click.UsageError("either names, or what a consumer shows (--header, --url), not both")
    return consumers(asked, header, url, method)


def whole(asked: Invocation, names: Sequence[str]) -> Report:
    """Examine credentials with all that they depend on; without names, all that is configured."""
    from rotator.doctor.examine import Ward  # noqa: PLC0415 - help does not need it

    credentials = asked.chosen(names)
    wanted = {it.cluster for it in credentials}
    clusters = [it for it in asked.settings.clusters if not names or it in wanted]
    with asked.looking() as fleet:
        diagnoses = Ward(asked.settings, fleet, person_of(asked)).diagnose(credentials, clusters)
        return report([*examined_trail(asked, fleet), *diagnoses], lists_unknown=asked.verbose)


def examined_trail(asked: Invocation, fleet: Fleet) -> Iterator[Diagnosis]:
    """Examine the audit trail, if there is to be one; every rotation may depend on it."""
    from rotator.doctor.evidence import TrailSeen  # noqa: PLC0415 - help does not need it
    from rotator.doctor.trail_checks import examine_trail  # noqa: PLC0415 - the same

    audit = asked.settings.telling.audit
    trail = recorder(asked.settings, fleet.clock, os.environ)
    if audit and trail:
        yield examine_trail(TrailSeen(str(audit.path), trail.obstacle(), is_required=audit.is_required))


def consumers(asked: Invocation, header: str | None, url: str | None, method: str) -> Report:
    """Examine what a consumer shows, and where."""
    from rotator.doctor.examine import Ward  # noqa: PLC0415 - help does not need it
    from rotator.doctor.given import read_given  # noqa: PLC0415 - the same
    from rotator.doctor.request import read_url  # noqa: PLC0415 - the same

    asked.chosen(())  # a person who logs in does so at all clusters that may be meant
    given = None if header is None else read_given(content(header))
    where = None if url is None else read_url(url, method.upper())
    with asked.looking() as fleet:
        ward = Ward(asked.settings, fleet, person_of(asked))
        diagnosis = examine_request(ward, cluster_of(asked, where), where, given, method.upper())
        return report([diagnosis], lists_unknown=True)


def person_of(asked: Invocation) -> str:
    """Say who has logged in instead of the operators, if anybody has."""
    return asked.login.userid if asked.login else ""


def examine_request(ward: Ward, cluster: str, where: Asked | None, given: Given | None, method: str) -> Diagnosis:
    """Examine a request against the cluster that it is meant for; without an address, at the first that answers."""
    from rotator.doctor.gather import visitor  # noqa: PLC0415 - help does not need it
    from rotator.doctor.request import Asked, examined  # noqa: PLC0415 - the same

    look = ward.look(cluster)
    reached = [it.address for it in look.cluster.endpoints if it.is_reached]
    target = where or Asked(next(iter(reached), look.pve.endpoints[0]), method=method)
    return examined(look, visitor(ward.settings.clusters[cluster]), target, given)


def cluster_of(asked: Invocation, where: Asked | None) -> str:
    """Find the cluster that a request is meant for: by its host, or the only one. Raises: ``UsageError``."""
    from rotator.doctor.cluster_checks import host_of  # noqa: PLC0415 - help does not need it

    clusters = asked.settings.clusters
    host = where.host if where else ""
    named = [it.name for it in clusters.values() if host and host in {host_of(each) for each in it.endpoints}]
    if named or len(clusters) == 1:
        return named[0] if named else next(iter(clusters))
    raise click.UsageError(f"which cluster? name one of its endpoints with --url; there is {', '.join(clusters)}")


def content(name: str) -> str:
    """Read what a consumer shows. Raises: ``ConfigError``, without the content."""
    try:
        if name == "-":
            return sys.stdin.read(MOST)
        with Path(name).open(encoding="utf-8", newline="") as file:
            return file.read(MOST)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise ConfigError(f"cannot read {name}: {why}", hint="give a file with the header, or -") from None


def report(diagnoses: Sequence[Diagnosis], *, lists_unknown: bool) -> Report:
    """Report what was found; what an operator with the least rights can never see is counted, or listed."""
    results = [examined_of(it) for it in diagnoses]
    hidden = [[] if lists_unknown else [what for what in it.unknown if what != it.unexamined] for it in diagnoses]
    text = [told(it, of.unexamined, hides) for it, of, hides in zip(results, diagnoses, hidden, strict=True)]
    return Report(results, [*text, *counted(sum(map(len, hidden)))], gravest(it.exit_code for it in diagnoses))


def counted(hidden: int) -> list[str]:
    """Say how much is not known and not listed, if anything is."""
    things = "1 thing" if hidden == 1 else f"{hidden} things"
    return [f"not known: {things} that cannot be seen from here; -v lists them"] if hidden else []


def examined_of(it: Diagnosis) -> Examined:
    """Put a diagnosis into its shape."""
    return Examined(
        kind=it.kind,
        name=it.name,
        cluster=it.cluster,
        exit_code=int(it.exit_code),
        findings=tuple(ailment(finding) for finding in it.findings),
        unknown=it.unknown,
    )


def ailment(it: Finding) -> Ailment:
    """Put a finding into its shape."""
    return Ailment(
        code=it.code,
        severity=it.severity,
        what=it.cause.what,
        evidence=it.evidence,
        consequence=it.cause.consequence,
        commands=it.cause.commands,
        web=it.cause.web,
    )


def told(it: Examined, unexamined: str, hidden: Sequence[str]) -> str:
    """Write what was found for people."""
    count = len(it.findings)
    well = "not examined" if unexamined else "fine"
    state = well if not count else "1 finding" if count == 1 else f"{count} findings"
    lines = [block(f"{it.kind} {it.name}  {state}")]
    for finding in it.findings:
        lines += [f"{INDENT}{line}" for line in about(finding)]
    lines += [f"{INDENT}not known: {what}" for what in it.unknown if what not in hidden]
    return "\n".join(printable(line) for line in lines)


def about(it: Ailment) -> list[str]:
    """Write a finding for people."""
    lines = [f"{it.severity}: {it.what} ({it.code})"]
    lines += [f"{INDENT}seen: {evidence}" for evidence in it.evidence]
    lines += [f"{INDENT}then: {it.consequence}"]
    lines += [f"{INDENT}do: {command}" for command in it.commands]
    return [*lines, *([f"{INDENT}web: {it.web}"] if it.web else [])]
