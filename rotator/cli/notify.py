"""``rotate notify test``: does a notification arrive? No cluster is contacted."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import ExitStack
from urllib.parse import urlsplit

import click

from rotator.cli.invocation import Command, Invocation
from rotator.cli.output import Report, block
from rotator.cli.shapes import Notified
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError, ExitCode, RotatorError
from rotator.faults import suggestion
from rotator.fleet import gravest
from rotator.references import resolve
from rotator.settings import Settings
from rotator.settings_telling import ChannelSettings, WebhookSettings

MESSAGE = "a test: nothing has happened"


@click.group()
def notify() -> None:
    """Send a test notification.

    Example: rotate notify test
    """


@notify.command(cls=Command)
@click.argument("channels", nargs=-1, metavar="[CHANNEL]...")
@click.pass_obj
def test(asked: Invocation, *, channels: Sequence[str]) -> Report:
    """Send a notification that says it is a test, by all channels or by some, one try each.

    Exit code 4: it did not arrive everywhere.

    Example: rotate notify test ops
    """
    clock, settings = asked.clock or SystemClock(), asked.settings
    chosen = chosen_of(settings, channels)
    with ExitStack() as closing:
        for backend in settings.backends.values():
            closing.callback(backend.close)
        results = [tried(it, settings, clock) for it in chosen]
    width = max(len(it.channel) for it in results)
    text = [block(f"{it.channel:<{width}}  {it.way}: {it.message}", hint=it.hint) for it in results]
    return Report(results, text, gravest(ExitCode(it.exit_code) for it in results))


def chosen_of(settings: Settings, names: Sequence[str]) -> list[ChannelSettings]:
    """Return the channels of these names, all for none. Raises: ``ConfigError``, ``UsageError``."""
    known = {it.name: it for it in settings.telling.notify.channels}
    if not known:
        raise ConfigError("nobody is notified of anything", hint="add notify: {channels: ...} to the configuration")
    if (unknown := next((name for name in names if name not in known), None)) is not None:
        meant = suggestion(unknown, known)
        raise click.UsageError(f"no channel '{unknown}' in {settings.path}" + (f"; {meant}" if meant else ""))
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def tried(channel: ChannelSettings, settings: Settings, clock: Clock) -> Notified:
    """Send it by one channel, in one try."""
    from rotator.notify.notice import TEST, About, notice  # noqa: PLC0415 - help needs none of it
    from rotator.notify.notifier import rules_of, ways  # noqa: PLC0415 - the same

    rules = rules_of(settings)
    made = notice(About(owner=rules.owner, host=rules.host, occasion=TEST, cluster="", message=MESSAGE), clock.now())
    send = ways(lambda it: resolve(it, environ=os.environ, backends=settings.backends), clock.now)(channel)
    code, message, hint = ExitCode.DONE, "it arrived", ""
    try:
        send(made)
    except RotatorError as error:
        code, message, hint = ExitCode.FAILED, error.message, error.hint
    way = channel.way
    where = str(urlsplit(way.url).hostname) if isinstance(way, WebhookSettings) else way.argv[0]
    return Notified(channel=channel.name, way=where, exit_code=int(code), message=message, hint=hint)
