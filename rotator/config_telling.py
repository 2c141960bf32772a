"""The sections ``notify`` and ``audit``, and the keys ``hooks`` and ``notify`` of credentials, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from rotator.config_places import Findings
from rotator.config_schema import (
    AuditPart,
    BackendPart,
    ChannelPart,
    CredentialPart,
    EnvPart,
    FilePart,
    HookPart,
    HooksPart,
    NotifyPart,
    RulesPart,
)
from rotator.config_shape import Salvaged
from rotator.config_values import check_certificates
from rotator.faults import InvalidValueError, suggestion
from rotator.references import SecretReference
from rotator.settings_telling import (
    AuditSettings,
    ChannelSettings,
    CommandSettings,
    HookSettings,
    NotifySettings,
    Occasion,
    TellingSettings,
    WebhookSettings,
)
from rotator.yaml_lines import Loc

Refer = Callable[[EnvPart | FilePart | BackendPart, Loc], SecretReference | None]
"""Makes a reference to a secret of what stands at a place; None when that cannot be used."""
Rules = Salvaged[RulesPart] | Salvaged[CredentialPart]
WEBHOOK, COMMAND = timedelta(seconds=10), timedelta(seconds=30)
"""How long a notification may take."""


class Telling:
    """Makes the settings of who is told, of each credential as it comes; what is wrong goes to the findings."""

    def __init__(
        self, findings: Findings, refer: Refer, notify: Salvaged[NotifyPart], defaults: Salvaged[RulesPart]
    ) -> None:
        self._findings = findings
        self._refer = refer
        self._notify = notify
        self._usual = defaults.part.notify
        self._usual_hooks = hooks_of(defaults.part.hooks) if defaults.part.hooks else None
        self._only: dict[str, tuple[str, ...]] = {}
        self._hooks: dict[str, HookSettings] = {}
        self._check_names(defaults)

    def take(self, credential: Salvaged[CredentialPart]) -> None:
        """Take what one credential says of it."""
        part = credential.part
        self._check_names(credential)
        chosen = part.notify if part.notify is not None else self._usual
        if chosen is not None:
            self._only[part.name] = chosen
        if hooks := hooks_of(part.hooks) if part.hooks else self._usual_hooks:
            self._hooks[part.name] = hooks

    def settle(self, audit: Salvaged[AuditPart] | None) -> TellingSettings:
        """Make all of them, after all credentials were taken."""
        notify = self._notify
        channels = [self._channel(name, part, (*notify.loc, "channels", name)) for name, part in named(notify)]
        return TellingSettings(
            notify=NotifySettings(
                tuple(it for it in channels if it), notify.part.expires_within, MappingProxyType(self._only)
            ),
            hooks=MappingProxyType(self._hooks),
            audit=self._audit(audit) if audit else None,
        )

    def _check_names(self, origin: Rules) -> None:
        known: Mapping[str, ChannelPart] = self._notify.part.channels
        for at, name in enumerate(origin.part.notify or ()):
            if name not in known and "channels" not in self._notify.faulty:
                advice = suggestion(name, known) or "name it under notify.channels"
                self._findings.add((*origin.loc, "notify", at), f"no channel is called '{name}'", advice)

    def _channel(self, name: str, part: ChannelPart, loc: Loc) -> ChannelSettings | None:
        way = self._webhook(part, loc) if part.url else self._command(part, loc)
        occasions = frozenset(map(Occasion, part.on)) if part.on is not None else frozenset(Occasion)
        return ChannelSettings(name, way, occasions) if way else None

    def _webhook(self, part: ChannelPart, loc: Loc) -> WebhookSettings | None:
        if part.run:
            self._findings.add((*loc, "run"), "both url and run", "make two channels of it")
        if part.secret is None:
            advice = "add secret: {file: /path}, made with: echo whsec_$(openssl rand -base64 32)"
            self._findings.add((*loc, "url"), "nobody can tell who sent it: there is no secret", advice)
            return None
        if part.ca:
            self._check_ca(Path(part.ca), (*loc, "ca"))
        secret = self._refer(part.secret, (*loc, "secret"))
        ca = Path(part.ca) if part.ca else None
        return WebhookSettings(str(part.url), secret, ca, part.timeout or WEBHOOK) if secret else None

    def _check_ca(self, path: Path, loc: Loc) -> None:
        try:
            check_certificates(path)
        except InvalidValueError as error:
            self._findings.add(loc, error.message, "name a PEM file with the authority of that server")

    def _command(self, part: ChannelPart, loc: Loc) -> CommandSettings | None:
        if not part.run:
            self._findings.add(loc, "neither url nor run", "write url: https://... or run: [/path/of/program]")
            return None
        for key in ("secret", "ca"):
            if getattr(part, key) is not None:
                self._findings.add((*loc, key), "no effect without url", "take it away")
        return CommandSettings(part.run, part.timeout or COMMAND)

    def _audit(self, audit: Salvaged[AuditPart]) -> AuditSettings | None:
        part, loc = audit.part, audit.loc
        if "file" in audit.faulty:
            return None
        if part.secret and not part.chain:
            self._findings.add((*loc, "secret"), "no effect with chain: false", "take one of them away")
        secret = self._refer(part.secret, (*loc, "secret")) if part.secret else None
        return AuditSettings(Path(part.file), part.chain, secret, part.sync, part.required)


def named(notify: Salvaged[NotifyPart]) -> list[tuple[str, ChannelPart]]:
    """List the channels that are usable."""
    return [] if "channels" in notify.faulty else list(notify.part.channels.items())


def hooks_of(part: HooksPart) -> HookSettings:
    """Make the settings of a credential's hooks."""
    return HookSettings(tuple(map(command_of, part.after_publish)), tuple(map(command_of, part.after_revoke)))


def command_of(part: HookPart) -> CommandSettings:
    """Make the settings of one command."""
    return CommandSettings(part.run, part.timeout)
