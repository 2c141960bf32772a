"""``rotate now`` and ``rotate due``: argument parsing and wiring; the work is done by ``rotator.fleet``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import click

from rotator.cli import invocation, running, sharding
from rotator.cli.invocation import Command, Invocation
from rotator.cli.logs import Wish, logged, noted
from rotator.cli.measuring import Measuring, Targets, measured
from rotator.cli.notifying import Notifying
from rotator.cli.output import Report
from rotator.cli.planning import plan_of
from rotator.cli.stopping import stopping
from rotator.cli.waiting import wait as stay
from rotator.durations import EXAMPLES, parse_duration
from rotator.errors import ExitCode
from rotator.faults import InvalidValueError
from rotator.fleet import unpaused
from rotator.model import Credential, Request
from rotator.shards import ALL, Shard


def duration(_context: click.Context, _parameter: click.Parameter, text: str | None) -> timedelta | None:
    """Read a duration as the configuration has it. Raises: ``BadParameter``."""
    try:
        return None if text is None else parse_duration(text)
    except InvalidValueError as error:
        raise click.BadParameter(f"{error.message}; {error.advice}") from None


dry_run = click.option("--dry-run", is_flag=True, help="Change nothing; print what would be done.")


@click.command(cls=Command)
@invocation.names()
@click.option("--all", "everything", is_flag=True, help="All credentials that are not paused.")
@click.option("--compromised", is_flag=True, help="Others know the token: revoke all old ones at once.")
@click.option("--overlap", callback=duration, metavar="DURATION", help=f"For this run: {EXAMPLES}.")
@click.option("--wait", is_flag=True, help="Stay until the old tokens' overlap has passed, and revoke them.")
@dry_run
@invocation.parallel()
@invocation.login()
@measured()
@logged("progress")
@click.option("--yes", is_flag=True, help="Needed for --all --compromised.")
@click.pass_obj
def now(
    asked: Invocation,
    *,
    names: Sequence[str],
    everything: bool,
    compromised: bool,
    overlap: timedelta | None,
    wait: bool,
    dry_run: bool,
    parallel: int,
    metrics_file: Path | None,
    push_gateway: str | None,
    log_format: str,
    log_level: str,
    yes: bool,
) -> Report:
    """Rotate credentials now, due or not.

    The old token works on for the overlap; with --compromised it ends at once.

    Example: rotate now ci --overlap 1h --wait
    """
    require_names(names, everything=everything)
    refuse(compromised and overlap is not None, "--compromised revokes at once: it goes with no --overlap")
    refuse(wait and dry_run, "--dry-run does nothing: there is nothing to wait for")
    lonely = everything and compromised and not (yes or dry_run)
    refuse(lonely, "--all --compromised ends every old token at once; say --yes if that is meant")
    credentials = unpaused(asked.chosen(())) if everything else asked.chosen(names)
    request = Request(forced=True, compromised=compromised, overlap=overlap)
    measuring = measuring_of(asked, Targets(metrics_file, push_gateway), names=names, dry_run=dry_run)
    if dry_run:
        return foresee(asked, credentials, request, parallel)
    return run(asked, credentials, request, parallel, measuring, wish=Wish(log_format, log_level), wait=wait)


@click.command(cls=Command)
@invocation.names()
@dry_run
@sharding.shard()
@invocation.parallel()
@invocation.login()
@measured()
@logged("progress")
@click.pass_obj
def due(
    asked: Invocation,
    *,
    names: Sequence[str],
    dry_run: bool,
    shard: Shard,
    parallel: int,
    metrics_file: Path | None,
    push_gateway: str | None,
    log_format: str,
    log_level: str,
) -> Report:
    """Rotate what is due, and finish what is unfinished.

    Without a NAME, all credentials that are not paused. Run it as often as you like: it does what is to do and
    nothing else.

    Example: rotate due
    """
    refuse(bool(names) and shard != ALL, "either names or a shard, not both")
    credentials = asked.chosen(names) if names else shard.of(unpaused(asked.chosen(())))
    measuring = measuring_of(asked, Targets(metrics_file, push_gateway), names=names, dry_run=dry_run, shard=shard)
    if dry_run:
        return foresee(asked, credentials, Request(), parallel)
    return run(asked, credentials, Request(), parallel, measuring, wish=Wish(log_format, log_level))


def measuring_of(
    asked: Invocation, targets: Targets, *, names: Sequence[str], dry_run: bool, shard: Shard = ALL
) -> Measuring:
    """Measure a run, of all credentials, if that is wanted. Raises: ``UsageError``, ``ConfigError``."""
    refuse(bool(targets and names), "metrics tell of all credentials: give no names with them")
    refuse(bool(targets and dry_run), "--dry-run does nothing: there is nothing to measure")
    credentials = shard.of(asked.chosen(())) if targets else ()
    return Measuring(targets, lambda: asked.settings, credentials, shard=shard, clock=asked.clock)


def require_names(names: Sequence[str], *, everything: bool) -> None:
    """Refuse a call that does not say which credentials."""
    refuse(bool(names) and everything, "either names or --all, not both")
    refuse(not names and not everything, "which? give names, or --all")


def refuse(wrong: bool, why: str) -> None:  # noqa: FBT001 - the condition reads best first
    """Refuse a way to call a command. Raises: ``UsageError``."""
    if wrong:
        raise click.UsageError(why)


def foresee(asked: Invocation, credentials: Sequence[Credential], request: Request, parallel: int) -> Report:
    """Print the plan of a run."""
    with asked.looking(parallel=parallel) as fleet:
        return plan_of(fleet, credentials, request)


def run(
    asked: Invocation,
    credentials: Sequence[Credential],
    request: Request,
    parallel: int,
    measuring: Measuring,
    *,
    wish: Wish,
    wait: bool = False,
) -> Report:
    """Rotate, and stay for the overlap if asked to; leave metrics behind, unless the run was ended early."""
    with noted(wish, lambda: asked.settings, verbose=asked.verbose, clock=asked.clock) as notes:
        listeners = (*measuring.listeners, *notes.listeners)
        with stopping() as stop, asked.fleet(*listeners, parallel=parallel, shows=not notes.listeners) as fleet:
            notifying = Notifying(lambda: asked.settings, asked.clock)
            runner = running.Runner(notifying.watched(fleet), stop, asked.verbose, notes.ended)
            results = runner.rotate(credentials, request)
            notifying.tell(results)
            if wait:
                results = stay(runner, credentials, results)
                notifying.tell(results)
            if not stop.signal:
                measuring.look(fleet, results)
            notifying.close()
        report = running.report(results, stop)
        if not stop.signal:
            measuring.tell(ExitCode(report.exit_code))
    return report
