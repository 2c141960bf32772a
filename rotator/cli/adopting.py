"""``rotate adopt``: take over tokens that somebody else made, after saying what that means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace

import click

from rotator.cli import invocation, running
from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import INDENT, Report, block
from rotator.cli.planning import steps_of
from rotator.cli.running import FailedSteps, ran_of
from rotator.cli.shapes import Adopted, Found
from rotator.cli.stopping import Stop, stopping
from rotator.errors import ExitCode, RotatorError
from rotator.fleet import Fleet, Lane, gravest, in_lanes
from rotator.model import Credential, Observation, Request, TokenState
from rotator.observe import is_accepted, observe
from rotator.plan import Plan, decide
from rotator.rotate import Result
from rotator.view import View, at

TAKE_OVER = Request(forced=True, adopt=True)
AFTERWARDS = "the record holds a token of ours now: `adopt: true` is not needed in the configuration"


@dataclass(frozen=True)
class Candidate:
    """A credential, the foreign token that its record holds (if any), and what taking it over means."""

    credential: Credential
    plan: Plan | None = None
    found: Found | None = None
    says: str = ""
    error: RotatorError | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is something to take over, and nothing in the way."""
        return self.found is not None and self.plan is not None and not self.plan.is_stopped

    @property
    def exit_code(self) -> ExitCode:
        """What it means for a script when nothing is done about it."""
        if self.error:
            return self.error.exit_code
        return ExitCode.FAILED if self.plan and self.plan.is_stopped else ExitCode.DONE


@click.command(cls=Command)
@invocation.names(required=True)
@click.option("--dry-run", is_flag=True, help="Change nothing; show the token and what would be done.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def adopt(asked: Invocation, *, names: Sequence[str], dry_run: bool, yes: bool) -> Report:
    """Take over the tokens that records hold and somebody else made: by hand, by Terraform, in the GUI.

    A token of ours takes its place; the old one works on for the overlap and is revoked then.

    Example: rotate adopt ci
    """
    credentials, failures = asked.chosen(names), FailedSteps()
    with stopping() as stop, asked.fleet(failures) as fleet:
        candidates = in_lanes(fleet, credentials, examine, lambda it, error: Candidate(it, error=error))
        is_meant = not dry_run and any(it.is_open for it in candidates) and agreed(asked, candidates, yes=yes)
        results = take_over(fleet, candidates, stop) if is_meant else {}
    adopted = [adopted_of(it, results.get(it.credential.name), failures) for it in candidates]
    code = stop.exit_code if stop.signal else gravest(ExitCode(it.exit_code) for it in adopted)
    return Report(adopted, [told(it, dry_run=dry_run) for it in adopted], code)


def examine(lane: Lane, credential: Credential) -> Candidate:
    """Read the record, whatever PVE's list says, and find out all about a token in it that is not ours."""
    try:
        seen = observe(credential, lane.pve, lane.fleet.backends, lane.users.get(credential.userid))
        view, plan = View(seen, TAKE_OVER), decide(seen, TAKE_OVER)
        if plan.is_stopped:
            return Candidate(credential, plan)
        return examined(lane, view, plan, foreign(view))
    except RotatorError as error:
        return Candidate(credential, error=error)


def foreign(view: View) -> TokenState | None:
    """Find the live token that is to be taken over: the one in the record, or the pinned one at PVE."""
    pinned = next((it for it in view.seen.tokens if view.is_pinned_token(it.id)), None)
    token = view.current or pinned
    return token if token and view.is_foreign(token.id) else None


def examined(lane: Lane, view: View, plan: Plan, token: TokenState | None) -> Candidate:
    """Say what is to be taken over, or why nothing is."""
    credential = view.credential
    if token is None:
        return Candidate(credential, plan, says=nothing_to_adopt(view.seen, view))
    is_held = view.record is not None and view.record.id == token.id
    found = Found(
        token=str(token.id),
        destination=credential.primary.label if is_held else "",
        privsep=token.privsep,
        expires=token.expire,
        comment=token.comment,
        works=is_accepted(view.record, lane.pve) if is_held and view.record else None,
    )
    return Candidate(credential, plan, found)


def nothing_to_adopt(seen: Observation, view: View) -> str:
    """Say why there is nothing to take over."""
    label = seen.credential.primary.label
    if view.record is None:
        return f"{label} holds no token; `rotate now {seen.credential.name}` issues the first"
    if view.current is None:
        return f"{label} holds {view.record.id}, which PVE does not know; `rotate due` replaces it"
    return f"{label} holds {view.record.id}, which is ours already; nothing was done"


def agreed(asked: Invocation, candidates: Sequence[Candidate], *, yes: bool) -> bool:
    """Show what would be taken over and ask. Raises: ``UsageError`` when nobody is there to answer."""
    if yes:
        return True
    if not sys.stdin.isatty() or asked.as_json:
        raise click.UsageError("nobody is there to be asked; look with --dry-run, then say --yes")
    for candidate in candidates:
        if candidate.is_open:
            click.echo(told(adopted_of(candidate, None, FailedSteps()), dry_run=True), err=True)
    return click.confirm("Take over?", err=True)


def take_over(fleet: Fleet, candidates: Sequence[Candidate], stop: Stop) -> dict[str, Result]:
    """Rotate what is to be taken over."""
    wanted = [it.credential for it in candidates if it.is_open]
    return {result.credential: result for result in running.rotate(fleet, wanted, TAKE_OVER, stop)}


def adopted_of(candidate: Candidate, result: Result | None, failures: FailedSteps) -> Adopted:
    """Put what was found and done into its shape."""
    credential, plan, error = candidate.credential, candidate.plan, candidate.error
    finding = plan.finding if plan else None
    adopted = Adopted(
        credential=credential.name,
        cluster=credential.cluster,
        exit_code=int(candidate.exit_code),
        reason="failed" if error else "nothing-to-adopt" if candidate.says else finding.reason if finding else "",
        message=error.message if error else candidate.says or (finding.message if finding else ""),
        hint=error.hint if error else finding.hint if finding and not candidate.says else "",
        found=candidate.found,
        steps=steps_of(plan, credential) if plan and candidate.is_open else (),
        run=ran_of(result, failures.of(result)) if result else None,
    )
    if result is None:
        return adopted
    return replace(adopted, exit_code=int(result.exit_code), reason=result.reason, message=result.message)


def told(it: Adopted, *, dry_run: bool) -> str:
    """Write what was found and done for people."""
    if it.run:
        after = [] if it.run.exit_code else [f"{INDENT}{AFTERWARDS}"]
        return "\n".join([running.told(it.run), *after])
    if it.found is None or not it.steps:
        return block(f"{it.credential}  {it.reason}  {it.message}", hint=it.hint)
    ending = [] if dry_run else [f"{INDENT}nothing was done"]
    steps = [f"{INDENT}{number}. {step.message}" for number, step in enumerate(it.steps, 1)]
    head = f"{it.credential}  would take over {it.found.token}"
    return "\n".join([block(head), *about(it.found), *steps, *ending])


def about(found: Found) -> list[str]:
    """Write what PVE tells of a token."""
    works = {True: "logs in", False: "does not log in", None: "not tried"}[found.works]
    end = f"expires {at(found.expires)}" if found.expires else "never expires"
    parts = [works, end, "privilege-separated" if found.privsep else "may do all that its user may"]
    lines = [f"in {found.destination}"] if found.destination else ["in no record"]
    lines += [", ".join(parts), f"comment: {found.comment or 'none'}"]
    return [block(f"{INDENT}{line}") for line in lines]
