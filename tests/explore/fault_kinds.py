"""What can go wrong at one call, in words and as what makes it happen: at PVE, on the way there, in the store."""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import dataclass

from rotator.errors import OutcomeUnknownError, RefusedError, UnavailableError
from rotator.testing import exchange
from rotator.testing.exchange import (
    AnswerAfter,
    AnswerInstead,
    AnswerLate,
    Arrival,
    HangUpAfter,
    HangUpBefore,
    Spoilt,
)
from rotator.testing.faulty_backend import Operation
from rotator.testing.server import Front
from rotator.testing.vault_exchange import Hold, VaultAnswerAfter, VaultAnswerInstead, VaultFault

HOUR = 3600
QUORUM = "cluster not ready - no quorum?"
LOCK = "cfs-lock 'file-user_cfg' error: got lock request timeout"

ANSWERS: dict[str, exchange.Fault] = {
    "reset before": Spoilt(Arrival.RESET, is_done=False),
    "reset after": Spoilt(Arrival.RESET),
    "time-out before": Spoilt(Arrival.SILENT, is_done=False),
    "time-out after": Spoilt(Arrival.SILENT),
    "slow drip": Spoilt(Arrival.DRIPPING),
    "truncated": Spoilt(Arrival.CUT),
    "garbage before": Spoilt(Arrival.GARBAGE, is_done=False),
    "garbage after": Spoilt(Arrival.GARBAGE),
    "redirect": Spoilt(Arrival.REDIRECTED, is_done=False),
    "500 before": AnswerInstead(500, "unable to open file '/etc/pve/user.cfg.tmp' - Input/output error"),
    "500 after": AnswerAfter(500, "unable to open file '/etc/pve/user.cfg.tmp' - Input/output error"),
    "502 before": AnswerInstead(502, "Bad Gateway"),
    "502 after": AnswerAfter(502, "Bad Gateway"),
    "503": AnswerInstead(503, "Service Unavailable"),
    "595": AnswerInstead(595, "Connection refused"),
    "596 before": AnswerInstead(596, "Connection timed out"),
    "596 after": AnswerAfter(596, "Broken pipe"),
    "596 late": AnswerLate(596, "Connection timed out"),
    "401": AnswerInstead(401, "No ticket"),
    "403": AnswerInstead(403, "Permission check failed"),
    "lock": AnswerInstead(500, LOCK),
    "no quorum": AnswerInstead(500, QUORUM),
}
"""What becomes of a request to PVE and of its answer."""

ALIKE_FOR_READS = frozenset(
    {"reset after", "time-out after", "garbage after", "500 after", "502 after", "596 after", "596 late"}
)
"""What differs from its counterpart ``before`` only where something is changed."""

STUBBORN = frozenset(
    {
        "reset before",
        "time-out before",
        "502 before",
        "596 after",
        "garbage before",
        "401",
        "403",
        "no quorum",
        *("refused", "handshake reset", "other certificate", "plain http"),
    }
)
"""What is also tried for good, until the run ends; of what is alike then, one."""

SLOW = frozenset({"time-out before", "time-out after", "slow drip", "vault time-out before", "vault time-out after"})
"""Faults that are over when somebody has waited long enough."""

DOORS: dict[str, Front | None] = {
    "refused": None,
    "handshake reset": Front.RESET,
    "other certificate": Front.STRANGER,
    "plain http": Front.PLAIN,
}
"""Who answers at a node's address instead of the node; nobody. Once means here: until a step has ended."""

NODES = ("node down", "node cut off", "node lags")
"""What can be wrong with one node of several, until the run ends."""


@dataclass(frozen=True)
class Failure:
    """How a store fails: with what, for which operations, before the effect or after it."""

    error: Callable[[str], Exception]
    operations: tuple[Operation, ...] = (Operation.READ, Operation.WRITE, Operation.PREFLIGHT)
    after: bool = False
    then: Callable[[str], Exception] | None = None
    """With what it fails from the next call on, whatever is asked; None: in the same way."""


def unavailable(label: str) -> Exception:
    """Make what a sealed or throttled store says."""
    return UnavailableError(f"{label}: the store is sealed", hint="unseal it")


def forbidden(label: str) -> Exception:
    """Make what a store says that may only be read, or not even that."""
    return RefusedError(f"{label}: the store does not allow that", hint="allow it")


def unanswered(label: str) -> Exception:
    """Make what is known of a write whose answer was lost."""
    return OutcomeUnknownError(f"{label}: the store did not answer the write", hint="look whether it was written")


STORES: dict[str, Failure] = {
    "store unavailable": Failure(unavailable),
    "store refuses": Failure(forbidden),
    "store unknown before": Failure(unanswered, (Operation.WRITE,)),
    "store unknown after": Failure(unanswered, (Operation.WRITE,), after=True),
    "store dies before": Failure(unanswered, (Operation.WRITE,), then=unavailable),
    "store dies after": Failure(unanswered, (Operation.WRITE,), after=True, then=unavailable),
}
"""What every store can answer with; a full disk is below, Vault's own ways are in ``fault_vault``."""

VAULT: dict[str, VaultFault] = {
    "vault sealed": VaultAnswerInstead(503, ("Vault is sealed",)),
    "vault throttles": VaultAnswerInstead(429, ("request path rate limit exceeded",), {"Retry-After": "7"}),
    "vault 405": VaultAnswerInstead(405, ("cannot write to readonly storage",)),
    "vault in standby": VaultAnswerInstead(503, ("no active Vault instance found",)),
    "vault out of space": VaultAnswerInstead(500, ("failed to persist entry: no space left on device",)),
    "vault forbids": VaultAnswerInstead(403, ("permission denied",)),
    "proxy before vault 502": VaultAnswerInstead(502),
    "vault 500 after": VaultAnswerAfter(500, ("internal error",)),
    "vault hangs up before": HangUpBefore(),
    "vault hangs up after": HangUpAfter(),
    "vault time-out before": Hold(),
    "vault time-out after": Hold(after=True),
}
"""What becomes of a request to Vault."""

DISK: dict[str, int] = {"disk full": errno.ENOSPC, "disk read-only": errno.EROFS, "disk fails": errno.EIO}
"""What the operating system says to whoever writes a file."""

CLOCKS: dict[str, tuple[int, int]] = {
    "PVE an hour ahead": (HOUR, 0),
    "PVE an hour behind": (-HOUR, 0),
    "store an hour ahead": (0, HOUR),
    "store an hour behind": (0, -HOUR),
    "PVE ahead and store behind": (HOUR, -HOUR),
}
"""How many seconds PVE's clock and the store's are ahead of ours, from the start."""

CHANGED, STALE = "edited meanwhile", "stale read"
"""An outsider edits the record just before a write; a replica shows what was there before the last one."""
