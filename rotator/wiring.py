"""From settings to a fleet that works: which operator, which trust, which clock. The only module that knows them all.

``rotator.proxmox`` is imported when the first cluster is opened: a command that contacts nobody does not pay for it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, assert_never

from rotator.audit.chain import Seal
from rotator.audit.recorder import Recorder
from rotator.audit.trail import Trail
from rotator.backend import Backend
from rotator.clock import Clock, SystemClock
from rotator.errors import ConfigError
from rotator.events import Event, Listener
from rotator.fleet import Fleet, freely
from rotator.model import Destination, Secret, Token, UnusableRecordError
from rotator.pve import OperatorSource, Pve
from rotator.references import SecretReference, resolve
from rotator.rotate import draw_name
from rotator.settings import ClusterSettings, RecordOperator, Settings, TicketOperator, TokenOperator
from rotator.trigger import TriggeredBy

if TYPE_CHECKING:
    from rotator.proxmox import TicketLogin

PARALLEL = 8
"""The most credentials that are worked on at one time, unless told otherwise."""

LoginSource = Callable[[str], "TicketLogin"]
"""As whom to work on the cluster of a name, instead of its operator: a person who logs in."""


@contextmanager
def open_fleet(
    settings: Settings,
    listen: Listener,
    *,
    parallel: int = PARALLEL,
    clock: Clock | None = None,
    environ: Mapping[str, str] = os.environ,
    login: LoginSource | None = None,
    trigger: TriggeredBy | None = None,
) -> Iterator[Fleet]:
    """Make a fleet of the settings, contacting nobody, and let go of all connections at the end, whichever breaks."""
    ours = clock or SystemClock()
    clusters = Clusters(settings, ours, environ, login)
    trail = recorder(settings, ours, environ)
    heard = hooked(settings, chained(trail.hear, listen) if trail else listen, ours)
    permit = trail.permit if trail else freely
    fleet = Fleet(clusters.open, settings.backends, ours, heard, draw_name, parallel, trigger=trigger, permit=permit)
    with ExitStack() as closing:
        for backend in settings.backends.values():
            closing.callback(backend.close)
        closing.callback(clusters.close)
        if trail:
            closing.callback(trail.close)
        yield fleet


def recorder(settings: Settings, clock: Clock, environ: Mapping[str, str]) -> Recorder | None:
    """Make what writes the audit trail, if there is to be one. A key is read when the first line is written."""
    audit = settings.telling.audit
    if audit is None:
        return None
    secret = audit.secret
    key = (lambda: resolve(secret, environ=environ, backends=settings.backends)) if secret else None
    trail = Trail(audit.path, Seal(key) if audit.is_chained else None, sync=audit.is_synced, clock=clock)
    return Recorder(trail, clock, is_required=audit.is_required)


def hooked(settings: Settings, listen: Listener, clock: Clock) -> Listener:
    """Let the hooks be run, if there are any, before whoever works goes on."""
    hooks = settings.telling.hooks
    if not hooks:
        return listen
    from rotator.hooks import Hooks  # noqa: PLC0415 - what is not configured costs nothing
    from rotator.programs import run  # noqa: PLC0415 - the same

    places = {it.name: [place.label for place in it.destinations] for it in settings.credentials}
    return Hooks(hooks, places, listen, clock, run).hear


def chained(first: Listener, then: Listener) -> Listener:
    """Let two listeners hear, one after the other."""

    def hear(event: Event) -> None:
        first(event)
        then(event)

    return hear


class Clusters:
    """The clusters of a configuration, each opened when it is first asked for. Used from several threads."""

    def __init__(
        self, settings: Settings, clock: Clock, environ: Mapping[str, str], login: LoginSource | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._environ = environ
        self._person = login
        self._opened: dict[str, Pve] = {}
        self._locks = {name: threading.Lock() for name in settings.clusters}

    def open(self, name: str) -> Pve:
        """Return the cluster of that name. A password is read here; a slow store delays its own cluster only.

        Repeat: the same cluster. Raises: ``ConfigError``; what reading a password's reference raises.
        """
        with self._locks[name]:
            if name not in self._opened:
                self._opened[name] = self._connect(self._settings.clusters[name])
            return self._opened[name]

    def close(self) -> None:
        """Let go of all connections. Repeat: nothing happens."""
        for cluster in self._opened.values():
            cluster.close()

    def _connect(self, cluster: ClusterSettings) -> Pve:
        from rotator.proxmox import ProxmoxCluster, TlsTrust  # noqa: PLC0415 - proxmoxer is loaded when it is needed

        trust = TlsTrust(cluster.ca_file, cluster.fingerprint or "", cluster.unsafe_skip_verification)
        return ProxmoxCluster(
            cluster.name,
            cluster.endpoints,
            login=self._person(cluster.name) if self._person else self._login(cluster),
            trust=trust,
            connect_timeout=cluster.connect_timeout,
            read_timeout=cluster.read_timeout,
            monotonic=self._clock.monotonic,
        )

    def _login(self, cluster: ClusterSettings) -> OperatorSource | TicketLogin:
        match cluster.operator:
            case RecordOperator(destination):
                return lambda: read_operator(cluster.name, destination, self._settings.backends)
            case TokenOperator(token, secret):
                return lambda: Token(token, self._resolve(secret))
            case TicketOperator(userid, password, totp):
                return self._ticket(userid, password, totp)
            case _:
                assert_never(cluster.operator)

    def _ticket(self, userid: str, password: SecretReference, totp: SecretReference | None) -> TicketLogin:
        from rotator.proxmox import TicketLogin  # noqa: PLC0415 - proxmoxer is loaded when it is needed

        return TicketLogin(userid, self._resolve(password), self._codes(totp) if totp else None)

    def _codes(self, key: SecretReference) -> Callable[[], Secret]:
        return lambda: one_time_code(self._resolve(key), self._clock.now().timestamp())

    def _resolve(self, reference: SecretReference) -> Secret:
        return resolve(reference, environ=self._environ, backends=self._settings.backends)


def read_operator(cluster: str, destination: Destination, backends: Mapping[str, Backend]) -> Token:
    """Read the operator's token from its record, anew each time: another run may have rotated it since.

    Raises: ``ConfigError`` when the record is missing or is no token; what the backend's ``read`` raises.
    """
    hint = f"store a token of the operator there, as {' and '.join(destination.shape.keys)}"
    try:
        token = destination.shape.read(backends[destination.backend].read(destination.location))
    except UnusableRecordError as error:
        message = f"{destination.label} does not hold the operator of cluster {cluster}: {error}"
        raise ConfigError(message, hint=hint) from None
    if token is None:
        raise ConfigError(f"{destination.label} does not hold the operator of cluster {cluster}: no token", hint=hint)
    return token


def one_time_code(key: Secret, at: float) -> Secret:
    """Make the code of a moment (RFC 6238 as PVE has it: SHA-1, 6 digits, 30 s) from a key in base32.

    Raises: ``ConfigError`` when the key is none.
    """
    import base64  # noqa: PLC0415 - with the next

    from cryptography.hazmat.primitives.hashes import SHA1  # noqa: PLC0415 - few operators have a second factor
    from cryptography.hazmat.primitives.twofactor.totp import TOTP  # noqa: PLC0415 - the same

    bare = key.reveal().replace(" ", "").rstrip("=").upper()
    try:
        raw = base64.b32decode(bare + "=" * (-len(bare) % 8))
    except ValueError:  # binascii.Error is one
        raise ConfigError("the key of the one-time passwords is not base32", hint="copy the key, not a code") from None
    if not raw:
        raise ConfigError("the key of the one-time passwords is empty", hint="copy the key that PVE showed")
    totp = TOTP(raw, 6, SHA1(), 30, enforce_key_length=False)  # noqa: S303 - what authenticators and PVE use
    return Secret(totp.generate(at).decode())
