"""What all commands have in common: their options, the configuration they read, and how they end.

A command of ours returns a ``Report``; ``Command`` prints it and ends with its exit code.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import click

from rotator import config, registry
from rotator.cli.login import Login
from rotator.cli.output import INDENT, Report, conclude
from rotator.cli.person import called
from rotator.cli.progress import progress
from rotator.cli.shapes import Fault
from rotator.cli.stopping import handling, leaving
from rotator.clock import Clock
from rotator.errors import ConfigError, RotatorError
from rotator.events import Event, Listener
from rotator.faults import InvalidConfigError, InvalidValueError, suggestion
from rotator.fleet import Fleet
from rotator.model import Credential
from rotator.printing import printable
from rotator.settings import Settings
from rotator.wiring import PARALLEL, open_fleet

CONFIG_VARIABLE = "ROTATE_CONFIG"
PLACES = ("./rotate.yaml", "~/.config/rotate/rotate.yaml", "/etc/rotate/rotate.yaml")
MOST_PARALLEL = 64
LOGIN, PASSWORD_FILE = "login_user", "password_file"
"""Under which names click hands the options of a login over."""

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Invocation:
    """One call of one command. ``clock`` is what the caller of the command line brought, if not the machine's."""

    command: str
    config: Path | None
    as_json: bool
    verbose: bool
    clock: Clock | None = None
    login: Login | None = None
    """The person as whom to work on the clusters, instead of their operators."""
    _clusters: set[str] = field(default_factory=set)

    @cached_property
    def path(self) -> Path:
        """The configuration file: the named one, or the first of the usual places. Raises: ``ConfigError``."""
        return self.config or usual_config()

    @cached_property
    def settings(self) -> Settings:
        """The configuration, read and checked. Raises: ``ConfigError``."""
        return config.load(self.path, find_backend=registry.find, environ=os.environ)

    def chosen(self, names: Sequence[str]) -> list[Credential]:
        """Return the credentials of these names, all for none. Raises: ``UsageError`` for a name that is not there."""
        known = {credential.name: credential for credential in self.settings.credentials}
        if (unknown := next((name for name in names if name not in known), None)) is not None:
            raise unknown_credential(unknown, self.path, known)
        found = [known[name] for name in dict.fromkeys(names)] if names else list(known.values())
        self._clusters.update(credential.cluster for credential in found)
        return found

    @contextmanager
    def fleet(self, *listeners: Listener, parallel: int = PARALLEL, shows: bool = True) -> Iterator[Fleet]:
        """Open what the work is done with, and show what happens on stderr meanwhile, unless a log does."""
        everybody = list(listeners)
        with self.quiet(everybody, parallel=parallel) as fleet, self.showing(everybody) if shows else nullcontext():
            yield fleet

    @contextmanager
    def quiet(self, listeners: Sequence[Listener], *, parallel: int = PARALLEL) -> Iterator[Fleet]:
        """Open what the work is done with, showing nothing; who is on the list by then hears what happens."""

        def listen(event: Event) -> None:
            for listener in listeners:
                listener(event)

        ticket = self.login.ticket if self.login else None
        trigger = called(self.command, self.login.userid if self.login else "")
        with open_fleet(
            self.settings, listen, parallel=parallel, clock=self.clock, login=ticket, trigger=trigger
        ) as fleet:
            self._enter(fleet)
            yield fleet

    @contextmanager
    def showing(self, listeners: list[Listener]) -> Iterator[None]:
        """Show on stderr what happens meanwhile: nobody can be asked then."""
        stream = sys.stderr
        is_terminal = stream.isatty() and not self.verbose
        with progress(stream, is_terminal=is_terminal, verbose=self.verbose) as show:
            listeners.append(show)
            yield

    def _enter(self, fleet: Fleet) -> None:
        """Log in as the person before anything else: later there are threads and a display, and nobody can be asked.

        Meanwhile Ctrl-C means what it always means; what hides what is typed puts the terminal right again.
        """
        if self.login is None:
            return
        with handling(signal.default_int_handler):
            for name in sorted(self._clusters):
                fleet.open_cluster(name).own_permissions()

    @contextmanager
    def looking(self, *, parallel: int = PARALLEL) -> Iterator[Fleet]:
        """Open it for what changes nothing, and so may be interrupted at any time."""
        with leaving(), self.fleet(parallel=parallel) as fleet:
            yield fleet


def usual_config() -> Path:
    """Find the configuration where it usually is. Raises: ``ConfigError``."""
    if found := next(filter(_is_file, chain.from_iterable(map(_located, PLACES))), None):
        return found
    raise ConfigError(
        f"no configuration: ${CONFIG_VARIABLE} is not set, and there is none of {', '.join(PLACES)}",
        hint="name it with --config PATH, or make one: rotate init",
    )


def _located(place: str) -> Iterator[Path]:
    """Yield where a place is; nothing where it is in the home of somebody who has none."""
    with suppress(RuntimeError):
        yield Path(place).expanduser()


def _is_file(place: Path) -> bool:
    """Say whether a file is there; not where nobody lets us look, as in the home of whoever started us as another."""
    try:
        return place.is_file()
    except OSError:
        return False


class Command(click.Command):
    """A command that returns a ``Report``, with the options that every command has."""

    def __init__(self, name: str | None, *, params: list[click.Parameter] | None = None, **settings: Any) -> None:  # noqa: ANN401 - click's
        super().__init__(name, params=[*(params or []), *common_options()], **settings)

    def invoke(self, ctx: click.Context) -> None:
        """Do the work, print the report, end with its exit code."""
        ctx.obj = invocation = invoked(ctx)
        try:
            report: Report = super().invoke(ctx)
        except RotatorError as error:
            report = complaint(error)
        ctx.exit(conclude(report, invocation.command, as_json=invocation.as_json))


def common_options() -> list[click.Parameter]:
    """Make the options that every command has."""
    path = click.Option(
        ["-c", "--config"],
        type=click.Path(path_type=Path),
        envvar=CONFIG_VARIABLE,
        metavar="PATH",
        help=f"The configuration. Default: ${CONFIG_VARIABLE}, or the first of {', '.join(PLACES)}.",
    )
    as_json = click.Option(["--json", "as_json"], is_flag=True, help="Print one JSON document.")
    verbose = click.Option(["-v", "--verbose"], is_flag=True, help="Show all that happens, on stderr.")
    return [path, as_json, verbose]


def invoked(context: click.Context) -> Invocation:
    """Take the common options out of the parameters. Raises: ``UsageError``."""
    command = " ".join(context.command_path.split()[1:])
    taken = {key: context.params.pop(key) for key in ("config", "as_json", "verbose")}
    given = (context.params.pop(key, None) for key in (LOGIN, PASSWORD_FILE))
    return Invocation(command, clock=context.obj, login=login_of(*given, as_json=taken["as_json"]), **taken)


def login_of(userid: str | None, password_file: str | None, *, as_json: bool) -> Login | None:
    """Make of the options of a login what it takes. Raises: ``UsageError``."""
    if userid is None:
        if password_file is not None:
            raise click.UsageError("--password-file goes with --login USER@REALM")
        return None
    return Login(userid, password_file, may_ask=not as_json)


def complaint(error: RotatorError) -> Report:
    """Report an error that is about no single credential."""
    lines = [f"rotate: {error}"] + ([f"{INDENT}do: {error.hint}"] if error.hint else [])
    complaint = "\n".join(map(printable, "\n".join(lines).splitlines()))
    return Report(exit_code=error.exit_code, errors=faults_of(error), complaint=complaint)


def faults_of(error: RotatorError) -> list[Fault]:
    """List all that is wrong, each with its place."""
    if not isinstance(error, InvalidConfigError):
        return [Fault(message=error.message, hint=error.hint)]
    path = str(error.path)
    return [
        Fault(message=it.message, hint=it.advice, path=path, line=it.line, column=it.column, key=it.where)
        for it in error.problems
    ]


def complete_name(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    """List the names of credentials that begin so; none when there is no configuration that can be read."""
    try:
        known = names_in(context.params.get("config") or usual_config())
    except RotatorError:
        return []
    return [name for name in known if name.startswith(incomplete)]


def names_in(path: Path) -> list[str]:
    """List the names of the credentials in a file that may be faulty otherwise."""
    from rotator.config_assembly import parse_text, read_text  # noqa: PLC0415 - it imports pydantic

    data = parse_text(path, read_text(path))[0].data
    found = data.get("credentials") if isinstance(data, dict) else None
    listed = found if isinstance(found, list) else ()
    return [it["name"] for it in listed if isinstance(it, dict) and isinstance(it.get("name"), str)]


def unknown_credential(name: str, path: Path, known: Iterable[str]) -> click.UsageError:
    """Make the error of a name that is not in the configuration."""
    meant = suggestion(name, known)
    return click.UsageError(f"no credential '{name}' in {path}" + (f"; {meant}" if meant else ""))


def names(*, required: bool = False) -> Callable[[F], F]:
    """Take the names of credentials."""
    metavar = "NAME..." if required else "[NAME]..."
    return click.argument("names", nargs=-1, required=required, metavar=metavar, shell_complete=complete_name)


def login() -> Callable[[F], F]:
    """Take the person as whom to work, for commands that talk to PVE while somebody is there."""
    who = click.option(
        "--login",
        LOGIN,
        callback=user,
        metavar="USER@REALM",
        help="Log in to PVE as a person, with password and second factor, instead of as the operator.",
    )
    return lambda function: who(password_file()(function))


def password_file() -> Callable[[F], F]:
    """Take where a person's password is read from when nobody is there to type it."""
    return click.option(
        "--password-file",
        PASSWORD_FILE,
        metavar="FILE",
        help="Its first line is the password, its second the one-time or recovery code if PVE asks. -: stdin.",
    )


def user(_context: click.Context, _parameter: click.Parameter, text: str | None) -> str | None:
    """Read a user as the configuration has it. Raises: ``BadParameter``."""
    from rotator.config_values import parse_userid  # noqa: PLC0415 - few calls have it

    try:
        return None if text is None else parse_userid(text)
    except InvalidValueError as error:
        raise click.BadParameter(f"{error.message}; {error.advice}") from None


def parallel() -> Callable[[F], F]:
    """Take how many credentials are worked on at one time."""
    return click.option(
        "--parallel",
        type=click.IntRange(1, MOST_PARALLEL),
        default=PARALLEL,
        show_default=True,
        metavar="N",
        help="The most credentials at one time.",
    )
