"""The lease in Kubernetes, through the official client; the only module of the core that knows it.

The client writes a time without its fraction where that is nought, which the API server refuses in a lease: ours never
is. Every exception of the client may carry a bearer token: none leaves this module.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.config import kube_config
from kubernetes.config.incluster_config import InClusterConfigLoader

from rotator.errors import ConflictError, NotFoundError, RefusedError, RotatorError, UnavailableError
from rotator.service.election import Holding
from rotator.service.pod import Pod

FOREIGN = (client.OpenApiException, urllib3.exceptions.HTTPError, http.client.HTTPException, OSError, ValueError)
MISSHAPEN = (AttributeError, KeyError, OverflowError, RecursionError, TypeError)
"""What reading an answer raises that is no lease."""
TIMEOUT = 3.0
"""Seconds, for a connection and for an answer; a second attempt must fit in before the leadership is lost."""
_STATUSES: Mapping[int, type[RotatorError]] = {404: NotFoundError, 409: ConflictError, 422: ConflictError}
"""422: what was not there when we looked was made by somebody else, and a PUT without its version is refused (1.34)."""
_loads_config: Any = kube_config.load_kube_config
_InClusterLoader: Any = InClusterConfigLoader

logging.getLogger("kubernetes.client.rest").addFilter(lambda _record: False)  # prints bodies at DEBUG


@dataclass
class KubernetesLease:
    """One lease by name; implements ``election.Leases``. Connects at the first call, and anew when its login ends."""

    name: str
    namespace: str
    pod: Pod
    _api: client.CoordinationV1Api | None = field(default=None, init=False, repr=False)

    def read(self) -> Holding | None:
        """Read it."""
        try:
            return self._call("read", name=self.name)
        except NotFoundError:
            return None

    def write(self, holding: Holding) -> Holding:
        """Put it where it is, or where nothing is yet: a Role can limit a PUT to a name, but no POST."""
        return self._call("replace", name=self.name, body=body_of(self.name, holding))

    def _call(self, verb: str, **arguments: Any) -> Holding:  # noqa: ANN401 - the client's
        known: RotatorError
        try:
            method = getattr(self._connected(), f"{verb}_namespaced_lease")
            answer = method(
                namespace=self.namespace, **arguments, _preload_content=False, _request_timeout=(TIMEOUT, TIMEOUT)
            )
            if answer.status < http.HTTPStatus.MULTIPLE_CHOICES:
                return holding_of(json.loads(answer.data))
            known = self._refused(verb, answer.status)
        except client.ApiException as error:
            known = self._refused(verb, int(error.status or 0))
        except (*FOREIGN, *MISSHAPEN) as error:
            self._api = None
            known = UnavailableError(f"cannot {verb} lease {self.namespace}/{self.name}: {type(error).__name__}")
        raise known

    def _refused(self, verb: str, status: int) -> RotatorError:
        message = f"cannot {verb} lease {self.namespace}/{self.name}: status {status}"
        if status == http.HTTPStatus.UNAUTHORIZED:
            self._api = None
        if status == http.HTTPStatus.FORBIDDEN:
            what = f"apiGroups: [coordination.k8s.io], resources: [leases], resourceNames: [{self.name}]"
            rule = f"{{{what}, verbs: [get, create, update]}}"
            return RefusedError(message, hint=f"add to the Role in namespace {self.namespace}: {rule}")
        return _STATUSES.get(status, UnavailableError)(message)

    def _connected(self) -> client.CoordinationV1Api:
        if self._api is None:
            found: Any = client.Configuration()
            try:
                self._load(found)
                found.retries = False
                if found.host.startswith("http:"):  # kubectl proxy; one of the environment would read the login
                    found.proxy = None
                self._api = client.CoordinationV1Api(client.ApiClient(found))
            except Exception as error:  # noqa: BLE001 - whatever a wrong file, or a proxy without a scheme, brings about
                raise UnavailableError(f"no access to Kubernetes: {type(error).__name__}") from None
        return self._api

    def _load(self, found: client.Configuration) -> None:
        if not self.pod.is_one:
            _loads_config(self.pod.environ.get("KUBECONFIG"), None, found, persist_config=False)
            return
        token, authority = self.pod.account / "token", self.pod.account / "ca.crt"
        _InClusterLoader(str(token), str(authority), environ=dict(self.pod.environ)).load_and_set(found)


def holding_of(lease: Mapping[str, Any]) -> Holding:
    """Read a lease; what is missing in one that others made is nobody's and long ago."""
    spec = lease.get("spec") or {}
    return Holding(
        holder=spec.get("holderIdentity") or "",
        duration=timedelta(seconds=spec.get("leaseDurationSeconds") or 1),
        acquired=_time(spec.get("acquireTime")),
        renewed=_time(spec.get("renewTime")),
        transitions=spec.get("leaseTransitions") or 0,
        version=lease["metadata"]["resourceVersion"],
    )


def body_of(name: str, holding: Holding) -> dict[str, Any]:
    """Write a lease."""
    spec = {
        "holderIdentity": holding.holder,
        "leaseDurationSeconds": int(holding.duration.total_seconds()),
        "acquireTime": _text(holding.acquired),
        "renewTime": _text(holding.renewed),
        "leaseTransitions": holding.transitions,
    }
    metadata = {"name": name, **({"resourceVersion": holding.version} if holding.version else {})}
    return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def _text(when: datetime) -> str:
    return when.astimezone(UTC).replace(microsecond=when.microsecond or 1).isoformat()


def _time(text: str | None) -> datetime:
    return datetime.fromisoformat(text) if text else datetime.fromtimestamp(0, UTC)


def identity() -> str:
    """Name this process among all that may run: two of one host, and one that was restarted, differ."""
    return f"{socket.gethostname()}-{os.getpid()}-{os.urandom(3).hex()}"
