"""PVE and the stores as plain values, and the steps of a plan carried out on them, without I/O.

What it leaves out is what the executor is for: nobody else is there, nothing dies, nothing is late, nothing fails
but what is down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import assert_never

from rotator import steps
from rotator.marker import Marker, Name, foreign_text
from rotator.model import Credential, Held, Observation, Request, Secret, Token, TokenId, TokenState, Unread, Version
from rotator.plan import Plan, decide
from rotator.rotate import MOST_ACTS
from rotator.view import View, deadline


class DownError(Exception):
    """A destination cannot be read or written."""


@dataclass
class World:
    """All there is: tokens with their live secrets, destinations, a clock that stands still."""

    credential: Credential
    now: datetime
    tokens: dict[TokenId, TokenState]
    live: dict[TokenId, Secret]
    destinations: list[Held | Unread]
    user_usable: bool = True
    watch: Callable[[World], None] = lambda _: None
    """Called after each step."""
    made: int = 0
    new: Token | None = field(default=None, repr=False)

    @classmethod
    def of(cls, seen: Observation) -> World:
        """Make the world that looks like this; a record that PVE does not accept has another secret than the token."""
        live = {token.id: Secret("s") for token in seen.tokens}
        primary = seen.primary
        if seen.accepted and isinstance(primary, Held) and primary.token:
            live[primary.token.id] = primary.token.secret
        if seen.accepted is False and isinstance(primary, Held) and primary.token:
            live[primary.token.id] = Secret("another")
        tokens = {token.id: token for token in seen.tokens}
        return cls(seen.credential, seen.now, tokens, live, list(seen.destinations), seen.user_usable)

    def observe(self) -> Observation:
        """Look at everything, as ``rotator.observe`` does."""
        seen = Observation(
            self.credential, self.now, tuple(self.tokens.values()), tuple(self.destinations), self.user_usable
        )
        view = View(seen)
        if view.record and view.marker and not view.is_finished and self.user_usable:
            seen = replace(seen, accepted=self.works(view.record))
        return seen

    def works(self, token: Token | None) -> bool:
        """Whether a token logs in."""
        state = self.tokens.get(token.id) if token else None
        if token is None or state is None:
            return False
        return self.user_usable and self.live[token.id] == token.secret and not state.is_expired(self.now)

    @property
    def record(self) -> Token | None:
        """What the primary holds."""
        return self.destinations[0].token if isinstance(self.destinations[0], Held) else None

    def run(self, request: Request | None = None) -> tuple[Plan, list[Plan]]:
        """Act until nothing is to do, as ``rotate.Run`` does: the last plan, and those that were carried out.

        Raises: ``DownError``; ``AssertionError`` when it does not come to rest.
        """
        request, done = request or Request(), list[Plan]()
        for _ in range(MOST_ACTS):
            plan = decide(self.observe(), request)
            if not plan.steps:
                return plan, done
            self.carry_out(plan, request)
            done.append(plan)
            request = request.fulfilled() if plan.issues else request
        reasons = [plan.finding.reason.value for plan in done]
        raise AssertionError(f"it does not come to rest: {reasons}")

    def carry_out(self, plan: Plan, request: Request) -> None:
        """Do the steps; what is down stops those that come after mirrors, not the mirrors themselves."""
        view, self.new, failed = View(self.observe(), request), None, False
        for step in plan.steps:
            is_mirror = isinstance(step, steps.Mirror | steps.Announce)
            if failed and not is_mirror and not (request.compromised and isinstance(step, steps.Revoke)):
                continue
            try:
                self.do(step, view)
            except DownError:
                failed = True
                if not is_mirror:
                    raise
            self.watch(self)
        if failed:
            raise DownError

    def do(self, step: steps.Step, view: View) -> None:  # noqa: C901 - one line for each kind of step
        """Let one step have its effect."""
        current = self.new or self.record
        match step:
            case steps.Preflight(destinations):
                self.need(*destinations)
            case steps.Issue(serial, predecessor):
                self.issue(serial, predecessor)
            case steps.Regenerate(token, keep):
                self.make(token, keep, "")
            case steps.GrantRoles() | steps.Verify() | steps.Announce():
                pass
            case steps.Confirm():
                assert self.works(current), "a record is confirmed that does not work"
            case steps.Publish() | steps.Fence():
                self.write(0, current)
            case steps.Mirror(destination):
                self.write(destination, current)
            case steps.Mark(token):
                self.mark(token or current)
            case steps.Retire(token, overlap):
                self.retire(token, min(filter(None, (self.tokens[token].expire, deadline(self.now, overlap)))), view)
            case steps.Revoke(token):
                self.tokens.pop(token)
            case _:
                assert_never(step)

    def need(self, *destinations: int) -> None:
        """Stop where one of them is down."""
        if any(isinstance(self.destinations[i], Unread) for i in destinations):
            raise DownError

    def write(self, destination: int, token: Token | None) -> None:
        """Put a token into a destination."""
        self.need(destination)
        assert token
        self.made += 1
        self.destinations[destination] = Held(token, Version(f"w{self.made}"))

    def issue(self, serial: int | None, predecessor: TokenId | None) -> None:
        """Make a token that never was."""
        self.made += 1
        base = self.credential.base
        name = base if serial is None else str(Name(base, serial, f"m{self.made:04}"))
        token = TokenId(self.credential.userid, name)
        assert token not in self.tokens, "a name comes back"
        self.make(token, "", predecessor.name if predecessor else "")

    def make(self, token: TokenId, keep: str, after: str) -> None:
        """Give a token, new or not, a new secret, an end and our marker."""
        self.made += 1
        credential, issued = self.credential, self.now.replace(microsecond=0)
        marker = Marker(credential.owner, credential.name, "r2", issued, after)
        self.new = Token(token, Secret(f"secret {self.made}"))
        self.live[token] = self.new.secret
        expire = issued + credential.lifetime if credential.lifetime else None
        self.tokens[token] = TokenState(token, expire, comment=marker.comment(keep))

    def mark(self, token: Token | TokenId | None) -> None:
        """Say in its comment that the rotation is finished."""
        token_id = token.id if isinstance(token, Token) else token
        assert token_id
        state = self.tokens[token_id]
        marker = Marker.parse(state.comment)
        assert marker
        comment = marker.as_published().comment(foreign_text(state.comment))
        self.tokens[token_id] = replace(state, comment=comment)

    def retire(self, token: TokenId, end: datetime, view: View) -> None:
        """Set an end; what was adopted gets our marker with it."""
        state = replace(self.tokens[token], expire=end)
        if view.is_adopted(state):
            marker = Marker(self.credential.owner, self.credential.name, "r2", self.now, published=True)
            state = replace(state, comment=marker.comment(foreign_text(state.comment)))
        self.tokens[token] = state
