"""Clusters that tests write to: the simulated one, and with ROTATE_TEST_KUBECONFIG a real one.

``Lab`` is what both can do. A real cluster is reached with the context and the namespace that the kubeconfig names;
what a test makes there it removes again.
"""

from __future__ import annotations

import base64
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from kubernetes import client, config

from rotator.testing.backend_contract import Subject
from rotator.testing.kubernetes import EVERYTHING, SECRETS, Rule, SimulatedKubernetes
from rotator.testing.kubernetes_kinds import DEPLOYMENTS
from rotator.testing.kubernetes_patches import merged
from rotator_backends.kubernetes_client import Surroundings
from rotator_backends.kubernetes_secret import KubernetesBackend

Json = dict[str, Any]

LIVE = os.environ.get("ROTATE_TEST_KUBECONFIG", "")
KINDS = ("simulated", *(("live",) if LIVE else ()))
"""The clusters that there are in this run; nobody is told to do without one that is not there."""

NAMESPACE = "pve"
ROTATOR = "system:serviceaccount:pve:rotator"
NEEDED = (Rule(("get", "create", "patch"), ("secrets",)), Rule(("get", "patch"), ("deployments",), ("apps",)))


class Lab(Protocol):
    """A cluster, and what tests do there past the backend."""

    namespace: str

    def backend(self) -> KubernetesBackend:
        """Make a backend that writes there."""
        ...

    def add(self, data: Mapping[str, bytes], **more: Any) -> str:  # noqa: ANN401 - JSON
        """Make a secret and return its name."""
        ...

    def secret(self, name: str) -> Json:
        """Return a secret."""
        ...

    def edit(self, name: str, patch: Json) -> Json:
        """Change a secret by a merge patch, and return it."""
        ...

    def delete(self, name: str) -> None:
        """Delete a secret."""
        ...

    def deployment(self, name: str) -> Json:
        """Make a deployment of that name without pods where there is none, and return it."""
        ...


def new_name() -> str:
    """Return a name that nothing has."""
    return f"rotate-test-{uuid.uuid4().hex[:12]}"


def subject(lab: Lab) -> Subject:
    """Return what the contract suite wants."""
    return Subject(lab.backend(), fresh=lambda: {"namespace": lab.namespace, "name": new_name()})


def encoded(data: Mapping[str, bytes]) -> dict[str, str]:
    """Return values as a Secret's ``data`` has them."""
    return {key: base64.b64encode(value).decode() for key, value in data.items()}


class SimulatedLab:
    """The simulated cluster, with a rotator that may do what it needs."""

    namespace = NAMESPACE

    def __init__(self, cluster: SimulatedKubernetes, folder: Path) -> None:
        self.cluster = cluster
        cluster.add_namespace(NAMESPACE)
        cluster.bind(ROTATOR, NEEDED, namespace=NAMESPACE)
        self.kubeconfig = cluster.write_kubeconfig(folder, token=cluster.issue_token(ROTATOR), namespace=NAMESPACE)

    def backend(self, **settings: object) -> KubernetesBackend:
        """Make a backend that writes there."""
        return KubernetesBackend.configure({"kubeconfig": str(self.kubeconfig), "namespace": NAMESPACE, **settings})

    def add(self, data: Mapping[str, bytes], **more: Any) -> str:  # noqa: ANN401 - JSON
        """Make a secret and return its name."""
        name = new_name()
        self.cluster.add_secret(NAMESPACE, name, data, **more)
        return name

    def secret(self, name: str) -> Json:
        """Return a secret."""
        return self.cluster.secret(NAMESPACE, name)

    def edit(self, name: str, patch: Json) -> Json:
        """Change a secret by a merge patch, and return it."""
        changed: Callable[[Json], Json] = lambda secret: merged(secret, patch)  # noqa: E731 - gives it a type
        return self.cluster.edit(SECRETS, NAMESPACE, name, changed)

    def delete(self, name: str) -> None:
        """Delete a secret."""
        self.cluster.delete(SECRETS, NAMESPACE, name)

    def deployment(self, name: str) -> Json:
        """Make a deployment of that name without pods where there is none, and return it."""
        if name not in {one["metadata"]["name"] for one in self.cluster.store.list(DEPLOYMENTS, NAMESPACE)}:
            self.cluster.add_workload("Deployment", NAMESPACE, name, replicas=0)
        return self.cluster.workload("Deployment", NAMESPACE, name)


class LiveLab:
    """A real cluster."""

    def __init__(self, kubeconfig: str) -> None:
        loader: Any = config  # has no types
        self._kubeconfig = kubeconfig
        self._api = loader.new_client_from_config(kubeconfig)
        self._secrets = client.CoreV1Api(self._api)
        self._apps = client.AppsV1Api(self._api)
        _, active = loader.list_kube_config_contexts(kubeconfig)
        self.namespace = str(active["context"].get("namespace", "default"))

    def backend(self) -> KubernetesBackend:
        """Make a backend that writes there."""
        return KubernetesBackend.configure({"kubeconfig": self._kubeconfig})

    def add(self, data: Mapping[str, bytes], **more: Any) -> str:  # noqa: ANN401 - JSON
        """Make a secret and return its name."""
        name = new_name()
        body: Any = {**more, "metadata": {**more.get("metadata", {}), "name": name}, "data": encoded(data)}
        self._secrets.create_namespaced_secret(self.namespace, body)
        return name

    def secret(self, name: str) -> Json:
        """Return a secret."""
        return self._plain(self._secrets.read_namespaced_secret(name, self.namespace))

    def edit(self, name: str, patch: Json) -> Json:
        """Change a secret by a merge patch, and return it."""
        changed = self._secrets.patch_namespaced_secret(
            name, self.namespace, patch, _content_type="application/merge-patch+json"
        )
        return self._plain(changed)

    def delete(self, name: str) -> None:
        """Delete a secret."""
        self._secrets.delete_namespaced_secret(name, self.namespace)

    def deployment(self, name: str) -> Json:
        """Make a deployment of that name without pods where there is none, and return it."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        body: Any = {"metadata": {"name": name}, "spec": spec}
        with suppress(client.ApiException):
            self._apps.create_namespaced_deployment(self.namespace, body)
        return self._plain(self._apps.read_namespaced_deployment(name, self.namespace))

    def _plain(self, model: object) -> Json:
        found: Json = self._api.sanitize_for_serialization(model)
        return found

    def tidy(self) -> None:
        """Remove all that tests have made."""
        for secret in self._secrets.list_namespaced_secret(self.namespace).items:
            if (name := _made_by_a_test(secret)) is not None:
                self.edit(name, {"metadata": {"finalizers": None}})
                with suppress(client.ApiException):
                    self.delete(name)
        for deployment in self._apps.list_namespaced_deployment(self.namespace).items:
            if (name := _made_by_a_test(deployment)) is not None:
                self._apps.delete_namespaced_deployment(name, self.namespace)
        self._api.close()


def _made_by_a_test(found: Any) -> str | None:  # noqa: ANN401 - one of the client's models
    name = str(found.metadata.name)
    return name if name.startswith("rotate-test-") else None


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[Lab]:
    """Open a lab of one of the ``KINDS``."""
    if kind == "live":
        live = LiveLab(LIVE)
        yield live
        live.tidy()
        return
    with SimulatedKubernetes() as cluster:
        yield SimulatedLab(cluster, folder)


def in_a_pod(cluster: SimulatedKubernetes, folder: Path, token: str) -> Surroundings:
    """Return what a pod of the simulated cluster finds around itself."""
    cluster.write_service_account(folder, token=token, namespace=NAMESPACE)
    environ = {"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": str(cluster.port)}
    return Surroundings(environ, folder, folder)


__all__ = ["EVERYTHING", "KINDS", "NAMESPACE", "ROTATOR", "Lab", "SimulatedLab", "in_a_pod", "opened", "subject"]
