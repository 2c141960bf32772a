"""What a valid configuration comes to: frozen values, ready to use, nothing contacted yet."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from rotator.backend import Backend
from rotator.model import Credential, Destination, TokenId
from rotator.references import SecretReference
from rotator.settings_telling import TellingSettings


@dataclass(frozen=True, slots=True)
class RecordOperator:
    """The operator is a token whose record is in a backend; a credential may be in charge of it."""

    destination: Destination


@dataclass(frozen=True, slots=True)
class TokenOperator:
    """The operator is a token that nobody rotates."""

    token: TokenId
    secret: SecretReference


@dataclass(frozen=True, slots=True)
class TicketOperator:
    """The operator is a user who logs in with a password, and with one-time passwords where ``totp`` is their key."""

    userid: str
    password: SecretReference
    totp: SecretReference | None = None


Operator = RecordOperator | TokenOperator | TicketOperator


@dataclass(frozen=True, slots=True)
class ClusterSettings:
    """How to reach one cluster, as whom, and how to know that it is the right one.

    At most one of ``ca_file``, ``fingerprint`` and ``unsafe_skip_verification`` is set; with none the system's trust
    decides. Endpoints are ``host:port``, each once.
    """

    name: str
    endpoints: tuple[str, ...]
    operator: Operator
    ca_file: Path | None = None
    fingerprint: str | None = None
    """SHA-256 of the certificate, ``AB:CD:...``."""
    unsafe_skip_verification: bool = False
    connect_timeout: timedelta = timedelta(seconds=5)
    read_timeout: timedelta = timedelta(seconds=35)


@dataclass(frozen=True, slots=True)
class LeaseSettings:
    """The Kubernetes Lease by which several instances agree who works. Without a namespace: the pod's own."""

    name: str
    namespace: str | None = None


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """Where the service answers over HTTP. With ``certificate`` and ``key``, which come together, it speaks TLS.

    An address that others reach has them and ``token``. ``is_configured`` is False for what holds without a word in the
    configuration: then it is no error that the port is taken. Port 0 is any that is free. ``hosts`` are the names by
    which browsers reach it, beside addresses and ``localhost``.
    """

    host: str = "127.0.0.1"
    port: int = 9105
    certificate: Path | None = None
    key: Path | None = None
    token: SecretReference | None = None
    is_configured: bool = False
    hosts: tuple[str, ...] = ()
    offers_rotation: bool = False
    """Whether whoever shows the token may have a credential rotated now."""


@dataclass(frozen=True, slots=True)
class ProbeSettings:
    """Where probes and metrics are answered for everybody, over plain HTTP: inside a pod."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """How the service works: it looks around at each match of ``cron``, and without one after each ``look``."""

    look: timedelta = timedelta(minutes=15)
    cron: str | None = None
    timezone: str = "UTC"
    retry_first: timedelta = timedelta(minutes=1)
    retry_most: timedelta = timedelta(hours=6)
    lease: LeaseSettings | None = None
    listen: ListenSettings | None = ListenSettings()
    probes: ProbeSettings | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole configuration. ``single_writer`` names the backends that are accepted without compare-and-set."""

    path: Path
    owner: str
    backends: Mapping[str, Backend]
    clusters: Mapping[str, ClusterSettings]
    credentials: tuple[Credential, ...]
    single_writer: frozenset[str] = frozenset()
    service: ServiceSettings = ServiceSettings()
    telling: TellingSettings = field(default_factory=TellingSettings)

    def words(self) -> frozenset[str]:
        """Return what everybody may read, though consumers' records may have it too: names, and where clusters are."""
        found = {self.owner, *self.clusters, *self.backends}
        for credential in self.credentials:
            found |= {credential.name, credential.userid, credential.userid.rpartition("@")[0]}
            found |= {place.label for place in credential.destinations}
        return frozenset(found.union(*(addresses(cluster.endpoints) for cluster in self.clusters.values())))


def addresses(endpoints: Iterable[str]) -> frozenset[str]:
    """Return the ways in which records and messages write endpoints."""
    ways = ("{0}", "{1}", "https://{0}", "https://{0}/api2/json")
    return frozenset(way.format(it, it.rpartition(":")[0]) for it in endpoints for way in ways)
