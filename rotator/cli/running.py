"""Rotations in words: how a run of the fleet ended, for people and for machines; and how it is asked to end early."""

from __future__ import annotations

from collections.abc import Sequence
from threading import Lock

from rotator.cli.output import Report, block
from rotator.cli.shapes import Ran
from rotator.cli.stopping import Stop
from rotator.errors import ExitCode
from rotator.events import Event, Outcome, Step
from rotator.fleet import Fleet, Lane, failed, gravest, in_lanes
from rotator.model import Credential, Request
from rotator.rotate import Result

INTERRUPTED = "interrupted"


class FailedSteps:
    """Remembers at which step something failed; a listener."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, str], str] = {}
        self._lock = Lock()

    def __call__(self, event: Event) -> None:
        """Keep the step of a failure; a decision that stops a run has its own reason."""
        if event.outcome in {Outcome.FAILED, Outcome.UNKNOWN} and event.step is not Step.DECIDE:
            with self._lock:
                self._steps[event.credential, event.message] = event.step

    def of(self, result: Result) -> str:
        """Return the step that a result tells of; "" when it failed at none, or not at all."""
        return self._steps.get((result.credential, result.message), "")


def rotate(fleet: Fleet, credentials: Sequence[Credential], request: Request, stop: Stop) -> list[Result]:
    """Rotate as ``rotator.fleet.rotate`` does, but begin nothing more once it is asked to stop."""

    def work(lane: Lane, credential: Credential) -> Result:
        return not_begun(credential) if stop.signal else lane.rotate(credential, request)

    return in_lanes(fleet, credentials, work, failed)


def not_begun(credential: Credential) -> Result:
    """Make the result of a credential whose turn did not come."""
    message = "not begun: the run was interrupted"
    return Result(
        credential.name, credential.cluster, ExitCode.FAILED, INTERRUPTED, message, live="nothing was touched"
    )


def report(results: Sequence[Result], failures: FailedSteps, stop: Stop) -> Report:
    """Report how a run ended."""
    ran = [ran_of(result, failures.of(result)) for result in results]
    code = stop.exit_code if stop.signal else gravest(result.exit_code for result in results)
    width = max((len(it.credential) for it in ran), default=0)
    return Report(ran, [told(it, width) for it in ran] or ["nothing to do: no credential is left"], code)


def ran_of(result: Result, step: str = "") -> Ran:
    """Put a result into its shape."""
    return Ran(
        credential=result.credential,
        cluster=result.cluster,
        exit_code=int(result.exit_code),
        reason=result.reason,
        message=result.message,
        hint=result.hint,
        step=step,
        live=result.live,
        token=result.token,
        until=result.until,
        done=result.done,
        notes=result.notes,
    )


def told(ran: Ran, width: int = 0) -> str:
    """Write one credential's result for people."""
    head = f"{ran.credential:<{width}}  {state(ran)}  {ran.message}"
    return block(head, live=ran.live, hint=ran.hint, notes=ran.notes)


def state(ran: Ran) -> str:
    """Say in a word or two how a run ended."""
    if ran.exit_code == ExitCode.IN_FLIGHT:
        return f"waiting ({ran.reason})"
    if ran.exit_code != ExitCode.DONE:
        return f"failed ({ran.step or ran.reason})"
    return f"done ({', '.join(ran.done)})" if ran.done else ran.reason
