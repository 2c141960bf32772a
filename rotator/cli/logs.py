"""How a command tells what it does: as progress, or as a log, for people or for machines.

structlog comes with the extra ``serve``, and is imported when a log is opened, by nothing else.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

import click

from rotator.cli.voice import speaking
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError
from rotator.events import Listener
from rotator.rotate import Result
from rotator.settings import Settings

if TYPE_CHECKING:
    from rotator.logs.lines import Log

FORMAT_VARIABLE, LEVEL_VARIABLE = "ROTATE_LOG_FORMAT", "ROTATE_LOG_LEVEL"
FORMATS = ("auto", "text", "json")
LEVELS = ("debug", "info", "warning", "error")

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Wish:
    """What the caller wants."""

    format: str = "auto"
    level: str = "info"

    def loud(self, *, verbose: bool) -> Wish:
        """Show all that happens, if that is wanted."""
        return Wish(self.format, "debug") if verbose else self


def unheeded(_result: Result) -> None:
    """Note nothing."""


@dataclass(frozen=True)
class Notes:
    """Who writes a log of a single run, if anybody does. ``ended`` is told of the end of each credential's run."""

    listeners: tuple[Listener, ...] = ()
    ended: Callable[[Result], None] = unheeded


def logged(of_progress: str) -> Callable[[F], F]:
    """Take how to tell what happens; the function gets it as ``wish``. ``of_progress`` says what ``auto`` means."""
    form = click.option(
        "--log-format",
        type=click.Choice(FORMATS),
        default="auto",
        envvar=FORMAT_VARIABLE,
        show_default=True,
        help=f"How to tell what happens, on stderr. auto: {of_progress}. Default: ${FORMAT_VARIABLE}, or auto.",
    )
    level = click.option(
        "--log-level",
        type=click.Choice(LEVELS),
        default="info",
        envvar=LEVEL_VARIABLE,
        show_default=True,
        help=f"What of it; debug has every step. Default: ${LEVEL_VARIABLE}, or info.",
    )
    return lambda function: form(level(function))


@contextmanager
def logging_to_stderr(wish: Wish, clock: Clock) -> Iterator[Log]:
    """Write a log, and let everything that is said on stderr be a line of it. Raises: ``ConfigError``."""
    if find_spec("structlog") is None:
        message = "a log needs structlog, which is not installed"
        raise ConfigError(message, hint="pip install 'proxmox-token-rotator[serve]'")
    from rotator.logs.journal import is_journal  # noqa: PLC0415 - see above
    from rotator.logs.lines import Level, Style, open_log  # noqa: PLC0415 - see above

    stream = sys.stderr
    is_terminal = stream.isatty()
    style = Style(
        as_json=wish.format == "json" or (wish.format == "auto" and not is_terminal),
        level=Level(wish.level),
        has_colors=is_terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb",
        is_journal=is_journal(stream, os.environ),
    )
    with open_log(stream, style, clock.now) as log, speaking(log.tell, log.tell_at_once):
        yield log


@contextmanager
def surviving(caught: Callable[[BaseException], None]) -> Iterator[None]:
    """Tell of what ends a thread in our way: Python's own shows the words of the exception, whatever they are."""

    def ended(arguments: threading.ExceptHookArgs) -> None:
        if arguments.exc_value:
            caught(arguments.exc_value)

    def unraisable(arguments: sys.UnraisableHookArgs) -> None:
        if arguments.exc_value:
            caught(arguments.exc_value)

    before = threading.excepthook, sys.unraisablehook
    threading.excepthook, sys.unraisablehook = ended, unraisable
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def acquaint(log: Log, settings: Settings) -> None:
    """Tell a log whose packages may speak."""
    from rotator.logs.lines import SPEAKERS  # noqa: PLC0415 - see above

    log.speakers = SPEAKERS | {type(backend).__module__.partition(".")[0] for backend in settings.backends.values()}


@contextmanager
def noted(wish: Wish, settings: Callable[[], Settings], *, verbose: bool, clock: Clock | None) -> Iterator[Notes]:
    """Write a log of a single run, if one is asked for. Raises: ``ConfigError``."""
    if wish.format == "auto":
        yield Notes()
        return
    with logging_to_stderr(wish.loud(verbose=verbose), clock or SystemClock()) as log:
        from rotator.logs.rotations import Rotations  # noqa: PLC0415 - see above

        acquaint(log, settings())
        rotations = Rotations(log.put)
        yield Notes((log.hear, rotations.hear), rotations.end)
