"""A real API server, which ROTATE_TEST_KUBECONFIG leads to: objects go there as they are, into namespaces of a test.

The login has to be an administrator's. What is made is in namespaces called ``rotate-test-…``, which are deleted again.
Controllers and nodes need not be there.
"""

from __future__ import annotations

import base64
import copy
import json
import os
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes_secret.lab import LIVE
from tests.system.kubernetes.manifests import Json, pods

FOREIGN = ("monitoring.coreos.com/",)
"""Kinds that a cluster need not know."""


@dataclass
class RealCluster:
    """As much of it as the tests of an overlay need; speaks as ``SimulatedKubernetes`` does."""

    prefix: str = field(default_factory=lambda: f"rotate-test-{uuid.uuid4().hex[:8]}")
    made: list[str] = field(default_factory=list)
    """Namespaces."""

    def moved(self, objects: Sequence[Json]) -> list[Json]:
        """Put objects, and what their configuration names, into namespaces of this test."""
        whole = copy.deepcopy(list(objects))
        for found in whole:
            if found["kind"] == "Namespace":
                found["metadata"]["name"] = self._place(found["metadata"]["name"])
            else:
                found["metadata"]["namespace"] = self._place(found["metadata"]["namespace"])
            for subject in found.get("subjects", ()):
                subject["namespace"] = self._place(subject["namespace"])
            if found["kind"] == "ConfigMap":
                found["data"]["rotate.yaml"] = self._configured(found["data"]["rotate.yaml"])
        return whole

    def _place(self, namespace: str) -> str:
        return f"{self.prefix}-{namespace}"

    def _configured(self, text: str) -> str:
        found: Any = yaml.safe_load(text)
        operators = [one["operator"] for one in found["clusters"].values()]
        for place in (*operators, *(one["destination"] for one in found["credentials"])):
            place["namespace"] = self._place(place["namespace"])
        return yaml.safe_dump(found)

    def take(self, objects: Sequence[Json]) -> None:
        """Make what rights depend on, and have all else judged: also each pod, which nobody would start here."""
        for found in objects:
            if found["kind"] == "Namespace":
                self._namespace(found)
        for found in objects:
            self.add_namespace(found["metadata"].get("namespace", self.made[0]))
            if found["kind"] in ("ServiceAccount", "Role", "RoleBinding"):
                self._create(found)
            elif not found["apiVersion"].startswith(FOREIGN) and found["kind"] != "Namespace":
                self._create(found, "--dry-run=server")
        (rotator,) = (one for one in objects if one["kind"] == "ServiceAccount")
        for _, template in pods(objects):
            metadata = {**template["metadata"], "name": "pod", "namespace": rotator["metadata"]["namespace"]}
            self._create({"apiVersion": "v1", "kind": "Pod", **template, "metadata": metadata}, "--dry-run=server")

    def add_namespace(self, name: str) -> None:
        """Make a namespace where there is none of that name."""
        if name not in self.made:
            self._namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})

    def _namespace(self, found: Json) -> None:
        self._create(found)
        self.made.append(found["metadata"]["name"])

    def add_secret(self, namespace: str, name: str, data: Mapping[str, bytes]) -> None:
        """Make a Secret."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        self._create({**_head("v1", "Secret", namespace, name), "data": encoded})

    def add_workload(self, kind: str, namespace: str, name: str) -> None:
        """Make a workload without pods."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "main", "image": "busybox"}]}}
        spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
        self._create({**_head("apps/v1", kind, namespace, name), "spec": spec})

    def write_login(self, path: Path, namespace: str, account: str) -> None:
        """Write the kubeconfig of a service account, with a token as a pod has it."""
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
        target = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        token = json.loads(self._kubectl(["create", "--raw", target, "-f", "-"], json.dumps(request)))
        whole = json.loads(self._kubectl(["config", "view", "--raw", "--minify", "-o", "json"]))
        whole["users"] = [{"name": one["name"], "user": {"token": token["status"]["token"]}} for one in whole["users"]]
        path.touch(mode=0o600)
        path.write_text(json.dumps(whole), encoding="utf-8")

    def tidy(self) -> None:
        """Take away all that was made."""
        for name in self.made:
            self._kubectl(["delete", "namespace", name, "--wait=false"])

    def _create(self, found: Json, *options: str) -> None:
        self._kubectl(["create", *options, "-f", "-"], json.dumps(found))

    def _kubectl(self, arguments: Sequence[str], text: str = "") -> str:
        done = subprocess.run(  # noqa: S603 - kubectl
            ["kubectl", *arguments],  # noqa: S607 - wherever it is
            input=text,
            env={**os.environ, "KUBECONFIG": LIVE},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}: {done.stderr}"
        return done.stdout


def _head(version: str, kind: str, namespace: str, name: str) -> Json:
    return {"apiVersion": version, "kind": kind, "metadata": {"namespace": namespace, "name": name}}
