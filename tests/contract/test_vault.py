"""The Vault backend does what every backend must, with both versions of KV; with a real server too, if there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from rotator.testing.backend_contract import BackendContract, Subject
from tests.vault.lab import PLACES, VARIABLES, Lab, named, opened


@pytest.fixture(params=PLACES)
def lab(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lab]:
    """Open each Vault that there is."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    with opened(request.param, tmp_path) as found:
        yield found


class VaultContract(BackendContract):
    """Both versions: a mount of its own for each test, with the capabilities that the documents ask for."""

    version: ClassVar[int]
    inside: ClassVar[str]
    metadata: ClassVar[bool] = False

    @pytest.fixture
    def subject(self, lab: Lab) -> Subject:
        """Give a backend whose token may do what is documented and no more."""
        mount = lab.mount(version=self.version)
        policy = lab.policy(
            f'path "{mount}{self.inside}/*" {{ capabilities = ["create", "update", "read"] }}\n'
            f'path "{mount}/metadata/*" {{ capabilities = ["update"] }}\n'
        )
        backend = lab.as_token(lab.token(policy), kv_version=self.version, metadata=self.metadata)
        return Subject(backend, fresh=lambda: {"mount": mount, "path": named("team/ci token")})


class TestVersionTwo(VaultContract):
    """KV version 2 compares and sets."""

    version = 2
    inside = "/data"


class TestVersionTwoWithMetadata(VaultContract):
    """Custom metadata change nothing of that."""

    version = 2
    inside = "/data"
    metadata = True


class TestVersionOne(VaultContract):
    """KV version 1 cannot compare, and says so."""

    version = 1
    inside = ""
