"""``--wait``: stay until the overlap of what was replaced has passed, and revoke it.

Nothing depends on it: PVE ends the old tokens by itself, and the next ``rotate due`` tidies up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rotator.cli.running import Runner
from rotator.cli.standing import Standing, look
from rotator.cli.voice import say
from rotator.errors import ExitCode
from rotator.fleet import Fleet
from rotator.model import Credential, Request, TokenState
from rotator.rotate import Result
from rotator.view import MARGIN, at

LATE = MARGIN + timedelta(seconds=1)
"""After this long past its deadline a token counts as refused by PVE, whatever the fraction of its clock's second."""


@dataclass(frozen=True, slots=True)
class Pending:
    """An old token that is waited for; ``left`` is how long, by PVE's clock."""

    credential: Credential
    token: TokenState
    left: timedelta


def wait(runner: Runner, credentials: Sequence[Credential], results: Sequence[Result]) -> list[Result]:
    """Sleep and revoke, until nothing of these credentials is retiring any more; return how each ended.

    A credential whose run failed, or that is paused, is not waited for. Raises nothing on Ctrl-C: it says what is left.
    """
    latest = {result.credential: result for result in results}
    waited: set[str] = set()
    while left := pending(runner.fleet, credentials, latest, waited):
        try:
            with runner.stop.waiting():
                sleep(runner.fleet, left)
        except KeyboardInterrupt:
            tell_left(left)
            break
        ripe = [it for it in left if it.left <= left[0].left]
        waited |= {str(it.token.id) for it in ripe}
        again = list({it.credential.name: it.credential for it in ripe}.values())
        for result in runner.rotate(again, Request()):
            latest[result.credential] = joined(latest[result.credential], result)
    return [latest[credential.name] for credential in credentials]


def pending(
    fleet: Fleet, credentials: Sequence[Credential], latest: dict[str, Result], waited: set[str]
) -> list[Pending]:
    """List what is retiring and was not waited for yet, the next to end first."""
    well = [it for it in credentials if latest[it.name].exit_code is ExitCode.DONE and not it.paused]
    standings = look(fleet, well)
    for standing in standings:
        if standing.survey.error:
            latest[standing.credential.name] = blind(latest[standing.credential.name], standing)
    found = [
        Pending(standing.credential, token, token.expire + LATE - standing.now)
        for standing in standings
        for token in standing.retiring
        if token.expire and standing.now and not standing.survey.error and str(token.id) not in waited
    ]
    return sorted(found, key=lambda it: it.left)


def blind(before: Result, standing: Standing) -> Result:
    """Make the result of a credential of which it is not known what is left to wait for."""
    return replace(
        before,
        exit_code=ExitCode.FAILED,
        reason=standing.reason,
        message=f"rotated, but what is left to revoke cannot be seen: {standing.message}",
        hint=standing.hint or "the old token ends by itself; `rotate due` deletes it then",
        live=f"{before.token} is published" if before.token else "",
    )


def sleep(fleet: Fleet, left: Sequence[Pending]) -> None:
    """Wait for the next token to end."""
    first = left[0]
    say(f"waiting for {first.token.id}, which ends at {at(first.token.expire)}")
    fleet.clock.sleep(max(first.left.total_seconds(), 0))


def tell_left(left: Sequence[Pending]) -> None:
    """Say what will happen without us."""
    say("rotate: interrupted while waiting; the new tokens are published and work")
    for it in left:
        say(f"    {it.token.id} ends by itself at {at(it.token.expire)}; `rotate due` deletes it then")


def joined(before: Result, after: Result) -> Result:
    """Put together what was done before the wait and after it."""
    return replace(after, done=(*before.done, *after.done), notes=(*before.notes, *after.notes))
