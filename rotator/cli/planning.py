"""A plan in words: for ``plan``, for every ``--dry-run``, and before something is taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rotator.backend import Backend
from rotator.cli.output import INDENT, Report, alike, block, page_of
from rotator.cli.shapes import Planned, PlannedStep
from rotator.cli.standing import Standing, look
from rotator.errors import ExitCode
from rotator.events import Step as Name
from rotator.fleet import Fleet, gravest
from rotator.model import Credential, Request
from rotator.plan import Plan, warnings
from rotator.steps import (
    Announce,
    Confirm,
    Fence,
    GrantRoles,
    Issue,
    Mark,
    Mirror,
    Preflight,
    Publish,
    Regenerate,
    Retire,
    Revoke,
    Step,
    Verify,
)

NAMES: Mapping[type[Step], Name] = {
    Preflight: Name.PREFLIGHT,
    Issue: Name.ISSUE,
    Regenerate: Name.REGENERATE,
    GrantRoles: Name.GRANT,
    Verify: Name.VERIFY,
    Publish: Name.PUBLISH,
    Confirm: Name.CONFIRM,
    Mirror: Name.MIRROR,
    Announce: Name.ANNOUNCE,
    Mark: Name.MARK,
    Fence: Name.FENCE,
    Retire: Name.RETIRE,
    Revoke: Name.REVOKE,
}
"""What the events call each kind of step."""


def plan_of(fleet: Fleet, credentials: Sequence[Credential], request: Request | None = None) -> Report:
    """Look at credentials and say what would be done."""
    standings = look(fleet, credentials, request)
    results = [planned(standing, fleet.backends) for standing in standings]
    code = gravest(standing.survey.exit_code for standing in standings)
    return Report(results, [told(it) for it in alike(results)], code)


def planned(standing: Standing, backends: Mapping[str, Backend]) -> Planned:
    """Put what would happen to one credential into its shape."""
    credential, plan = standing.credential, standing.survey.plan
    return Planned(
        credential=credential.name,
        cluster=credential.cluster,
        exit_code=int(standing.survey.exit_code),
        reason=standing.reason,
        message=standing.message,
        hint=standing.hint,
        steps=steps_of(plan, credential) if plan else (),
        warnings=(*(warnings(standing.view) if standing.view else ()), *without_compare_and_set(credential, backends)),
        until=plan.finding.until if plan else None,
    )


def steps_of(plan: Plan, credential: Credential) -> tuple[PlannedStep, ...]:
    """Put the steps of a plan into words."""
    return tuple(PlannedStep(step=NAMES[type(step)], message=step.told(credential)) for step in plan.steps)


def without_compare_and_set(credential: Credential, backends: Mapping[str, Backend]) -> list[str]:
    """Say for each store that cannot compare and set what is given up there."""
    return [
        f"{it.label}: its store has no compare-and-set; with `single_writer: true` you answer for it that nothing else "
        "writes there: two rotators at once could undo each other's publication, and consumers be locked out"
        for it in credential.destinations
        if not backends[it.backend].traits.compare_and_set
    ]


def told(planned: Planned) -> str:
    """Write one credential's plan for people."""
    is_failed = planned.exit_code not in {ExitCode.DONE, ExitCode.IN_FLIGHT}
    state = f"failed ({planned.reason})" if is_failed else planned.reason
    head = f"{planned.credential}  {state}  {planned.message}"
    lines = [block(head, hint=planned.hint, page=page_of(planned.reason, planned.exit_code))]
    lines += [f"{INDENT}{number}. {step.message}" for number, step in enumerate(planned.steps, 1)]
    lines += [f"{INDENT}warning: {warning}" for warning in planned.warnings]
    return "\n".join(lines)
