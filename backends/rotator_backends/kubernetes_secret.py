"""Records in Kubernetes Secrets: patched with the resourceVersion that was read, never replaced.

The module is not called ``kubernetes`` only to keep it apart from the library, which ``kubernetes_client`` alone knows
and which is imported when a backend is configured. The answers are judged in ``kubernetes_answer``, workloads restarted
in ``kubernetes_restart``. Several threads may use one object.
"""

from __future__ import annotations

import base64
import os
import re
import secrets
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rotator.backend import Traits
from rotator.errors import ConfigError, ConflictError, RefusedError, RotatorError
from rotator.model import TOKEN_ID_KEY, TOKEN_SECRET_KEY, Secret, Stored, Version
from rotator_backends.kubernetes_answer import (
    DELETED_HINT,
    Call,
    Json,
    NoDryRunError,
    Verb,
    rule,
    values_in,
    version_in,
)
from rotator_backends.kubernetes_restart import rehearse, restart
from rotator_backends.kubernetes_settings import BackendSettings, Workload, backend_settings, destination_settings

if TYPE_CHECKING:
    from rotator_backends.kubernetes_client import Cluster, Surroundings

EXTRA = "proxmox-token-rotator[kubernetes]"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
"""Where every pod finds its service account."""
WRITE = "proxmox-token-rotator/write"
"""The annotation that every write changes: the API server keeps the resourceVersion of what a patch leaves as it is."""
MANAGED_BY = {"app.kubernetes.io/managed-by": "proxmox-token-rotator"}
_KEY = re.compile(r"(?!\.\.)(?!\.\Z)[-._a-zA-Z0-9]{1,253}")
_HALF = re.compile("[\ud800-\udfff]")
_KEY_RULE = "a key of a secret has letters, digits, '-', '_' and '.', at most 253 of them"


@dataclass(frozen=True, slots=True)
class SecretLocation:
    """One secret, and what is restarted when its record has changed."""

    namespace: str
    name: str
    restart: tuple[Workload, ...] = ()


class KubernetesBackend:
    """The store of type ``kubernetes``."""

    traits: ClassVar[Traits] = Traits(compare_and_set=True)

    def __init__(
        self,
        settings: BackendSettings,
        cluster: Cluster,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        self._now = now

    @classmethod
    def configure(cls, settings: Mapping[str, Any], *, surroundings: Surroundings | None = None) -> KubernetesBackend:
        """Make a backend of ``auth``, ``kubeconfig``, ``context``, ``namespace`` and ``timeout``.

        Raises: ``ConfigError``, a line for each fault.
        """
        checked = backend_settings(settings)
        return cls(checked, _cluster(checked, surroundings))

    def locate(self, settings: Mapping[str, Any]) -> tuple[SecretLocation, str]:
        """Make a location of ``namespace``, ``name`` and ``restart``.

        The label has the API server's address, not the context: kubeconfigs of several clusters call their contexts
        alike (k3s: ``default``), and several contexts may lead to one cluster.

        Raises: ``ConfigError``, a line for each fault.
        """
        found = destination_settings(settings, namespace=self._settings.namespace)
        location = SecretLocation(found.namespace, found.name, found.workloads)
        return location, f"kubernetes:{self._cluster.server}/{found.namespace}/{found.name}"

    def check_keys(self, location: SecretLocation, keys: Collection[str]) -> None:  # noqa: ARG002 - same everywhere
        """Return when a secret can hold these keys.

        Raises: ``ConfigError``, a line for each that it cannot.
        """
        if odd := sorted(key for key in keys if not _KEY.fullmatch(key)):
            raise ConfigError("\n".join(f"{key}: {_KEY_RULE}" for key in odd))

    def read(self, location: SecretLocation) -> Stored | None:
        """Read the values that are UTF-8; others are kept, but are no fields.

        Raises: ``UnavailableError``; ``RefusedError``, also where one of our two keys is not UTF-8.
        """
        call = self._asked("get", location)
        found = self._cluster.find(call)
        if found is None:
            return None
        _check_readable(call, found, (TOKEN_ID_KEY, TOKEN_SECRET_KEY))
        texts = {key: _text(value) for key, value in _data(found).items()}
        fields = {key: Secret(text) for key, text in texts.items() if text is not None}
        return Stored(fields, version_in(call, found))

    def write(self, location: SecretLocation, fields: Mapping[str, Secret], *, expected: Version | None) -> Version:
        """Create the secret, or patch these keys into it if it still has the expected resourceVersion.

        Repeat: a ``ConflictError``.
        Crash: the old record or the new one.
        Raises: ``ConflictError``; ``OutcomeUnknownError``; ``UnavailableError``; ``RefusedError``.
        """
        data = _encoded(location, fields)
        if expected is None:
            call = self._asked("create", location, hidden=values_in(data))
            return version_in(call, self._cluster.call(call, _new(location, data)))
        before = self._acceptable(location, fields)
        look = self._asked("get", location)
        if before is None or version_in(look, before) != expected:
            how = "removed" if before is None else "changed"
            raise ConflictError(f"{look.subject} was {how} by somebody else")
        call = self._asked("patch", location, hidden=values_in(data) | values_in(_data(before)))
        return version_in(call, self._cluster.call(call, _patch(data, expected)))

    def preflight(self, location: SecretLocation) -> None:
        """Return when the secret could be written now, and what is to be restarted could be: by server-side dry run.

        Raises: ``RefusedError`` with the missing rule of a Role; ``UnavailableError``.
        """
        before = self._acceptable(location, (TOKEN_ID_KEY, TOKEN_SECRET_KEY))
        verb: Verb = "create" if before is None else "patch"
        body = _new(location, {}) if before is None else _patch({}, None)
        hidden = values_in(_data(before or {}))
        try:
            self._cluster.call(self._asked(verb, location, is_dry_run=True, hidden=hidden), body)
        except ConflictError:  # somebody wrote in this moment, which takes no permission from us
            pass
        except NoDryRunError:
            self._check_allowed(location, verb)
        if verb == "create":  # the next rotation will need it
            self._check_allowed(location, "patch")
        for workload in location.restart:
            rehearse(self._cluster, location.namespace, workload)

    def audience(self, location: SecretLocation) -> tuple[str, ...]:
        """Name what is restarted."""
        return tuple(f"{workload.kind.lower()} {workload.name}" for workload in location.restart)

    def announce(self, location: SecretLocation, *, rotation: str) -> None:
        """Restart what reads this secret at its start, as ``kubectl rollout restart`` does.

        Called once its new record was confirmed. All are tried; the first failure is raised after that.

        Repeat: whatever was restarted for this rotation is not restarted again.
        Crash: some are restarted; a repeat restarts the others.
        Raises: ``UnavailableError``; ``OutcomeUnknownError``; ``RefusedError``.
        """
        failures: list[RotatorError] = []
        for workload in location.restart:
            try:
                restart(self._cluster, location.namespace, workload, rotation=rotation, now=self._now())
            except RotatorError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def close(self) -> None:
        """Let go of connections. Repeat: nothing happens."""
        self._cluster.close()

    def _asked(
        self, verb: Verb, location: SecretLocation, *, is_dry_run: bool = False, hidden: frozenset[str] = frozenset()
    ) -> Call:
        where = (location.namespace, location.name)
        return Call(self._cluster.server, verb, "Secret", *where, is_dry_run=is_dry_run, hidden=hidden)

    def _acceptable(self, location: SecretLocation, keys: Mapping[str, Secret] | tuple[str, ...]) -> Json | None:
        """Read the secret as it is, and refuse what must not be written to. What changes later is a conflict."""
        before = self._cluster.find(self._asked("get", location))
        if before is None:
            return None
        call = self._asked("patch", location)
        if "deletionTimestamp" in before["metadata"]:
            raise RefusedError(f"{call}: it is being deleted; the record is unchanged", hint=DELETED_HINT)
        if before.get("immutable"):
            delete = f"kubectl -n {location.namespace} delete secret {location.name}"
            hint = f"nobody can change it any more; make it anew without `immutable: true`, after {delete}"
            raise RefusedError(f"{call}: it is immutable; the record is unchanged", hint=hint)
        _check_readable(call, before, tuple(keys))
        return before

    def _check_allowed(self, location: SecretLocation, verb: Verb) -> None:
        call = self._asked(verb, location)
        if not self._cluster.may(call):
            hint = f"add to its Role in namespace {location.namespace}: {rule(call)}"
            raise RefusedError(f"{call}: we may not {verb} it", hint=hint)


def _cluster(settings: BackendSettings, surroundings: Surroundings | None) -> Cluster:
    """Import the library, now that somebody wants it. Raises: ``ConfigError`` when it is not installed."""
    try:
        from rotator_backends import kubernetes_client as ours  # noqa: PLC0415 - costs 0.4 s whoever does not use it
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the kubernetes backend needs a library that is not installed: {error.name}",
            hint=f"pip install '{EXTRA}'",
        ) from None
    home = os.path.expanduser("~")  # noqa: PTH111 - who has none is refused a Path of it, and may not need one
    around = surroundings or ours.Surroundings(os.environ, Path(home), ACCOUNT)
    auth = settings.auth_where(is_mounted=around.is_mounted)
    access = ours.Access(auth, around, settings.kubeconfig, settings.context)
    return ours.Cluster(access, settings.timeout)


def _new(location: SecretLocation, data: Mapping[str, str]) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": location.namespace,
            "name": location.name,
            "labels": MANAGED_BY,
            "annotations": {WRITE: secrets.token_hex(8)},
        },
        "type": "Opaque",
        "data": dict(data),
    }


def _patch(data: Mapping[str, str], expected: Version | None) -> Json:
    version = {} if expected is None else {"resourceVersion": expected}
    return {"metadata": {**version, "annotations": {WRITE: secrets.token_hex(8)}}, "data": dict(data)}


def _encoded(location: SecretLocation, fields: Mapping[str, Secret]) -> dict[str, str]:
    if odd := sorted(key for key in fields if not _KEY.fullmatch(key)):
        raise RefusedError(
            f"secret {location.namespace}/{location.name} cannot hold the key {', '.join(map(repr, odd))}",
            hint=f"{_KEY_RULE}; nothing was changed",
        )
    if half := sorted(key for key, value in fields.items() if _HALF.search(value.reveal())):
        raise RefusedError(
            f"secret {location.namespace}/{location.name} cannot hold {', '.join(half)}: the value is no text",
            hint="it has half a character (a lone surrogate); nothing was changed",
        )
    return {key: base64.b64encode(value.reveal().encode()).decode() for key, value in fields.items()}


def _data(found: Json) -> dict[str, str]:
    return found.get("data") or {}


def _text(value: str) -> str | None:
    """Decode a value; None when it is no text."""
    try:
        return base64.b64decode(value).decode()
    except ValueError:
        return None


def _check_readable(call: Call, found: Json, keys: tuple[str, ...]) -> None:
    data = _data(found)
    if odd := sorted(key for key in keys if key in data and _text(data[key]) is None):
        hint = "repair or remove it by hand; a binary value is never overwritten"
        raise RefusedError(f"{call}: its key {', '.join(odd)} holds bytes that are no UTF-8", hint=hint)
