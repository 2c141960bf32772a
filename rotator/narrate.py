"""Turn what the executor does into events: one statement feeds progress, log, metrics and audit."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta

from rotator.clock import Clock
from rotator.errors import OutcomeUnknownError, RotatorError
from rotator.events import Event, Listener, Outcome, Step
from rotator.model import Credential, TokenId


@dataclass
class Telling:
    """What a step wants to say about itself when it is done."""

    message: str = ""

    def say(self, message: str) -> None:
        """Add it to the event that ends the step."""
        self.message = message


@dataclass(frozen=True)
class Narrator:
    """Tells the story of one rotation."""

    clock: Clock
    listen: Listener
    credential: Credential
    rotation: str = ""
    reason: str = ""

    @contextmanager
    def step(self, step: Step, *, token: TokenId | None = None, destination: str = "") -> Iterator[Telling]:
        """Emit that a step starts, and how it ended. An error goes on; nothing but its own words is told of it."""
        started, telling = self.clock.monotonic(), Telling()
        event = self.event(step, Outcome.STARTED, token=str(token or ""), destination=destination)
        self.listen(event)
        try:
            yield telling
        except BaseException as error:
            if isinstance(error, RotatorError):
                error.step = step
            outcome = Outcome.UNKNOWN if isinstance(error, OutcomeUnknownError) else Outcome.FAILED
            message, hint = (
                (error.message, error.hint) if isinstance(error, RotatorError) else (type(error).__name__, "")
            )
            self.listen(self.ended(event, outcome, started, message=message, hint=hint))
            raise
        self.listen(self.ended(event, Outcome.DONE, started, message=telling.message))

    def tell(self, step: Step, outcome: Outcome, message: str, *, hint: str = "") -> None:
        """Emit something that takes no time."""
        self.listen(replace(self.event(step, outcome), message=message, hint=hint))

    def event(self, step: Step, outcome: Outcome, *, token: str = "", destination: str = "") -> Event:
        """Make an event of this rotation."""
        return Event(
            at=self.clock.now(),
            credential=self.credential.name,
            cluster=self.credential.cluster,
            step=step,
            outcome=outcome,
            reason=self.reason,
            token=token,
            destination=destination,
            rotation=self.rotation,
        )

    def ended(self, event: Event, outcome: Outcome, started: float, *, message: str, hint: str = "") -> Event:
        """Make the event that ends a step."""
        duration = timedelta(seconds=self.clock.monotonic() - started)
        return replace(event, at=self.clock.now(), outcome=outcome, message=message, hint=hint, duration=duration)
