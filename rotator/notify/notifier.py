"""From what is news to the channels that are to hear it; each notice is written to the audit trail too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from time import monotonic

from rotator.audit import lines
from rotator.audit.recorder import Recorder
from rotator.clock import Clock
from rotator.errors import RefusedError, RotatorError
from rotator.model import Secret
from rotator.notify.memory import told_before
from rotator.notify.notice import About, Notice, notice
from rotator.notify.outbox import Outbox, Send, uncounted
from rotator.notify.vigil import Rules, Vigil
from rotator.notify.webhook import Webhook
from rotator.programs import Run, run
from rotator.references import SecretReference, resolve
from rotator.service.board import Change
from rotator.settings import Settings
from rotator.settings_telling import ChannelSettings, CommandSettings, NotifySettings, WebhookSettings

OpenWay = Callable[[ChannelSettings], Send]
"""Makes what sends by a channel."""


class Notifier:
    """Notifies, by the channels of the settings. ``see`` is a watcher of the service's board."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        open_way: OpenWay,
        recorder: Recorder | None = None,
        lose: Callable[[int], None] = uncounted,
    ) -> None:
        self._clock = clock
        self._lose = lose
        self._open_way = open_way
        self._recorder = recorder
        self._outboxes: dict[ChannelSettings, Outbox] = {}
        self._leaving: list[Outbox] = []
        """Those that are configured no more and have something left."""
        self._scribe = self._writing(recorder)
        audit = settings.telling.audit
        self.vigil = Vigil(rules_of(settings), clock.now, told_before(audit.path) if audit else {})
        self.renew(settings)

    def renew(self, settings: Settings) -> None:
        """Take over another configuration; a channel that is in both keeps its queue, another sends what it has."""
        self.settings = settings
        self.vigil.rules = rules_of(settings)
        channels = settings.telling.notify.channels
        self._let_go(*(self._outboxes[it] for it in self._outboxes.keys() - set(channels)))
        self._outboxes = {it: self._outboxes.get(it) or self._made(it) for it in channels}

    def record_by(self, recorder: Recorder | None) -> None:
        """Write to another audit trail from now on, or to none; the one before gets what was told by then."""
        past, self._recorder = self._recorder, recorder
        self._let_go(self._scribe)
        self._scribe = self._writing(recorder)
        if past:
            past.close()

    def _let_go(self, *boxes: Outbox) -> None:
        """Let outboxes send what they have; at the end they are waited for like all others."""
        for box in boxes:
            box.hurry()
        self._leaving = [it for it in (*self._leaving, *boxes) if not it.is_empty]

    def _made(self, channel: ChannelSettings) -> Outbox:
        return Outbox(channel.name, self._open_way(channel), lose=self._lose)

    def see(self, change: Change) -> None:
        """Notify of what is news in a change."""
        self.tell(self.vigil.see(change))

    def tell(self, news: Iterable[About]) -> None:
        """Notify of something; nobody waits for it."""
        for about in news:
            made = notice(about, self._clock.now())
            for box in self._chosen(about).values():
                box.put(made)
            if self._recorder:
                self._scribe.put(made)

    @property
    def _boxes(self) -> tuple[Outbox, ...]:
        return (*self._leaving, *self._outboxes.values(), self._scribe)

    def hurry(self) -> None:
        """Send what is left without pauses; nobody waits for it."""
        for box in self._boxes:
            box.hurry()

    def drain(self, seconds: float) -> None:
        """Wait until everybody has been told or given up, for so long at most."""
        end = monotonic() + seconds
        for box in self._boxes:
            box.drain(max(0.0, end - monotonic()))

    def close(self, seconds: float) -> None:
        """Send what is left, for so long at most."""
        self.hurry()
        end = monotonic() + seconds
        for box in self._boxes:
            box.close(max(0.0, end - monotonic()))
        if self._recorder:
            self._recorder.close()

    def _chosen(self, about: About) -> dict[str, Outbox]:
        notify = self.settings.telling.notify
        return {it.name: box for it, box in self._outboxes.items() if wants(it, about, notify)}

    def _writing(self, recorder: Recorder | None) -> Outbox:
        def write(made: Notice) -> None:
            if recorder:
                recorder.record(line_of(made, self._chosen(made.data)))
                if recorder is not self._recorder:
                    recorder.close()

        return Outbox("the audit trail", write)


def rules_of(settings: Settings) -> Rules:
    """Say whose notices these are."""
    return Rules(settings.owner, os.uname().nodename, settings.telling.notify.expires_within)


def wants(channel: ChannelSettings, about: About, settings: NotifySettings) -> bool:
    """Say whether a channel is to hear of something; what is about a whole cluster is everybody's."""
    only = settings.only.get(about.credential) if about.credential else None
    return about.occasion in channel.occasions and (only is None or channel.name in only)


def line_of(made: Notice, channels: Iterable[str]) -> dict[str, object]:
    """Make the audit trail's line of a notice."""
    told = made.data
    return lines.line(
        lines.NOTICE,
        made.timestamp,
        credential=told.credential,
        cluster=told.cluster,
        reason=told.occasion,
        token=told.token,
        destination=", ".join(channels),
        ending=told.token if told.credential else told.expires and told.expires.isoformat(),
        message=told.message,
        notice=made.id,
    )


def ways(resolved: Callable[[SecretReference], Secret], now: Callable[[], datetime], running: Run = run) -> OpenWay:
    """Make what opens channels."""

    def open_way(channel: ChannelSettings) -> Send:
        way = channel.way
        if isinstance(way, WebhookSettings):
            return Webhook(way, remembered(lambda: resolved(way.secret)), now).send
        return lambda made: call(way, made, running)

    return open_way


def remembered(ask: Callable[[], Secret]) -> Callable[[], Secret]:
    """Ask anew each time, and be content with what was said last when there is no answer: a store may be the news."""
    last: list[Secret] = []

    def asked() -> Secret:
        try:
            last[:] = [ask()]
        except RotatorError:
            if not last:
                raise
        return last[0]

    return asked


def call(command: CommandSettings, made: Notice, running: Run) -> None:
    """Run a program with a notice on its standard input. Raises: ``RefusedError``: it is not run again."""
    ended = running(command, made.variables, made.body + b"\n")
    if not ended.is_well:
        raise RefusedError(f"{command.argv[0]}: {ended}")


def opened(
    settings: Settings,
    clock: Clock,
    recorder: Recorder | None,
    environ: Mapping[str, str],
    lose: Callable[[int], None] = uncounted,
) -> Notifier:
    """Make a notifier of a configuration."""

    def resolved(reference: SecretReference) -> Secret:
        return resolve(reference, environ=environ, backends=notifier.settings.backends)

    notifier = Notifier(settings, clock, ways(resolved, clock.now), recorder, lose)
    return notifier
