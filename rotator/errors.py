"""The errors that leave a module of ours; every foreign exception is translated where it enters.

::

    RotatorError                 hint, retryable, exit_code
    ├── ConfigError              3  the configuration or a reference in it is wrong; nothing was contacted
    ├── UnavailableError         4  no answer, and nothing happened; safe to repeat
    │   └── UnreachableError     4  ... from any endpoint of a cluster: nothing else there will do better now
    ├── OutcomeUnknownError      4  sent, but no reply: it may have happened, or may happen later; observe first
    ├── RefusedError             4  the other side understood and said no; nothing happened
    │   ├── UnauthenticatedError 4  ... because the credential that was shown is not accepted
    │   ├── NotFoundError        4  ... because what was named is not there
    │   └── ConflictError        4  ... because what was expected there has changed
    ├── UnauditedError           4  the audit trail cannot be written and must be; nothing was begun
    ├── LockedOutError           5  a record that consumers read does not log in
    └── BugError                 1  something that nobody thought of, in our code or a backend's

The type says whether a repeat can help; ``hint`` is advice for people and never carries a secret.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """What the process says to a script (design of the command line, README)."""

    DONE = 0
    BUG = 1
    USAGE = 2
    CONFIG = 3
    FAILED = 4
    LOCKED_OUT = 5
    IN_FLIGHT = 6


class RotatorError(Exception):
    """Anything that went wrong and that we can name: what failed, and a hint what to do."""

    exit_code: ClassVar[ExitCode] = ExitCode.FAILED
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.step = ""
        """The step of the protocol that it ended, if any."""

    def __str__(self) -> str:
        return self.message


class ConfigError(RotatorError):
    """The configuration is wrong; nothing was contacted."""

    exit_code = ExitCode.CONFIG


class UnavailableError(RotatorError):
    """Nobody answered, and nothing happened."""

    retryable = True


class UnreachableError(UnavailableError):
    """No endpoint of a cluster answered, so that asking it for the next credential is a waste of time."""


class OutcomeUnknownError(RotatorError):
    """A change was sent and no answer came: it may have taken effect, or may still do so."""


class RefusedError(RotatorError):
    """The other side said no; nothing happened."""


class UnauthenticatedError(RefusedError):
    """The other side does not accept the credential that was shown."""


class NotFoundError(RefusedError):
    """What was named does not exist."""


class ConflictError(RefusedError):
    """What was expected there has changed, or exists already."""


class UnauditedError(RotatorError):
    """The audit trail cannot be written, and nothing may be begun without it."""


class LockedOutError(RotatorError):
    """A record that consumers read does not work."""

    exit_code = ExitCode.LOCKED_OUT


class BugError(RotatorError):
    """What an exception of no kind above is turned into where others must go on."""

    exit_code = ExitCode.BUG
