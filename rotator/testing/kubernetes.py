"""The simulated Kubernetes API server: on loopback over TLS, made, looked into and disturbed by plain assignment.

::

    with SimulatedKubernetes() as cluster:
        cluster.bind("rotator", [Rule(("get", "patch"), ("secrets",), resource_names=("ci",))], namespace="pve")
        path = cluster.write_kubeconfig(tmp_path, token=cluster.issue_token("rotator"))

Simulated: secrets, deployments, stateful sets, daemon sets, leases (get, list, create, put, patch in all three kinds,
delete), namespaces, roles and their bindings, more kinds of which nothing comes (CronJobs, NetworkPolicies ...),
selfsubjectaccessreviews, discovery, ``/version``; resourceVersion, dryRun=All, immutable secrets, quotas, finalizers,
admission webhooks, RBAC, bearer tokens that end; kubectl can use it. Not: protobuf but for making a Secret, watches
(they end at once), selectors but for a name, apply patches on the server, OpenAPI, managedFields, client certificates,
cluster roles, controllers (nothing rolls out, nothing collects garbage).
Several faults of one object are told one at a time. Wording and habits after the API's documentation and sources; 78
requests, most of them refused, were put to a real API server (1.34), too: states and reasons came out alike, but for
requests that are no JSON, paths that lead nowhere, a resourceVersion that is no number, and base64 that is none.
"""

from __future__ import annotations

import base64
import json
import secrets
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Self

import trustme

from rotator.testing.exchange import HangUpAfter, HangUpBefore
from rotator.testing.kubernetes_api import answered, described
from rotator.testing.kubernetes_exchange import (
    Answer,
    AnswerAfter,
    AnswerInstead,
    Call,
    Fault,
    Intercept,
    Message,
    Request,
    SilenceAfter,
    SilenceBefore,
)
from rotator.testing.kubernetes_kinds import (
    BINDINGS,
    DAEMONSETS,
    DEPLOYMENTS,
    LEASES,
    NAMESPACES,
    ROLES,
    SECRETS,
    STATEFULSETS,
)
from rotator.testing.kubernetes_rules import EVERYTHING, Attempt, Binding, Rule, is_allowed
from rotator.testing.kubernetes_server import ApiServer, Silence
from rotator.testing.kubernetes_status import Json, Resource, StatusError, internal
from rotator.testing.kubernetes_store import Key, Review, Store

__all__ = [
    "DAEMONSETS",
    "DEPLOYMENTS",
    "EVERYTHING",
    "LEASES",
    "NAMESPACES",
    "SECRETS",
    "STATEFULSETS",
    "Answer",
    "AnswerAfter",
    "AnswerInstead",
    "Call",
    "HangUpAfter",
    "HangUpBefore",
    "Request",
    "Rule",
    "SilenceAfter",
    "SilenceBefore",
    "SimulatedKubernetes",
    "StatusError",
    "Webhook",
]

WORKLOADS: Mapping[str, Resource] = {one.kind: one for one in (DEPLOYMENTS, STATEFULSETS, DAEMONSETS)}


@dataclass(frozen=True, slots=True)
class Webhook:
    """A validating admission webhook, called for every change."""

    name: str
    judge: Callable[[Review], str | None]
    """Returns why it is denied, or None."""
    code: int = 403
    is_reachable: bool = True
    supports_dry_run: bool = True

    def admit(self, review: Review) -> None:
        """Let a change pass. Raises: ``StatusError``."""
        if review.is_dry_run and not self.supports_dry_run:
            raise StatusError(400, "BadRequest", f'admission webhook "{self.name}" does not support dry run')
        if not self.is_reachable:
            post = f'Post "https://{self.name}:443/validate?timeout=10s": context deadline exceeded'
            raise internal(f'failed calling webhook "{self.name}": failed to call webhook: {post}')
        if (why := self.judge(review)) is not None:
            raise StatusError(self.code, "", f'admission webhook "{self.name}" denied the request: {why}')


@dataclass(frozen=True, slots=True)
class Login:
    """Whose bearer token it is, and until when (seconds of the server's clock; None: for ever)."""

    user: str
    expires: float | None = None


def _user(subject: Mapping[str, str], namespace: str) -> str:
    """Return the name by which a subject of a binding logs in."""
    if subject["kind"] == "ServiceAccount":
        return f"system:serviceaccount:{subject.get('namespace', namespace)}:{subject['name']}"
    return subject["name"]


@dataclass
class SimulatedKubernetes:
    """One API server. All of it may be used from any thread; ``intercept`` is called from those of the connections."""

    clock: Callable[[], float] = time.time
    bindings: list[Binding] = field(default_factory=list)
    logins: dict[str, Login] = field(default_factory=dict, repr=False)
    """By bearer token."""
    webhooks: list[Webhook] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    intercept: Intercept | None = None

    def __post_init__(self) -> None:
        """Make an empty cluster with the namespace ``default``."""
        self.store = Store(self.clock, self._admit)
        authority = trustme.CA()
        self.ca_pem: bytes = authority.cert_pem.bytes()
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", "localhost").configure_cert(self._tls)
        self._server = ApiServer(self._handle, self._tls)
        self._lock = Lock()
        self._down = False
        self.port = 0
        self.add_namespace("default")

    def __enter__(self) -> Self:
        self.port = self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    # where it is

    @property
    def url(self) -> str:
        """Return where it listens."""
        return f"https://127.0.0.1:{self.port}"

    @property
    def down(self) -> bool:
        """Whether it refuses connections, keeping its port."""
        return self._down

    @down.setter
    def down(self, down: bool) -> None:
        self._down = down
        (self._server.refuse if down else self._server.listen)()

    def cut(self) -> None:
        """Close all connections that are open, as a balancer does with idle ones."""
        self._server.cut()

    # what is in it

    def add_namespace(self, name: str, *, phase: str = "Active") -> None:
        """Make a namespace, ``Active`` or ``Terminating``. Repeat: sets its phase."""
        key = Key(NAMESPACES, "", name)
        if key not in self.store.objects:
            self.store.create(NAMESPACES, "", {"metadata": {"name": name}})
        self.store.change(key, lambda namespace: {**namespace, "status": {"phase": phase}})

    def add_secret(self, namespace: str, name: str, data: Mapping[str, bytes], **more: Any) -> Json:  # noqa: ANN401 - JSON
        """Make a secret; ``more`` are other fields, ``metadata`` among them."""
        encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
        body = {"data": encoded, **more, "metadata": {**more.get("metadata", {}), "name": name}}
        return self.store.create(SECRETS, namespace, body)

    def add_workload(self, kind: str, namespace: str, name: str, **spec: Any) -> Json:  # noqa: ANN401 - JSON
        """Make a Deployment, StatefulSet or DaemonSet."""
        containers = [{"name": "main", "image": "busybox"}]
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": containers}}
        service = {"serviceName": name} if kind == STATEFULSETS.kind else {}
        selector = {"matchLabels": {"app": name}}
        body = {"metadata": {"name": name}, "spec": {"selector": selector, "template": template, **service, **spec}}
        return self.store.create(WORKLOADS[kind], namespace, body)

    def secret(self, namespace: str, name: str) -> Json:
        """Return a secret as clients read it. Raises: ``StatusError`` when it is not there."""
        return self.store.get(Key(SECRETS, namespace, name))

    def data(self, namespace: str, name: str) -> dict[str, bytes]:
        """Return what a secret holds, decoded."""
        data = self.secret(namespace, name).get("data", {})
        return {key: base64.b64decode(value) for key, value in data.items()}

    def workload(self, kind: str, namespace: str, name: str) -> Json:
        """Return a Deployment, StatefulSet or DaemonSet."""
        return self.store.get(Key(WORKLOADS[kind], namespace, name))

    def edit(self, resource: Resource, namespace: str, name: str, change: Callable[[Json], Json]) -> Json:
        """Change an object as somebody else would, past RBAC."""
        return self.store.change(Key(resource, namespace, name), change)

    def delete(self, resource: Resource, namespace: str, name: str) -> None:
        """Delete an object as somebody else would, past RBAC."""
        self.store.delete(Key(resource, namespace, name))

    # who may do what

    def issue_token(self, user: str, *, expires: float | None = None) -> str:
        """Make a bearer token for a user, until a time of ``clock``."""
        token = f"simulated.{secrets.token_urlsafe(24)}"
        self.logins[token] = Login(user, expires)
        return token

    def bind(self, user: str, rules: Iterable[Rule], *, namespace: str = "") -> None:
        """Give a user rules, in one namespace or in all."""
        self.bindings.append(Binding(user, tuple(rules), namespace))

    def user_of(self, token: str) -> str | None:
        """Say whose token that is, None when nobody's (any more)."""
        login = self.logins.get(token)
        return login.user if login and (login.expires is None or self.clock() < login.expires) else None

    def is_allowed(self, attempt: Attempt) -> bool:
        """Say whether RBAC allows it: by what was bound here, or by a RoleBinding that is there."""
        return is_allowed([*self.bindings, *self._bound()], attempt)

    def _bound(self) -> Iterator[Binding]:
        for binding in self.store.list(BINDINGS, ""):
            namespace = binding["metadata"]["namespace"]
            role = self.store.objects.get(Key(ROLES, namespace, binding["roleRef"]["name"]))
            rules = tuple(Rule.parse(rule) for rule in role["rules"]) if role else ()
            for subject in binding.get("subjects", ()):
                yield Binding(_user(subject, namespace), rules, namespace)

    def write_kubeconfig(
        self, folder: Path, *, token: str, context: str = "lab", namespace: str = "", more: Sequence[Json] = ()
    ) -> Path:
        """Write a kubeconfig whose one context leads here; ``more`` are further contexts. JSON is YAML, too."""
        authority = base64.b64encode(self.ca_pem).decode()
        cluster = {"name": "here", "cluster": {"server": self.url, "certificate-authority-data": authority}}
        here = {"cluster": "here", "user": "me", **({"namespace": namespace} if namespace else {})}
        text = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [cluster],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": context, "context": here}, *more],
            "current-context": context,
        }
        path = folder / "kubeconfig"
        path.write_text(json.dumps(text))
        path.chmod(0o600)
        return path

    def write_service_account(self, folder: Path, *, token: str, namespace: str = "default") -> Path:
        """Write what a pod finds in ``/var/run/secrets/kubernetes.io/serviceaccount``."""
        (folder / "token").write_text(token)
        (folder / "ca.crt").write_bytes(self.ca_pem)
        (folder / "namespace").write_text(namespace)
        return folder

    # what happens

    def _admit(self, review: Review) -> None:
        for webhook in self.webhooks:
            webhook.admit(review)

    def _handle(self, message: Message, silence: Silence) -> Answer | None:
        request = described(message, self)
        fault = self.intercept(request) if self.intercept else None
        answer = self._answer(message, fault)
        with self._lock:
            self.calls.append(Call(request, answer.status if answer else 0))
        if isinstance(fault, SilenceBefore | SilenceAfter):
            silence()
        return answer

    def _answer(self, message: Message, fault: Fault | None) -> Answer | None:
        if isinstance(fault, AnswerInstead):
            return fault.answer
        is_done = not isinstance(fault, SilenceBefore | HangUpBefore)
        answer = answered(message, self) if is_done else None
        if isinstance(fault, AnswerAfter):
            return fault.answer
        return None if isinstance(fault, SilenceAfter | HangUpAfter) else answer
