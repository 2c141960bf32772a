"""``rotate adopt``: take over tokens that somebody else made, after saying what that means."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from dataclasses import replace

import click

from rotator.cli import invocation, running
from rotator.cli.candidate import TAKE_OVER, Candidate, examine, with_others
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import INDENT, Report, block
from rotator.cli.planning import steps_of
from rotator.cli.running import ran_of
from rotator.cli.shapes import Adopted, Found
from rotator.cli.stopping import handling, stopping
from rotator.cli.strays import Wish, adopt_strays
from rotator.errors import ExitCode
from rotator.events import Listener
from rotator.fleet import gravest, in_lanes
from rotator.rotate import Result
from rotator.view import at

AFTERWARDS = "the record holds a token of ours now: `adopt: true` is not needed in the configuration"


@click.command(cls=Command)
@invocation.names()
@click.option("--token", "tokens", multiple=True, metavar="ID", help="Without NAME: configure this one. Repeatable.")
@click.option("--destination", multiple=True, metavar="KEY=VALUE", help="Where its record goes; {name} is its name.")
@click.option("--name", default="", metavar="NAME", help="What to call it. Default: made of user and token.")
@click.option("--cluster", default="", metavar="NAME", help="In which cluster it is, where that is not clear.")
@click.option("--dry-run", is_flag=True, help="Change nothing; show the token and what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@invocation.login()
@click.pass_obj
def adopt(
    asked: Invocation,
    *,
    names: Sequence[str],
    tokens: tuple[str, ...],
    destination: tuple[str, ...],
    name: str,
    cluster: str,
    dry_run: bool,
    yes: bool,
) -> Report:
    """Take over the tokens that records hold and somebody else made: by hand, by Terraform, in the GUI.

    A token of ours takes its place; the old one works on for the overlap and is revoked then.

    Without a NAME: list the tokens that nobody rotates. With --token and --destination a chosen one is written into the
    configuration; nothing is changed at PVE.

    Example: rotate adopt ci
    """
    wish = Wish(tokens, destination, name, cluster)
    if not names:
        return adopt_strays(asked, wish, dry_run=dry_run, yes=yes)
    if wish != Wish():
        raise click.UsageError("--token, --destination, --name and --cluster go without names of credentials")
    return adopt_named(asked, names, dry_run=dry_run, yes=yes)


def adopt_named(asked: Invocation, names: Sequence[str], *, dry_run: bool, yes: bool) -> Report:
    """Take over what the records of these credentials hold."""
    credentials = asked.chosen(names)
    listeners: list[Listener] = []
    results: dict[str, Result] = {}
    with stopping() as stop, asked.quiet(listeners) as fleet:
        examined = in_lanes(fleet, credentials, examine, lambda it, error: Candidate(it, error=error))
        candidates = [with_others(it, asked.settings) for it in examined]
        is_wanted = not dry_run and not stop.signal and any(it.is_open for it in candidates)
        if is_wanted and agreed(asked, candidates, yes=yes):
            with asked.showing(listeners):
                results = take_over(running.Runner(fleet, stop, asked.verbose), candidates)
    adopted = [adopted_of(it, results.get(it.credential.name)) for it in candidates]
    code = stop.exit_code if stop.signal else gravest(ExitCode(it.exit_code) for it in adopted)
    return Report(adopted, [told(it, dry_run=dry_run) for it in adopted], code)


def agreed(asked: Invocation, candidates: Sequence[Candidate], *, yes: bool) -> bool:
    """Show what would be taken over and ask. Raises: ``UsageError`` when nobody is there to answer."""
    if yes:
        return True
    if not sys.stdin.isatty() or asked.as_json:
        raise click.UsageError("nobody is there to be asked; look with --dry-run, then say --yes")
    for candidate in candidates:
        if candidate.is_open:
            click.echo(told(adopted_of(candidate, None), dry_run=True), err=True)
    with handling(signal.default_int_handler):  # nothing is under way yet: Ctrl-C leaves
        return click.confirm("Take over?", err=True)


def take_over(runner: running.Runner, candidates: Sequence[Candidate]) -> dict[str, Result]:
    """Rotate what is to be taken over."""
    wanted = [it.credential for it in candidates if it.is_open]
    return {result.credential: result for result in runner.rotate(wanted, TAKE_OVER)}


def adopted_of(candidate: Candidate, result: Result | None) -> Adopted:
    """Put what was found and done into its shape."""
    credential, plan = candidate.credential, candidate.plan
    adopted = Adopted(
        credential=credential.name,
        cluster=credential.cluster,
        exit_code=int(candidate.exit_code),
        reason=candidate.reason,
        message=candidate.message,
        hint=candidate.hint,
        found=candidate.found,
        steps=steps_of(plan, credential) if plan and candidate.is_open else (),
        run=ran_of(result) if result else None,
    )
    if result is None:
        return adopted
    return replace(adopted, exit_code=int(result.exit_code), reason=result.reason, message=result.message)


def told(it: Adopted, *, dry_run: bool) -> str:
    """Write what was found and done for people."""
    if it.run:
        after = [] if it.run.exit_code else [f"{INDENT}{AFTERWARDS}"]
        return "\n".join([running.told(it.run), *after, *(warnings(it.found) if it.found else [])])
    if it.found is None or not it.steps:
        return block(f"{it.credential}  {it.reason}  {it.message}", hint=it.hint)
    ending = [] if dry_run else [f"{INDENT}nothing was done"]
    steps = [f"{INDENT}{number}. {step.message}" for number, step in enumerate(it.steps, 1)]
    head = f"{it.credential}  would take over {it.found.token}"
    return "\n".join([block(head), *about(it.found), *steps, *warnings(it.found), *ending])


def about(found: Found) -> list[str]:
    """Write what PVE tells of a token."""
    lines = [f"in {found.destination}" if found.destination else "in no record"]
    lines += [state(found), f"comment: {found.comment or 'none'}"] if found.exists else ["PVE does not know it"]
    stays = "it stays valid: a mirror alone held it, or others use it, too; delete it once nobody does"
    return [block(f"{INDENT}{line}") for line in (*lines, *([stays] if found.stays else []))]


def warnings(found: Found) -> list[str]:
    """Warn of those who are not served by this credential's record."""
    return [
        block(
            f"{INDENT}warning: {other} has it, too, and is locked out when it ends; give that a token of its own before"
        )
        for other in found.also_in
    ]


def state(found: Found) -> str:
    """Say what a token is good for."""
    works = {True: "logs in", False: "does not log in", None: "not tried"}[found.works]
    end = f"expires {at(found.expires)}" if found.expires else "never expires"
    return f"{works}, {end}, {'privilege-separated' if found.privsep else 'may do all that its user may'}"
