"""Rotations in words: how a run of the fleet ended, for people and for machines; and how it is asked to end early."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from rotator import bugs, fleet
from rotator.cli.logs import unheeded
from rotator.cli.output import Report, alike, block, page_of
from rotator.cli.shapes import Ran
from rotator.cli.stopping import Stop
from rotator.cli.voice import say
from rotator.errors import ExitCode
from rotator.fleet import BUG, Fleet, gravest
from rotator.model import Credential, Request
from rotator.rotate import Result


@dataclass(frozen=True)
class Runner:
    """Rotates as ``rotator.fleet.rotate`` does, but begins nothing more once it is asked to stop, and survives bugs."""

    fleet: Fleet
    stop: Stop
    verbose: bool = False
    ended: Callable[[Result], None] = unheeded
    """Told of the end of each credential's run."""

    def rotate(self, credentials: Sequence[Credential], request: Request) -> list[Result]:
        """Do what is to do. A failure is a result, and so is a bug."""
        stoppable = replace(self.fleet, goes_on=lambda: not self.stop.signal, caught=self.tell, ended=self.end)
        return [self.advised(it) for it in fleet.rotate(stoppable, credentials, request)]

    def end(self, result: Result) -> None:
        """Hand on how a run ended."""
        self.ended(self.advised(result))

    def tell(self, error: Exception) -> None:
        """Tell where a bug came up."""
        if self.verbose:
            say("\n".join(bugs.traced(error)))

    def advised(self, result: Result) -> Result:
        """Ask for a report of a bug, if it was told already."""
        return replace(result, hint=bugs.REPORT) if self.verbose and result.reason == BUG else result


def report(results: Sequence[Result], stop: Stop) -> Report:
    """Report how a run ended."""
    ran = [ran_of(result) for result in results]
    code = stop.exit_code if stop.signal else gravest(result.exit_code for result in results)
    width = max((len(it.credential) for it in ran), default=0)
    return Report(ran, [told(it, width) for it in alike(ran)] or ["nothing to do: no credential is left"], code)


def ran_of(result: Result) -> Ran:
    """Put a result into its shape."""
    return Ran(
        credential=result.credential,
        cluster=result.cluster,
        exit_code=int(result.exit_code),
        reason=result.reason,
        message=result.message,
        hint=result.hint,
        step=result.step,
        live=result.live,
        token=result.token,
        until=result.until,
        done=result.done,
        notes=result.notes,
    )


def told(ran: Ran, width: int = 0) -> str:
    """Write one credential's result for people."""
    head = f"{ran.credential:<{width}}  {state(ran)}  {ran.message}"
    page = "" if ran.step else page_of(ran.reason, ran.exit_code)  # what a step stumbled over is in the message
    return block(head, live=ran.live, hint=ran.hint, page=page, notes=ran.notes)


def state(ran: Ran) -> str:
    """Say in a word or two how a run ended."""
    if ran.exit_code == ExitCode.IN_FLIGHT:
        return f"waiting ({ran.reason})"
    if ran.exit_code != ExitCode.DONE:
        return f"failed ({ran.step or ran.reason})"
    return f"done ({', '.join(dict.fromkeys(ran.done))})" if ran.done else ran.reason
