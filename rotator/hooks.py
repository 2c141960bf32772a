"""The commands of a credential: after its record was written, after a token of it was deleted.

``after_publish`` runs for each destination: for the primary once what is there is proven to work, for a mirror once it
was written. It runs *at least once*: a rotation whose hooks did not run, because the process died, is not marked
finished, so the next run finishes it and runs them again. ``after_revoke`` runs *at most once*: nothing tells of a
token that is gone.

A hook stands between two steps, so that what it restarts has the new token before the old one ends. How it ends is an
event; it fails nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from rotator.clock import Clock
from rotator.events import Event, Listener, Outcome, Step
from rotator.policy import Reason
from rotator.programs import Run
from rotator.settings_telling import CommandSettings, HookSettings

VERSION = 1
AFTER_PUBLISH, AFTER_REVOKE = "after-publish", "after-revoke"


@dataclass(frozen=True)
class Hooks:
    """Hears every event before others do, and runs what follows from it after they have heard.

    ``places`` are the labels of each credential's destinations, the primary first.
    """

    hooks: Mapping[str, HookSettings]
    places: Mapping[str, Sequence[str]]
    listen: Listener
    clock: Clock
    run: Run

    def hear(self, event: Event) -> None:
        """Hand an event on, and run the hooks that it is waited for; a listener."""
        self.listen(event)
        hooks = self.hooks.get(event.credential)
        if hooks is None or event.outcome is not Outcome.DONE:
            return
        if event.step is Step.REVOKE:
            for command in hooks.after_revoke:
                self._call(event, AFTER_REVOKE, command)
        for place in self._written(event):
            for command in hooks.after_publish:
                self._call(replace(event, destination=place), AFTER_PUBLISH, command)

    def _written(self, event: Event) -> Iterator[str]:
        """Yield the destinations whose readers should know by now."""
        is_finishing = event.reason == Reason.UNFINISHED
        if event.step is Step.MIRROR or (event.step is Step.CONFIRM and not is_finishing):
            yield event.destination
        if event.step is Step.FENCE and is_finishing:  # whoever published it may have died before telling anybody
            yield from self.places.get(event.credential, ())

    def _call(self, event: Event, hook: str, command: CommandSettings) -> None:
        told = replace(event, step=Step.HOOK, at=self.clock.now(), duration=timedelta(), message="", hint="")
        self.listen(replace(told, outcome=Outcome.STARTED, message=f"{hook}: {command.argv[0]}"))
        began = self.clock.monotonic()
        ended = self.run(command, variables(event, hook), document(event, hook))
        self.listen(
            replace(
                told,
                at=self.clock.now(),
                outcome=Outcome.DONE if ended.is_well else Outcome.FAILED,
                duration=timedelta(seconds=self.clock.monotonic() - began),
                message=f"{hook}: {command.argv[0]}: {ended}",
                hint="" if ended.is_well else "what the hook should have done is left to do; the rotation goes on",
            )
        )


def names(event: Event, hook: str) -> dict[str, str]:
    """Say what happened: names and ids, and nothing secret."""
    return {
        "event": hook,
        "credential": event.credential,
        "cluster": event.cluster,
        "token": event.token,
        "destination": event.destination if hook == AFTER_PUBLISH else "",
        "reason": str(event.reason),
        "rotation": event.rotation,
        "trigger": str(event.trigger or ""),
    }


def variables(event: Event, hook: str) -> dict[str, str]:
    """Say it by environment variables."""
    return {f"ROTATE_{key.upper()}": value.replace("\0", " ") for key, value in names(event, hook).items()}


def document(event: Event, hook: str) -> bytes:
    """Say it as JSON, for standard input."""
    return (json.dumps({"version": VERSION, **names(event, hook)}) + "\n").encode()
