"""The settings of the Kubernetes backend and of its destinations; every fault is told at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo
from pydantic import field_validator as checked

from rotator.errors import ConfigError

LONGEST_TIMEOUT = timedelta(minutes=5)
_LABEL = r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*")
_DURATION = re.compile(r"(?:(\d{1,2})m)?(?:(\d{1,4})s)?", re.ASCII)


class Auth(StrEnum):
    """Where the address and the login come from."""

    IN_CLUSTER = "in-cluster"
    KUBECONFIG = "kubeconfig"


class Kind(StrEnum):
    """What can be restarted."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"
    DAEMON_SET = "DaemonSet"


@dataclass(frozen=True, slots=True, order=True)
class Workload:
    """Pods with one template, in the namespace of the secret that they read."""

    kind: Kind
    name: str


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("must be a name of Kubernetes: lower case letters, digits, '-' and '.', at most 253")
    return value


def _namespace(value: str) -> str:
    if not _NAMESPACE.fullmatch(value):
        raise ValueError("must be a name of a namespace: lower case letters, digits and '-', at most 63")
    return value


def _timeout(value: object) -> object:
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    duration = timedelta(minutes=int(found[1] or 0), seconds=int(found[2] or 0)) if found else timedelta()
    if not timedelta() < duration <= LONGEST_TIMEOUT:
        raise ValueError("must be a duration from 1s to 5m, with its unit, such as 10s")
    return duration


Name = Annotated[str, AfterValidator(_name)]
Namespace = Annotated[str, AfterValidator(_namespace)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class BackendSettings(_Settings):
    """What all secrets of one backend have in common. ``auth`` None: in-cluster where there is a service account."""

    auth: Auth | None = None
    kubeconfig: Path | None = None
    context: Annotated[str, Field(min_length=1)] | None = None
    namespace: Namespace | None = None
    timeout: Annotated[timedelta, BeforeValidator(_timeout)] = timedelta(seconds=10)

    @checked("kubeconfig")
    @classmethod
    def _check_kubeconfig(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_absolute():
            raise ValueError("must be an absolute path; '~' depends on who runs rotate")
        return value

    @checked("kubeconfig", "context", mode="after")
    @classmethod
    def _check_auth(cls, value: object, info: ValidationInfo) -> object:
        if value is not None and info.data.get("auth") is Auth.IN_CLUSTER:
            raise ValueError("does not go with auth: in-cluster")
        return value

    def auth_where(self, *, is_mounted: bool) -> Auth:
        """Decide where the login comes from, knowing whether a service account is mounted."""
        wants_file = self.kubeconfig is not None or self.context is not None
        return self.auth or (Auth.IN_CLUSTER if is_mounted and not wants_file else Auth.KUBECONFIG)


class _Restart(_Settings):
    kind: Kind
    name: Name


class DestinationSettings(_Settings):
    """One secret, and what is restarted when it has changed. ``namespace`` is there once it is checked."""

    namespace: Namespace = Field(default="", validate_default=True)
    name: Name
    restart: tuple[_Restart, ...] = ()

    @checked("namespace", mode="before")
    @classmethod
    def _default_namespace(cls, value: object, info: ValidationInfo) -> object:
        if value == "" and info.context is None:
            raise ValueError("is needed here, or in the settings of the backend")
        return info.context if value == "" else value

    @property
    def workloads(self) -> tuple[Workload, ...]:
        """Return what is restarted, each once, in a fixed order: the order in the configuration means nothing."""
        return tuple(sorted({Workload(one.kind, one.name) for one in self.restart}))


def backend_settings(settings: Mapping[str, Any]) -> BackendSettings:
    """Check the settings of a backend. Raises: ``ConfigError``, a line for each fault."""
    faults = ""
    try:
        return BackendSettings.model_validate(dict(settings))
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint="a kubernetes backend takes auth, kubeconfig, context, namespace and timeout")


def destination_settings(settings: Mapping[str, Any], *, namespace: str | None) -> DestinationSettings:
    """Check the settings of a destination. Raises: ``ConfigError``, a line for each fault."""
    faults = ""
    try:
        return DestinationSettings.model_validate(dict(settings), context=namespace)
    except ValidationError as error:
        faults = _faults(error)
    raise ConfigError(faults, hint="a destination in Kubernetes takes namespace, name and restart")


def _faults(error: ValidationError) -> str:
    return "\n".join(
        ": ".join([".".join(map(str, fault["loc"])), _spoken(fault["msg"])])
        for fault in error.errors(include_url=False, include_input=False)
    )


def _spoken(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return message[:1].lower() + message[1:]
