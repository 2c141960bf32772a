"""What the tests of failures have in common: a place, attempts, and what they must end with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rotator.errors import (
    RotatorError,
)
from rotator.testing.vault import (
    VaultRequest,
)
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import RECORD

PLACE = VaultLocation("secret", "ci")
SHORT = 0.3
"""Seconds to wait for what will not come."""
LOOK = "is Vault running, is `address` right, and does a firewall let us through?"
UNKNOWN = "it may have taken effect: look before repeating"


def failing(attempt: Callable[[], object], *, by: type[RotatorError]) -> tuple[str, str]:
    """Return message and hint of the error that an attempt must end with."""
    with pytest.raises(RotatorError) as caught:
        attempt()
    assert type(caught.value) is by
    assert caught.value.__context__ is None
    return caught.value.message, caught.value.hint


def read(backend: VaultBackend) -> Callable[[], object]:
    """Read a record."""
    return lambda: backend.read(PLACE)


def write(backend: VaultBackend) -> Callable[[], object]:
    """Create a record."""
    return lambda: backend.write(PLACE, RECORD, expected=None)


def of_writes(fault: Any) -> Callable[[VaultRequest], Any]:  # noqa: ANN401 - any fault
    """Let a fault meet writes of the record alone."""
    return lambda request: fault if request.method == "PUT" and request.path == "secret/data/ci" else None
