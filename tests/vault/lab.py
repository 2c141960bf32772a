"""Where the tests of the Vault backend run: a simulated Vault, and a real one where there is one.

A real one is used in addition when ``VAULT_ADDR`` or ``BAO_ADDR`` says where it is and ``ROTATE_TEST_VAULT_TOKEN`` has
a root token; ``VAULT_CACERT`` or ``BAO_CACERT`` names its authority. Each test makes mounts of its own there.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import hvac

from rotator.model import Secret
from rotator.testing.vault import SimulatedVault
from rotator_backends.vault import VaultBackend
from rotator_backends.vault_kv import VaultLocation
from rotator_backends.vault_settings import backend_settings

ADDRESS = os.environ.get("BAO_ADDR") or os.environ.get("VAULT_ADDR") or ""
AUTHORITY = os.environ.get("BAO_CACERT") or os.environ.get("VAULT_CACERT") or ""
ROOT = os.environ.get("ROTATE_TEST_VAULT_TOKEN", "")
PLACES = ("simulated", *(["live"] if ADDRESS and ROOT else []))
VARIABLES = ("VAULT_ADDR", "BAO_ADDR", "VAULT_TOKEN", "BAO_TOKEN", "VAULT_CACERT", "BAO_CACERT", "VAULT_NAMESPACE")
"""What must not reach the backend from the environment of the tests."""

KV_TWO = 2
ATTEMPTS = 1000
"""How often a new mount is asked whether it is there; it takes some milliseconds."""

RECORD = {"token_id": Secret("ci@pve!ci-1-abcde"), "token_secret": Secret("a-secret-of-the-record")}


def named(prefix: str) -> str:
    """Return a name that nobody else has."""
    return f"{prefix}-{uuid4().hex[:12]}"


@dataclass
class Lab:
    """One Vault, with the means to set it up."""

    address: str
    root: str = field(repr=False)
    folder: Path
    ca: Path | None = None
    made: list[VaultBackend] = field(default_factory=list)

    def admin(self, namespace: str = "") -> Any:  # noqa: ANN401 - hvac has no types
        """Return a client that may do everything."""
        verify = str(self.ca) if self.ca else True
        return hvac.Client(url=self.address, token=self.root, verify=verify, namespace=namespace)

    def mount(self, *, version: int = 2, namespace: str = "", name: str = "") -> str:
        """Mount a KV engine, and return where."""
        name = name or named("kv")
        self.admin(namespace).sys.enable_secrets_engine("kv", path=name, options={"version": str(version)})
        return name

    def policy(self, text: str, *, namespace: str = "") -> str:
        """Make a policy, and return its name."""
        name = named("policy")
        self.admin(namespace).sys.create_or_update_acl_policy(name, text)
        return name

    def token(self, *policies: str, namespace: str = "", **settings: Any) -> Secret:  # noqa: ANN401 - any setting of a token
        """Make a token with policies."""
        made = self.admin(namespace).auth.token.create(policies=list(policies), **settings)
        return Secret(made["auth"]["client_token"])

    def written(self, secret: Secret) -> dict[str, str]:
        """Put a secret into a file, and return the reference to it."""
        path = self.folder / named("secret")
        path.touch(mode=0o600)
        path.write_text(secret.reveal() + "\n")
        return {"file": str(path)}

    def settings(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any setting of the backend
        """Return settings that work: the root token, and changes to them."""
        ca = {"ca": str(self.ca)} if self.ca else {}
        auth = {} if "auth" in changes else {"auth": {"token": self.written(Secret(self.root))}}
        return {"address": self.address, **ca, **auth, **changes}

    def backend(self, *, clock: Callable[[], float] | None = None, **changes: Any) -> VaultBackend:  # noqa: ANN401 - as above
        """Make a backend, closed at the end of the test."""
        settings = self.settings(**changes)
        made = VaultBackend(backend_settings(settings), clock=clock) if clock else VaultBackend.configure(settings)
        self.made.append(made)
        return made

    def as_token(self, token: Secret, **changes: Any) -> VaultBackend:  # noqa: ANN401 - as above
        """Make a backend that uses a token."""
        return self.backend(auth={"token": self.written(token)}, **changes)

    def raw(self, place: VaultLocation, *, namespace: str = "") -> Mapping[str, Any]:
        """Read the latest version of a record without the backend."""
        found = self.admin(namespace).secrets.kv.v2.read_secret_version(
            place.path, mount_point=place.mount, raise_on_deleted_version=False
        )
        read: Mapping[str, Any] = found["data"]
        return read


class Live(Lab):
    """A lab at a real Vault."""

    def mount(self, *, version: int = 2, namespace: str = "", name: str = "") -> str:
        """Mount a KV engine, and return where once it answers: version 2 is made of version 1, which takes a moment."""
        name = super().mount(version=version, namespace=namespace, name=name)
        client = self.admin(namespace)
        for _ in range(ATTEMPTS if version == KV_TWO else 0):
            with contextlib.suppress(hvac.exceptions.InvalidRequest):
                client.secrets.kv.v2.read_configuration(mount_point=name)
                break
        return name


@dataclass
class Simulated(Lab):
    """A lab whose Vault can be disturbed."""

    server: SimulatedVault = field(default_factory=SimulatedVault)


@contextlib.contextmanager
def simulated(folder: Path, **settings: Any) -> Iterator[Simulated]:  # noqa: ANN401 - any argument of the server
    """Run a simulated Vault."""
    with SimulatedVault(**settings) as server:
        ca = folder / "ca.pem"
        ca.write_bytes(server.ca_pem)
        made = Simulated(server.address, server.root_token, folder, ca, server=server)
        try:
            yield made
        finally:
            for backend in made.made:
                backend.close()


@contextlib.contextmanager
def opened(place: str, folder: Path) -> Iterator[Lab]:
    """Open one of the ``PLACES``."""
    if place == "simulated":
        with simulated(folder) as made:
            yield made
        return
    live = Live(ADDRESS, ROOT, folder, Path(AUTHORITY) if AUTHORITY else None)
    try:
        yield live
    finally:
        for backend in live.made:
            backend.close()
