"""What there is to take over for one credential: the token that somebody else made, and what PVE tells of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rotator.cli.shapes import Found
from rotator.errors import ExitCode, RotatorError
from rotator.fleet import Lane
from rotator.model import Credential, Held, Request, Token, TokenId
from rotator.observe import is_accepted, observe, read
from rotator.plan import Plan, decide
from rotator.pve import Pve
from rotator.settings import RecordOperator, Settings
from rotator.view import View

TAKE_OVER = Request(forced=True, adopt=True)


@dataclass(frozen=True)
class Candidate:
    """A credential, the foreign token that it has (if any), and what taking it over means."""

    credential: Credential
    plan: Plan | None = None
    found: Found | None = None
    idle: str = ""
    """Why there is nothing to take over."""
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

    @property
    def reason(self) -> str:
        """Why it is as it is."""
        if self.error or not self.plan:
            return "failed"
        return "nothing-to-adopt" if self.idle else self.plan.finding.reason

    @property
    def message(self) -> str:
        """The same as a sentence."""
        if self.error:
            return self.error.message
        return self.idle or (self.plan.finding.message if self.plan else "")

    @property
    def hint(self) -> str:
        """What to do about it."""
        if self.error:
            return self.error.hint
        return self.plan.finding.hint if self.plan and not self.idle else ""


def examine(lane: Lane, credential: Credential) -> Candidate:
    """Read every destination, whatever PVE's list says, and find out all about a token there that is not ours."""
    try:
        seen = observe(credential, lane.pve, lane.fleet.backends, lane.users.get(credential.userid))
        view, plan = View(seen, TAKE_OVER), decide(seen, TAKE_OVER)
        if plan.is_stopped:
            return Candidate(credential, plan)
        place = next(((where, it) for where, it in places(view) if view.is_foreign(id_of(it))), None)
        if place is None:
            return Candidate(credential, plan, idle=nothing_to_adopt(view))
        return Candidate(credential, plan, found(view, lane.pve, *place))
    except RotatorError as error:
        return Candidate(credential, error=error)


def places(view: View) -> Iterator[tuple[str, Token | TokenId]]:
    """Yield where a foreign token may be: in a destination, or at PVE under the pinned name."""
    for destination, held in zip(view.credential.destinations, view.seen.destinations, strict=True):
        if isinstance(held, Held) and held.token:
            yield destination.label, held.token
    yield from (("", it.id) for it in view.seen.tokens if view.is_pinned_token(it.id))


def id_of(token: Token | TokenId) -> TokenId:
    """Return the id of what may come with its secret or without."""
    return token.id if isinstance(token, Token) else token


def found(view: View, pve: Pve, label: str, token: Token | TokenId) -> Found:
    """Find out what PVE tells of a token. One that it does not know is not tried: it delays and logs refused logins."""
    name = id_of(token)
    state = next((it for it in view.seen.tokens if it.id == name), None)
    is_current = view.record is not None and view.record.id == name
    return Found(
        token=str(name),
        destination=label,
        exists=state is not None,
        privsep=state.privsep if state else False,
        expires=state.expire if state else None,
        comment=state.comment if state else "",
        works=is_accepted(token, pve) if state and isinstance(token, Token) else None,
        stays=state is not None and bool(label) and (not is_current or bool(view.sibling(name))),
        also_in=(),
    )


def with_others(candidate: Candidate, settings: Settings) -> Candidate:
    """Find out who else has the token that would be taken over, and so is locked out when it ends."""
    it = candidate.found
    if it is None or not it.exists or it.stays:
        return candidate
    others = tuple(others_with(TokenId.parse(it.token), candidate.credential, settings))
    return replace(candidate, found=replace(it, also_in=others))


def others_with(token: TokenId, credential: Credential, settings: Settings) -> Iterator[str]:
    """Yield where else a token is: in whose destinations, or in the operator's record. What cannot be read has none."""
    own = {place.label for place in credential.destinations}
    users = (it for it in settings.credentials if (it.cluster, it.userid) == (credential.cluster, credential.userid))
    places = {place.label: place for it in users for place in it.destinations}
    operator = settings.clusters[credential.cluster].operator
    if isinstance(operator, RecordOperator):
        places[operator.destination.label] = operator.destination
    for label, place in places.items():
        held = read(place, settings.backends) if label not in own else None
        if isinstance(held, Held) and held.token and held.token.id == token:
            yield label


def nothing_to_adopt(view: View) -> str:
    """Say why there is nothing to take over."""
    label, name = view.credential.primary.label, view.credential.name
    if view.record is None:
        return f"{label} holds no token; `rotate now {name}` issues the first"
    return f"{label} holds {view.record.id}, which is ours already; nothing was done"
