"""A person who logs in to PVE: the password and the second factor, typed or read from a file, never kept.

Neither is ever an argument or a variable of the environment, where other processes see them.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from rotator.errors import UnauthenticatedError
from rotator.model import Secret

if TYPE_CHECKING:
    from rotator.proxmox import TicketLogin

LONGEST = 4096
STDIN = "-"


def is_anybody_there() -> bool:
    """Say whether there is a person to be asked."""
    return sys.stdin.isatty()


def typed(question: str) -> str:
    """Ask for something that is not shown. Raises: ``Abort`` on Ctrl-C and at the end of the input."""
    return str(click.prompt(question, hide_input=True, err=True))


@dataclass
class Login:
    """One person's way in. A file is read once, whatever number of clusters it is for; a person is asked for each."""

    userid: str
    password_file: str | None = None
    may_ask: bool = True
    ask: Callable[[str], str] = typed
    is_there: Callable[[], bool] = is_anybody_there
    _lines: list[Secret] | None = field(default=None, repr=False)

    def ticket(self, cluster: str) -> TicketLogin:
        """Get the password for a cluster; the code is got when PVE asks for it.

        Raises: ``UsageError`` when nobody is there and no file is named; ``Abort``.
        """
        from rotator.proxmox import TicketLogin  # noqa: PLC0415 - proxmoxer is loaded when it is needed

        password = self._line(0, f"Password of {self.userid} at {cluster}")
        return TicketLogin(self.userid, password, self._code(cluster))

    def _code(self, cluster: str) -> Callable[[], Secret]:
        """Make what gives the code once: it is good once, and later there may be nobody who could be asked."""
        given: list[bool] = []

        def code() -> Secret:
            if given:
                raise UnauthenticatedError(
                    f"the login of {self.userid} has ended, and a new one needs another code",
                    hint="run the command again; what is unattended wants a token for its operator",
                )
            given.append(True)
            return self._line(1, f"One-time or recovery code of {self.userid} at {cluster}")

        return code

    def _line(self, number: int, question: str) -> Secret:
        if self.password_file is not None:
            if self._lines is None:
                self._lines = read_lines(self.password_file)
            if number < len(self._lines):
                return self._lines[number]
            raise click.UsageError(f"PVE asks {self.userid} for a code: put it in the second line of --password-file")
        if not (self.may_ask and self.is_there()):
            raise click.UsageError(f"nobody is there to type the password of {self.userid}: give --password-file")
        return Secret(self.ask(question))


def read_lines(name: str) -> list[Secret]:
    """Read a password, and what follows it, from a file, a descriptor (``/dev/fd/3``) or ``-``.

    Raises: ``BadParameter`` when it cannot be read, holds nothing, or is a file that everybody may read.
    """
    try:
        text = from_stdin() if name == STDIN else from_file(name)
    except OSError as error:
        raise unreadable(f"{name} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise unreadable(f"{name} is not text") from None
    lines = [Secret(line) for line in text.splitlines()]
    if not lines or not lines[0].reveal():
        raise unreadable("its first line is empty")
    return lines


def from_stdin() -> str:
    """Read what is piped in. Raises: ``BadParameter`` on a terminal, which would show what is typed."""
    if sys.stdin.isatty():
        raise unreadable("stdin is a terminal: leave the option out to be asked")
    return sys.stdin.read(LONGEST)


def from_file(name: str) -> str:
    """Read a file or a pipe. Raises: ``OSError``; ``BadParameter`` for a file that everybody may read."""
    with os.fdopen(os.open(name, os.O_RDONLY | os.O_CLOEXEC), encoding="utf-8") as file:
        if not is_private(file.fileno()):
            raise unreadable(f"everybody may read {name}: chmod o-rwx {name}, and change the password")
        return file.read(LONGEST)


def unreadable(message: str) -> click.BadParameter:
    """Make the error of a file that no password comes from."""
    return click.BadParameter(message, param_hint="--password-file")


def is_private(descriptor: int) -> bool:
    """Say whether not everybody may read it; a pipe has only two ends."""
    mode = os.fstat(descriptor).st_mode
    return not (stat.S_ISREG(mode) and mode & stat.S_IROTH)
