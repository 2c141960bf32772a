"""What the tests of logins have in common: a policy for everything, and whether a backend works."""

from __future__ import annotations

import pytest

from rotator.errors import RotatorError, UnauthenticatedError
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_kv import VaultLocation
from tests.vault.lab import RECORD, Lab, named

ALL = 'path "*" { capabilities = ["create", "update", "read"] }'


def works(backend: VaultBackend, lab: Lab) -> None:
    """Write and read, as whoever the backend is."""
    place = VaultLocation(lab.mount(), named("ci"))
    version = backend.write(place, RECORD, expected=None)
    stored = backend.read(place)
    assert stored is not None
    assert stored.version == version


def refused(backend: VaultBackend, *, by: type[RotatorError] = UnauthenticatedError) -> RotatorError:
    """Return the error that any use ends with."""
    with pytest.raises(by) as caught:
        backend.read(VaultLocation("secret", "ci"))
    assert caught.value.__context__ is None
    return caught.value
