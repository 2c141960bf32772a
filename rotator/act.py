"""What one act knows while its steps are carried out, and what it does when one of them fails."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime

from rotator.backend import Backend
from rotator.clock import Clock
from rotator.errors import ConflictError, NotFoundError, OutcomeUnknownError, RotatorError
from rotator.events import Listener, Step
from rotator.marker import Marker
from rotator.model import Destination, Grant, Observation, Request, Secret, Token, TokenId, TokenState
from rotator.narrate import Narrator
from rotator.plan import Plan
from rotator.policy import Reason
from rotator.pve import Pve
from rotator.steps import Regenerate
from rotator.view import View

TRIES = 5
"""How often a lagging replica, an unanswered write or a node that lags behind is asked again."""
PAUSE = 2.0
"""Seconds between the tries. A node that was cut off has caught up some 3 s after it rejoins (measured)."""


def always() -> bool:
    """Begin whatever there is."""
    return True


class LostError(ConflictError):
    """Somebody else published; the world must be observed again."""


@dataclass(frozen=True)
class Ports:
    """All that the executor touches."""

    pve: Pve
    backends: Mapping[str, Backend]
    clock: Clock
    listen: Listener
    draw: Callable[[], str]
    """Draws the random part of a name."""
    goes_on: Callable[[], bool] = always
    """Whether another act may begin; what was begun is finished all the same."""


@dataclass
class Act:
    """One plan being carried out for one credential."""

    ports: Ports
    seen: Observation
    plan: Plan
    request: Request
    rotation: str
    new: Token | None = None
    """The token that was issued, or the pinned one with its new secret."""
    expire: datetime | None = None
    """Its end, if PVE enforces one."""
    marker: Marker | None = None
    grants: tuple[Grant, ...] = ()
    is_ours_alone: bool = False
    """The new token cannot have been read by anybody: it may be deleted."""
    is_published: bool = False
    is_unsettled: bool = False
    """A write of the primary was not answered, and it is not known yet what came of it."""
    is_taken_back: bool = False
    """It was published, and what was there before was published again."""
    is_overtaken: bool = False
    """Somebody else was faster: what the primary holds is not what was observed, and not known."""
    has_begun: bool = False
    """The call that makes a new secret was sent."""
    doomed: set[TokenId] = field(default_factory=set)
    """The tokens that PVE was asked to delete, and it did not say whether it did."""
    revoked: set[TokenId] = field(default_factory=set)
    """The tokens that were deleted."""
    notes: list[str] = field(default_factory=list)
    tokens: dict[TokenId, TokenState] = field(default_factory=dict)
    """The user's tokens as PVE has listed them last, with what it has done for us since."""

    def __post_init__(self) -> None:
        """Put what was observed into the protocol's terms."""
        self.credential = self.seen.credential
        self.learn(self.seen.tokens)
        self.view = View(self.seen, self.request)
        reason = self.plan.finding.reason
        self.narrator = Narrator(self.ports.clock, self.ports.listen, self.credential, self.rotation, reason)

    @property
    def current(self) -> Token:
        """The token that the destinations should hold: the new one, or what is published.

        Raises: ``LookupError`` when there is neither, which no plan leads to.
        """
        token = self.new or self.view.record
        if token is None:
            raise LookupError("a step before anything was issued or published")
        return token

    def shown(self, token: Token, destination: Destination) -> dict[str, Secret]:
        """Return the keys and values that show a token in a destination.

        Raises: ``RefusedError`` when they cannot.
        """
        return destination.shape.render(token, self.end_of(token.id))

    def end_of(self, token: TokenId) -> datetime | None:
        """Tell the end that PVE enforces for a token, as it was issued or observed in this act."""
        if self.new and token == self.new.id:
            return self.expire
        return next((it.expire for it in self.seen.tokens if it.id == token), None)

    def learn(self, tokens: Iterable[TokenState]) -> None:
        """Take a list of the user's tokens that is younger than what was known."""
        self.tokens = {it.id: it for it in tokens}

    def update(self, token: TokenId, *, expire: datetime | None = None, comment: str | None = None) -> None:
        """Change the end or the comment of a token at PVE.

        Repeat: nothing changes. Raises: what ``Pve.update`` raises.
        """
        twice(lambda: self.ports.pve.update(token, expire=expire, comment=comment))
        if known := self.tokens.get(token):
            changed = replace(known, expire=expire or known.expire)
            self.tokens[token] = changed if comment is None else replace(changed, comment=comment)

    def patiently(self, call: Callable[[], None], again_on: type[RotatorError]) -> None:
        """Do it again after a pause as long as it raises that, for a node or a replica that lags behind."""
        for _ in range(TRIES - 1):
            try:
                return call()
            except again_on:
                self.ports.clock.sleep(PAUSE)
        return call()

    def abandon(self) -> None:
        """Delete the token that was just made, if nobody can have read it; or else a later run finds an orphan."""
        if self.new is None or not self.is_ours_alone:
            return
        token = self.new.id
        with suppress(RotatorError), self.narrator.step(Step.REVOKE, token=token) as telling:
            telling.say("not published; deleted again")
            with suppress(NotFoundError):
                twice(lambda: self.ports.pve.revoke(token))
            self.tokens.pop(token, None)
            self.new = None

    @property
    def is_half_regenerated(self) -> bool:
        """Whether the old secret is dead, or may be, and the new one is not stored."""
        return (
            any(isinstance(step, Regenerate) for step in self.plan.steps) and self.has_begun and not self.is_published
        )

    @property
    def leaves_dead(self) -> bool:
        """Whether consumers still read a token that does not log in."""
        is_replaced = self.is_published or self.is_overtaken
        return self.plan.finding.reason is Reason.PUBLISHED_TOKEN_DEAD and not is_replaced

    def live(self) -> str:
        """Say which tokens are live now, for a person who reads of a failure."""
        record = self.view.record
        if record and self.is_half_regenerated:
            return self.live_half_regenerated(record.id)
        if self.is_overtaken:
            return self.live_overtaken()
        if self.new and self.is_unsettled:
            return self.live_unsettled(self.new.id)
        return "; ".join([*self.live_record(), *self.live_new()]) or "no token of this credential is published"

    def live_record(self) -> list[str]:
        """Say it of what was published before, where it still is."""
        record = self.view.record
        if record and self.leaves_dead:
            return [f"{record.id} is still published and does not log in"]
        if record and self.view.current and not self.is_published:
            return [f"{record.id} is still published" + ("" if self.view.current.expire is None else ", with an end")]
        return []

    def live_new(self) -> list[str]:
        """Say it of the new token, and of the one before it where that is published no more."""
        if self.new is None:
            return []
        if self.is_published:
            return [f"{self.new.id} is published", *self.live_before(self.new.id)]
        if self.is_taken_back:
            return [f"{self.new.id} was published for a moment and is still live; a later run retires it"]
        return [f"{self.new.id} was issued and may be live; a later run deletes it"]

    def live_half_regenerated(self, token: TokenId) -> str:
        """Say which secret of a pinned token consumers read."""
        if self.is_unsettled:
            return f"{token} is published with its new secret, or with its old one, which does not log in"
        certainly = "does not log in" if self.new and not self.is_overtaken else "may not log in any more"
        return f"{token} is still published with its old secret, which {certainly}"

    def live_overtaken(self) -> str:
        """Say it where somebody else was faster, and nobody has looked since."""
        unknown = f"what {self.credential.primary.label} holds now is not known: somebody else was faster"
        if self.new is None:
            return unknown
        fate = "was published" if self.is_published else "was issued"
        return f"{unknown}; {self.new.id} {fate} and may be live"

    def live_before(self, new: TokenId) -> list[str]:
        """Say whether what was published before the new token is still live."""
        old = self.view.current
        if old is None or old.id == new or old.id in self.revoked or self.view.current_is_dead:
            return []
        return [f"{old.id} may still be live" if old.id in self.doomed else f"{old.id} is still live"]

    def live_unsettled(self, new: TokenId) -> str:
        """Say it where the store does not say which token consumers read."""
        old = self.view.current.id if self.view.current else None
        if old is None or old == new:
            return f"{new} is live, and may be published"
        return f"{new} or {old} is published, it is not known which; both are live"


def twice(call: Callable[[], None]) -> None:
    """Repeat a call that changes nothing the second time, when the first got no answer."""
    try:
        call()
    except OutcomeUnknownError:
        call()
