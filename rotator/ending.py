"""Mark, retire, revoke: what is done to tokens after publishing. Late, repeated or raced, each is still right."""

from __future__ import annotations

from contextlib import suppress

from rotator import steps
from rotator.act import Act, twice
from rotator.errors import NotFoundError, OutcomeUnknownError, RotatorError
from rotator.events import Step
from rotator.marker import Marker, foreign_text
from rotator.model import TokenId
from rotator.view import deadline


def mark(act: Act, token: TokenId) -> None:
    """Write into the current token's comment that the rotation is finished.

    Crash: the next run confirms and marks it. Repeat: nothing changes.
    """
    state = next((it for it in act.seen.tokens if it.id == token), None)
    marker = act.marker or (Marker.parse(state.comment) if state else None)
    if marker is None:
        raise LookupError("only a token with our marker is marked")
    comment = marker.as_published().comment(foreign_text(state.comment) if state else "")
    with act.narrator.step(Step.MARK, token=token):
        twice(lambda: act.ports.pve.update(token, comment=comment))


def retire(act: Act, step: steps.Retire) -> None:
    """Let PVE end an old token after the overlap, or earlier if it had an earlier end.

    The end is read again just before: a run that was paused must not put off what another run has set.
    Crash: the next run does it. Repeat: the end is never later than before.
    """
    with act.narrator.step(Step.RETIRE, token=step.token) as telling:
        known = {it.id: it.expire for it in act.ports.pve.tokens(step.token.userid)}
        if step.token not in known:
            telling.say("gone already")
            return
        end, own = deadline(act.ports.pve.now(), step.overlap), known[step.token]
        if own is None or own > end:
            twice(lambda: act.ports.pve.update(step.token, expire=end))
        telling.say(f"ends at {min(own or end, end):%Y-%m-%d %H:%M:%SZ}")


def revoke(act: Act, token: TokenId) -> None:
    """Delete a token and look on every endpoint whether it is gone.

    A node without quorum goes on accepting a deleted token (measured), so such nodes are named. A login with the dead
    secret is not tried: PVE delays it by 3 s and writes an authentication failure to the log.
    """
    with act.narrator.step(Step.REVOKE, token=token) as telling:
        with suppress(NotFoundError):
            twice(lambda: act.ports.pve.revoke(token))
        knows, silent = [], []
        for endpoint in act.ports.pve.endpoints:
            try:
                knows += [endpoint] if act.ports.pve.token_on(endpoint, token) else []
            except RotatorError:
                silent.append(endpoint)
        if len(knows) == len(act.ports.pve.endpoints):
            raise OutcomeUnknownError(f"{token} was deleted and is still there", hint="run again")
        said = [f"still accepted by {', '.join(knows)}, which lags behind"] * bool(knows)
        said += [f"no answer from {', '.join(silent)}"] * bool(silent)
        act.notes += [f"{token}: {it}" for it in said]
        telling.say("; ".join(said))
