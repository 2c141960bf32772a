"""The stores that a world may keep its records in: files, Vault or OpenBao, AWS Secrets Manager, Kubernetes.

Of each, one server and one backend serve all worlds of a process; a world has a place of its own in it. What a person
or a consumer does there goes past the backend.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from rotator.backend import Backend
from rotator.testing.aws import SimulatedAws
from rotator.testing.kubernetes import SECRETS, SimulatedKubernetes
from rotator.testing.kubernetes_store import Key
from rotator.testing.vault_exchange import VaultRequest
from rotator.testing.vault_kv import VersionTwo
from rotator_backends.file import FileBackend
from tests.aws.lab import REGION, forget_aws, lab_at
from tests.kubernetes_secret.lab import NEEDED, ROTATOR, SimulatedLab, encoded
from tests.vault.lab import VARIABLES, simulated

Content = dict[str, Any]

MOUNT = "kv"
POLICY = (
    f'path "{MOUNT}/data/*" {{ capabilities = ["create", "update", "read"] }}\n'
    f'path "{MOUNT}/metadata/*" {{ capabilities = ["update"] }}\n'
)


class Records(Protocol):
    """The records of one world. Names are as short as ``ci.json``; the label of a record ends with its name."""

    @property
    def kind(self) -> str:
        """What the configuration calls the store."""
        ...

    def backend(self) -> Backend:
        """Give the backend that the product uses; it is closed by whoever opened the store."""
        ...

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give the settings of a destination."""
        ...

    def read(self, name: str) -> Content | None:
        """Read a record as a consumer does; None where there is none."""
        ...

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Write a record as a person does: it holds this and nothing else."""
        ...

    def wipe(self) -> None:
        """Remove all records."""
        ...


Place = Callable[[Path], Records]
"""Makes the place of a new world; the folder is the world's own."""


@dataclass(frozen=True)
class Files:
    """Records in files of the world's folder."""

    folder: Path
    kind: str = "file"

    def backend(self) -> Backend:
        """Make a backend, which costs nothing."""
        return FileBackend.configure({})

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give a path."""
        return {"path": str(self.folder / name)}

    def read(self, name: str) -> Content | None:
        """Read the JSON."""
        path = self.folder / name
        content: Content | None = json.loads(path.read_text()) if path.exists() else None
        return content

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Write the JSON, for the owner alone."""
        path = self.folder / name
        path.write_text(json.dumps(content))
        path.chmod(0o600)

    def wipe(self) -> None:
        """Remove the files."""
        for path in self.folder.glob("*.json"):
            path.unlink()


@dataclass(frozen=True)
class VaultRecords:
    """Records in KV version 2, read and written in the simulated server's own memory."""

    made: Backend
    engine: VersionTwo
    prefix: str
    kind: str = "vault"

    def backend(self) -> Backend:
        """Give the one backend."""
        return self.made

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give a mount and a path."""
        return {"mount": MOUNT, "path": f"{self.prefix}/{name}"}

    def read(self, name: str) -> Content | None:
        """Read the latest version."""
        found = self.engine.paths.get(f"{self.prefix}/{name}")
        content: Content | None = json.loads(found.revisions[found.current].data or "null") if found else None
        return content

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Make a version."""
        path = f"data/{self.prefix}/{name}"
        answer = self.engine.handle(VaultRequest("PUT", path, body={"data": dict(content)}), path)
        assert answer.status == 200

    def wipe(self) -> None:
        """Forget the paths."""
        for path in [path for path in self.engine.paths if path.startswith(f"{self.prefix}/")]:
            del self.engine.paths[path]


@dataclass(frozen=True)
class AwsRecords:
    """Records in Secrets Manager, read in the simulated server's own memory, written with AWS's own client."""

    made: Backend
    server: SimulatedAws
    client: Any
    prefix: str
    names: set[str]
    kind: str = "aws"

    def backend(self) -> Backend:
        """Give the one backend."""
        return self.made

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give a name."""
        self.names.add(name)
        return {"secret_id": f"{self.prefix}/{name}"}

    def read(self, name: str) -> Content | None:
        """Read the current version."""
        text = self.server.text(REGION, f"{self.prefix}/{name}")
        content: Content | None = json.loads(text) if text else None
        return content

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Make a version current, of a new secret if there is none."""
        self.names.add(name)
        secret_id, text = f"{self.prefix}/{name}", json.dumps(content)
        try:
            self.client.put_secret_value(SecretId=secret_id, SecretString=text)
        except self.client.exceptions.ResourceNotFoundException:
            self.client.create_secret(Name=secret_id, SecretString=text)

    def wipe(self) -> None:
        """Delete the secrets for good."""
        for name in [name for name in self.names if self.read(name) is not None]:
            self.client.delete_secret(SecretId=f"{self.prefix}/{name}", ForceDeleteWithoutRecovery=True)


@dataclass(frozen=True)
class KubernetesRecords:
    """Records in Secrets of a namespace, read and written in the simulated server's own memory."""

    made: Backend
    cluster: SimulatedKubernetes
    namespace: str
    kind: str = "kubernetes"

    def backend(self) -> Backend:
        """Give the one backend."""
        return self.made

    def settings(self, name: str) -> Mapping[str, Any]:
        """Give a namespace and a name."""
        return {"namespace": self.namespace, "name": name}

    def read(self, name: str) -> Content | None:
        """Read what a pod finds in its volume."""
        if not self._has(name):
            return None
        return {key: value.decode() for key, value in self.cluster.data(self.namespace, name).items()}

    def write(self, content: Mapping[str, Any], name: str) -> None:
        """Replace the data, or make the secret."""
        data = {key: str(value).encode() for key, value in content.items()}
        if self._has(name):
            self.cluster.edit(SECRETS, self.namespace, name, lambda secret: {**secret, "data": encoded(data)})
        else:
            self.cluster.add_secret(self.namespace, name, data)

    def wipe(self) -> None:
        """Delete the secrets."""
        for secret in self.cluster.store.list(SECRETS, self.namespace):
            self.cluster.delete(SECRETS, self.namespace, secret["metadata"]["name"])

    def _has(self, name: str) -> bool:
        return Key(SECRETS, self.namespace, name) in self.cluster.store.objects


@contextmanager
def files(_folder: Path) -> Iterator[Place]:
    """Need no server."""
    yield Files


@contextmanager
def vault(folder: Path) -> Iterator[Place]:
    """Run a Vault whose rotator may do what is documented and no more."""
    count = itertools.count(1)
    with pytest.MonkeyPatch.context() as patch, simulated(folder) as lab:
        for variable in VARIABLES:
            patch.delenv(variable, raising=False)
        lab.mount(name=MOUNT)
        made = lab.as_token(lab.token(lab.policy(POLICY)))
        engine = lab.server.core.namespaces[""].mounts[MOUNT].engine
        assert isinstance(engine, VersionTwo)
        common = VaultRecords(made, engine, "")
        patch.undo()
        yield lambda _: replace(common, prefix=f"world-{next(count)}")


@contextmanager
def aws(folder: Path) -> Iterator[Place]:
    """Run Secrets Manager; the clients are made while the machine's own AWS is out of sight."""
    count = itertools.count(1)
    with pytest.MonkeyPatch.context() as patch, SimulatedAws() as server, lab_at(server.url) as lab:
        forget_aws(patch, folder)
        made, client = lab.backend(), lab.client()
        for ask in (made.read, made.preflight):
            ask(lab.place(made))
        patch.undo()
        yield lambda _: AwsRecords(made, server, client, f"{lab.prefix}/world-{next(count)}", set())


@contextmanager
def kubernetes(folder: Path) -> Iterator[Place]:
    """Run an API server whose rotator may do what is documented and no more, in a namespace for each world."""
    count = itertools.count(1)
    with SimulatedKubernetes() as cluster:
        made = SimulatedLab(cluster, folder).backend()

        def place(_: Path) -> Records:
            namespace = f"world-{next(count)}"
            cluster.add_namespace(namespace)
            cluster.bind(ROTATOR, NEEDED, namespace=namespace)
            return KubernetesRecords(made, cluster, namespace)

        try:
            yield place
        finally:
            made.close()


STORES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "file": files,
    "vault": vault,
    "aws": aws,
    "kubernetes": kubernetes,
}
"""How to open each store, given a folder for what its login needs."""
