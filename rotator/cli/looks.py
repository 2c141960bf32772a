"""``rotate plan``, ``rotate status`` and ``rotate verify``: look, and change nothing."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import click

from rotator.cli import invocation
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import NOTHING, Report, Table, alike, block, page_of, without_empty
from rotator.cli.planning import plan_of
from rotator.cli.shapes import Retiring, Stands, Verified
from rotator.cli.standing import Standing, look
from rotator.durations import spell_duration
from rotator.errors import ExitCode, RotatorError
from rotator.fleet import OPERATOR_UNUSABLE, Fleet, Lane, gravest, in_lanes, unreached_for
from rotator.model import Credential
from rotator.policy import Reason
from rotator.verify_stored import Proof, prove

QUIET = frozenset({Reason.UP_TO_DATE, Reason.PAUSED})


@click.command(cls=Command)
@invocation.names()
@invocation.parallel()
@invocation.login()
@click.pass_obj
def plan(asked: Invocation, *, names: Sequence[str], parallel: int) -> Report:
    """Say what `rotate due` would do, step by step, and why.

    Example: rotate plan
    """
    credentials = asked.chosen(names)
    with asked.looking(parallel=parallel) as fleet:
        return plan_of(fleet, credentials)


@click.command(cls=Command)
@invocation.names()
@invocation.parallel()
@invocation.login()
@click.pass_obj
def status(asked: Invocation, *, names: Sequence[str], parallel: int) -> Report:
    """Say how credentials stand: their tokens, ages, what is due, what is retiring.

    Exit code 5: the token that consumers read is known to be dead.

    Example: rotate status
    """
    credentials = asked.chosen(names)
    with asked.looking(parallel=parallel) as fleet:
        standings = look(fleet, credentials)
    results = [stands(standing) for standing in standings]
    code = gravest(map(meaning, standings))
    return Report(results, [table_of(results), *map(remark, alike(filter(is_remarkable, results)))], code)


def stands(standing: Standing) -> Stands:
    """Put how a credential stands into its shape."""
    marker, current = standing.marker, standing.current
    age = standing.now - marker.issued if marker and standing.now else None
    return Stands(
        credential=standing.credential.name,
        cluster=standing.credential.cluster,
        exit_code=int(meaning(standing)),
        reason=standing.reason,
        message=standing.message,
        hint=mending(standing.credential.name) if is_dead(standing) else standing.hint,
        paused=standing.credential.paused,
        token=standing.token,
        issued=marker.issued if marker else None,
        age=int(age.total_seconds()) if age is not None else None,
        due=standing.due,
        expires=current.expire if current else None,
        retiring=tuple(Retiring(token=str(it.id), deadline=it.expire) for it in standing.retiring),
        orphans=tuple(standing.orphans),
    )


def is_dead(standing: Standing) -> bool:
    """Whether the token that consumers read works no more. The next run mends it; until then they are refused."""
    return standing.reason == Reason.PUBLISHED_TOKEN_DEAD


def meaning(standing: Standing) -> ExitCode:
    """Say what it means for a script how a credential stands."""
    return ExitCode.LOCKED_OUT if is_dead(standing) else standing.survey.exit_code


def mending(name: str) -> str:
    """Say what to do about a dead token, as ``verify`` does."""
    return f"replace it: rotate now {name}; why it is refused: rotate doctor {name}"


def table_of(results: Sequence[Stands]) -> Table:
    """Draw up the table of a status."""
    headers = ("credential", "cluster", "state", "token", "age", "due", "expires", "retiring", "orphans")
    return without_empty(Table(headers, [row(it) for it in results]))


def row(it: Stands) -> tuple[str, ...]:
    """Write one line of it."""
    retiring = ", ".join(f"{brief(old.token)} until {when(old.deadline, '?')}" for old in it.retiring)
    return (
        it.credential,
        it.cluster,
        it.reason.replace("-", " "),
        it.token or NOTHING,
        coarse(it.age),
        when(it.due),
        when(it.expires, "never" if it.token else NOTHING),
        retiring or NOTHING,
        ", ".join(map(brief, it.orphans)) or NOTHING,
    )


def brief(token: str) -> str:
    """Leave out the user, which the column of the current token shows."""
    return token.rpartition("!")[2]


def when(time: datetime | None, otherwise: str = NOTHING) -> str:
    """Write a time to the minute."""
    return f"{time:%Y-%m-%d %H:%MZ}" if time else otherwise


def coarse(seconds: int | None) -> str:
    """Write an age: hours matter on the first days, then days."""
    if seconds is None:
        return NOTHING
    unit = 86400 if seconds >= 7 * 86400 else 3600 if seconds >= 3600 else 60 if seconds >= 60 else 1  # noqa: PLR2004 - units of time
    return spell_duration(timedelta(seconds=seconds - seconds % unit))


def is_remarkable(it: Stands) -> bool:
    """Whether a row does not say it all."""
    return it.reason not in QUIET


def remark(it: Stands) -> str:
    """Say below the table what a row has no room for."""
    head = f"{it.credential}  {it.reason}  {it.message}"
    return block(head, hint=it.hint, page=page_of(it.reason, it.exit_code))


@click.command(cls=Command)
@invocation.names()
@invocation.parallel()
@invocation.login()
@click.pass_obj
def verify(asked: Invocation, *, names: Sequence[str], parallel: int) -> Report:
    """Read every destination and log in everywhere with exactly what is there.

    Exit code 5: something that consumers read does not work.

    Example: rotate verify
    """
    credentials = asked.chosen(names)
    with asked.looking(parallel=parallel) as fleet:
        proven = in_lanes(fleet, credentials, prove, partial(unlisted, fleet))
    proofs = [it for each in proven for it in each]
    results = [verified(proof) for proof in proofs]
    rows = [(it.credential, it.destination or NOTHING, it.token or NOTHING, it.message) for it in results]
    said = alike(replace(it, destination="", token="") for it in results if it.exit_code and it.hint)
    bad = [block(f"{it.credential}  {it.message}", hint=it.hint) for it in said]
    table = Table(("credential", "destination", "token", "verdict"), rows)
    return Report(results, [table, *bad], gravest(proof.exit_code for proof in proofs))


def unlisted(fleet: Fleet, credential: Credential, error: RotatorError) -> list[Proof]:
    """Prove a credential whose cluster did not let the operator in without it; where nobody answers it is not tried."""
    if unreached_for(error) == OPERATOR_UNUSABLE:
        with suppress(RotatorError):
            return prove(Lane(fleet.open_cluster(credential.cluster), {}, fleet), credential, refused=error)
    return [Proof(credential.name, credential.cluster, "", error.exit_code, error.message, hint=error.hint)]


def verified(proof: Proof) -> Verified:
    """Put a proof into its shape."""
    return Verified(
        credential=proof.credential,
        cluster=proof.cluster,
        destination=proof.destination,
        exit_code=int(proof.exit_code),
        message=proof.message,
        hint=proof.hint,
        token=proof.token,
    )
