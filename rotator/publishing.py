"""Publish, confirm, mirror, fence: everything that is done to the destinations.

Publishing is the lock: a compare-and-set on the version that was observed. Who meets a conflict has lost and observes
again; it never reads the new version and writes all the same.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from rotator.act import PAUSE, TRIES, Act, LostError, twice
from rotator.backend import Announces
from rotator.errors import ConflictError, LockedOutError, OutcomeUnknownError, RotatorError, UnavailableError
from rotator.events import Step
from rotator.model import Destination, Held, Token, Unread, Version
from rotator.observe import is_accepted, read, takes


def publish(act: Act) -> None:
    """Put the new token into the primary, if that still is what was observed.

    Crash: the old record or the new one. Both tokens live; the next run finishes or, if it was not written, cleans up.
    """
    with act.narrator.step(Step.PUBLISH, token=act.current.id, destination=act.credential.primary.label):
        write_settled(act, act.current, observed_version(act))
        act.is_ours_alone, act.is_published, act.is_unsettled = False, True, False


def observed_version(act: Act) -> Version | None:
    """Return the version of the primary that the decision was made on."""
    return act.seen.primary.version if isinstance(act.seen.primary, Held) else None


def write_settled(act: Act, token: Token, expected: Version | None) -> None:
    """Write the primary; when no answer came, repeat the same compare-and-set until it is settled.

    A conflict after an unanswered try is settled by reading: ours means that we won. If it is not ours it may have been
    for a moment, so from the first unanswered try on the token is never deleted here: a later run retires or fences it.
    """
    primary, unanswered = act.credential.primary, False
    for _ in range(TRIES):
        try:
            act.ports.backends[primary.backend].write(primary.location, act.shown(token, primary), expected=expected)
        except ConflictError as error:
            if is_settled_as_ours(act, token, error, unanswered=unanswered):
                return
        except OutcomeUnknownError:
            unanswered = act.is_unsettled = True
            act.is_ours_alone = False
        except RotatorError:
            if not unanswered:
                raise
        else:
            return
        act.ports.clock.sleep(PAUSE)
    raise OutcomeUnknownError(
        f"{primary.label} does not say whether {token.id} was written",
        hint="both tokens stay valid; run `rotate due` when the store answers again",
    )


def is_settled_as_ours(act: Act, token: Token, error: ConflictError, *, unanswered: bool) -> bool:
    """Say whether an earlier, unanswered try has won; False while that cannot be read. Raises: ``LostError``."""
    held = read(act.credential.primary, act.ports.backends) if unanswered else Held()
    if isinstance(held, Unread):
        return False
    act.is_unsettled = False
    if held.token != token:
        raise LostError(f"{act.credential.primary.label} was changed by somebody else in between") from error
    return True


def confirm(act: Act) -> None:
    """Read the primary back and log in with exactly what was read.

    Another token that works, whoever's it is, was put there by somebody who came after us. Nothing is put back over
    it, and ours is marked as published, because somebody may have read it.

    Raises: ``UnavailableError`` when the store or PVE does not answer (what is published was verified, so it stays);
    ``LostError`` when somebody has published after us; ``LockedOutError`` when consumers read what does not work.
    """
    primary = act.credential.primary
    with act.narrator.step(Step.CONFIRM, token=act.current.id, destination=primary.label):
        held = read_back(act, primary, is_written=act.is_published)
        if not (held.token and is_taken(act, held.token)):
            put_back(act, held)
        elif held.token != act.current:
            mark_taken_back(act)
            what = "another secret" if held.token.id == act.current.id else str(held.token.id)
            raise LostError(f"{primary.label} holds {what}, which works")
    if act.credential.is_operator:
        act.ports.pve.switch(act.current)


def is_taken(act: Act, token: Token) -> bool:
    """Say whether PVE takes what the primary holds. Raises: ``UnavailableError``."""
    try:
        return takes(act.ports.pve, token)
    except UnavailableError as error:
        message = f"what {act.credential.primary.label} holds is not tried: {error}"
        raise UnavailableError(message, hint=error.hint) from error


def read_back(act: Act, destination: Destination, *, is_written: bool = True) -> Held:
    """Read a destination until a replica that lags behind shows something else than what was observed.

    What makes no sense is other content than was written, and counts as no token; so does a token that not every key
    shows, where we have written it.
    """
    before = relaxed(act.seen.destinations[act.credential.destinations.index(destination)], is_written=is_written)
    for _ in range(TRIES):
        held = relaxed(read(destination, act.ports.backends), is_written=is_written)
        if isinstance(held, Unread) and held.version is None:
            raise UnavailableError(f"cannot be read back: {held.message}", hint=held.hint)
        if isinstance(held, Unread):
            return Held(None, held.version)
        if held.token and is_newer(act, held.token):
            raise LostError(f"{destination.label} holds {held.token.id}, which was published after {act.current.id}")
        if not isinstance(before, Held) or is_changed(act, before, held):
            is_altered = held.token == act.current and not held.is_complete
            return Held(None, held.version) if is_altered else held
        act.ports.clock.sleep(PAUSE)
    raise UnavailableError(
        f"{destination.label} still gives back what it held before {act.current.id} was written",
        hint="a replica that lags behind? run `rotate due` when it has caught up",
    )


def relaxed(held: Held | Unread, *, is_written: bool) -> Held | Unread:
    """Judge by the token alone what this act has not written: the keys may be those of an earlier configuration."""
    return held if is_written or isinstance(held, Unread) else replace(held, is_complete=True)


def is_changed(act: Act, before: Held, held: Held) -> bool:
    """Whether it is no longer what was observed, or was what is wanted from the beginning."""
    return (held.token, held.is_complete) != (before.token, before.is_complete) or (
        held.token == act.current and held.is_complete
    )


def is_newer(act: Act, token: Token) -> bool:
    """Whether another rotation of this credential published it after ours; of a pinned token the name does not tell.

    A token that PVE's list lacks is a leftover, as in a mirror that was restored from elsewhere, and may be written
    over. The list must be younger than what was read: the observation's, or else one more is asked for.
    """
    if token.id.userid != act.credential.userid or act.view.serial(token.id) <= act.view.serial(act.current.id):
        return False
    return any(it.id == token.id for it in act.seen.tokens) or any(
        it.id == token.id for it in act.ports.pve.tokens(token.id.userid)
    )


def put_back(act: Act, held: Held) -> None:
    """Publish the predecessor again after the store gave back something that does not work. Always raises.

    Only what PVE takes is put back: where it refuses the predecessor too, the record is not what is wrong. Nothing is
    retired or deleted: both tokens live, so a consumer works with whichever it has read. The new one is marked as
    published, because it was: a later run retires it, and does not take it for an orphan.
    Crash: before the predecessor is put back the new one is marked as taken back, so that it is no orphan then either.
    """
    label, old = act.credential.primary.label, act.view.record
    problem = f"{label} was written with {act.current.id} and gives back something that does not log in"
    can_be_put_back = old and act.new and old.id != act.new.id and act.view.current
    if not (old and can_be_put_back):
        require_unchanged(act, held)
        raise LockedOutError(problem, hint="look at what is stored there; the next run issues a new token")
    is_old_taken = is_accepted(old, act.ports.pve)
    if not is_old_taken:
        require_unchanged(act, held)
        why = f"PVE does not take {old.id} either" if is_old_taken is False else f"nobody says if PVE takes {old.id}"
        message = f"{problem}; {why}, so that was not put back"
        raise LockedOutError(message, hint="look at what is stored there, and at PVE; the next run looks again")
    with act.narrator.step(Step.RESTORE, token=old.id, destination=label):
        warn_of_taking_back(act)
        try:
            act.ports.backends[act.credential.primary.backend].write(
                act.credential.primary.location, act.shown(old, act.credential.primary), expected=held.version
            )
        except ConflictError as error:  # whoever published since has ended ours, so nothing is wrong with the store
            raise LostError(f"{label} was changed by somebody else in between") from error
        except RotatorError as error:
            raise LockedOutError(f"{problem}; putting {old.id} back failed too: {error}", hint=error.hint) from error
    mark_taken_back(act)
    act.is_published, act.is_taken_back = False, True
    raise LockedOutError(f"{problem}; {old.id} was published again", hint="find out what changes the record on its way")


def require_unchanged(act: Act, held: Held | Unread) -> None:
    """Raise ``LostError`` when somebody has published since the primary was read, and so has ended our tokens."""
    now = read(act.credential.primary, act.ports.backends)
    if isinstance(now, Held) and now.version != held.version:
        raise LostError(f"{act.credential.primary.label} was changed by somebody else in between")


def warn_of_taking_back(act: Act) -> None:
    """Say in the new token's comment that it is being taken back, as well as that can be done."""
    token, marker = act.current.id, act.marker
    if marker is not None:
        with suppress(RotatorError):
            twice(lambda: act.ports.pve.update(token, comment=marker.as_taken_back().comment()))


def mark_taken_back(act: Act) -> None:
    """Say in the new token's comment that it was published, as well as that can be done."""
    token, marker = act.current.id, act.marker
    if marker is not None:
        with suppress(RotatorError), act.narrator.step(Step.MARK, token=token):
            act.update(token, comment=marker.as_published().comment())


def fence(act: Act) -> None:
    """Publish the primary's record again, unchanged: whoever observed it before cannot publish any more.

    Where not every key shows the token, all do afterwards.

    Raises: ``LostError`` when somebody has published in between; ``OutcomeUnknownError``, and then nothing is deleted.
    """
    primary = act.credential.primary
    with act.narrator.step(Step.FENCE, token=act.current.id, destination=primary.label):
        try:
            act.ports.backends[primary.backend].write(
                primary.location, act.shown(act.current, primary), expected=observed_version(act)
            )
        except ConflictError as error:
            raise LostError(f"{primary.label} was changed by somebody else in between") from error


def mirror(act: Act, index: int) -> None:
    """Put the current token into a mirror and read it back.

    Crash: the next run does it; until then the predecessor is not retired.
    """
    destination = act.credential.destinations[index]
    with act.narrator.step(Step.MIRROR, token=act.current.id, destination=destination.label):
        before = act.seen.destinations[index]
        if isinstance(before, Unread):
            before = read(destination, act.ports.backends)
        if isinstance(before, Unread):
            raise failed_mirror(act, before.message, before.hint)
        try:
            if before.token != act.current or not before.is_complete:
                write_mirror(act, destination, before)
            held = read_back(act, destination)
        except LostError:
            raise
        except RotatorError as error:
            require_still_published(act)
            named = "" if destination.label in error.message else f"{destination.label}: "
            raise failed_mirror(act, f"{named}{error}", error.hint) from error
        if held.token and is_of_another_rotation(act, held.token, before):
            raise LostError(f"{destination.label} was given {held.token.id} by somebody else in between")
        if held.token != act.current:
            require_still_published(act)
            raise LockedOutError(
                f"{destination.label} gives back something else than was written",
                hint="find out what changes the record on its way; the old token stays valid until then",
            )


def require_still_published(act: Act) -> None:
    """Raise ``LostError`` when a pinned token was given another secret since: who did that writes the mirrors."""
    primary = act.credential.primary
    held = read(primary, act.ports.backends) if act.view.is_pinned else Held(act.current)
    if isinstance(held, Held) and held.token != act.current:
        raise LostError(f"{primary.label} was changed by somebody else in between")


def announce(act: Act, index: int) -> None:
    """Make the consumers of a destination read it anew, once for the rotation that made its token.

    Crash: the token is not marked yet, so the next run does it; who was told already is not told twice. A failure is
    like a mirror that is down: the predecessor is not retired, because who was not told still uses it.
    """
    destination = act.credential.destinations[index]
    backend, marker = act.ports.backends[destination.backend], act.marker or act.view.marker
    if marker is None or not isinstance(backend, Announces):
        raise LookupError("only a token with our marker is announced, by a backend that can")
    with act.narrator.step(Step.ANNOUNCE, token=act.current.id, destination=destination.label) as telling:
        telling.say(f"restarts {', '.join(destination.audience)}")
        try:
            twice(lambda: backend.announce(destination.location, rotation=marker.rotation))
        except RotatorError as error:
            if not (act.request.compromised or act.view.is_pinned):
                raise
            message = f"{error}; who still uses the old secret is locked out until restarted"
            raise LockedOutError(message, hint=error.hint) from error


def write_mirror(act: Act, destination: Destination, before: Held) -> None:
    """Write a mirror; it is well too if somebody else has written the same in between."""
    if before.token and is_newer(act, before.token):
        raise LostError(f"{destination.label} holds {before.token.id}, which is newer than {act.current.id}")
    try:
        act.ports.backends[destination.backend].write(
            destination.location, act.shown(act.current, destination), expected=before.version
        )
    except (ConflictError, OutcomeUnknownError):
        held = read(destination, act.ports.backends)
        if isinstance(held, Held) and held.token and is_of_another_rotation(act, held.token, before):
            raise LostError(f"{destination.label} was given {held.token.id} by somebody else in between") from None
        if isinstance(held, Unread) or held.token != act.current or not held.is_complete:
            raise


def is_of_another_rotation(act: Act, token: Token, before: Held) -> bool:
    """Whether another rotation, an older or a newer one, has put it into a mirror since that was looked at."""
    is_ours = token.id.userid == act.credential.userid and act.view.serial(token.id) > 0
    known = {act.current.id, before.token.id if before.token else None}
    return is_ours and not act.view.is_pinned and token.id not in known


def failed_mirror(act: Act, message: str, hint: str = "") -> RotatorError:
    """Make the error of a mirror that does not hold the current token: grave only if what it holds is dead already."""
    if act.view.is_pinned:
        return LockedOutError(f"{message}; the secret that it held is dead", hint=hint or "run again at once")
    if act.request.compromised:
        return LockedOutError(f"{message}; what it held was revoked as compromised", hint=hint or "run again at once")
    return UnavailableError(message, hint=hint or "the old token stays valid until a later run has written it")
